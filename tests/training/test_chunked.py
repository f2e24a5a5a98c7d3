"""Chunks and GradCache give the gradients of one plain pass."""

import copy

import numpy as np
import pytest
import torch

from isoglot.encoders.loading import backbone_of
from isoglot.training.losses.chunked import embed_columns
from isoglot.training.losses.named import weighted_terms
from isoglot.training.losses.weighted import GroupMaskedInfoNCE
from isoglot.training.speed.token_table import UsedEmbedding, prepare_token_table, restore_token_table
from support.encoders import tiny_encoder

TEXTS = ["a", "a longer text of several words", "短い", "middle one", "and yet another, the longest of them all here"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("gradcache"), dropout=0.1, length=96)


def encoder(folder, mode="used"):
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    used = torch.arange(0, 261)
    prepare_token_table(backbone_of(model), mode, used)
    return model


def columns(model, texts=TEXTS):
    queries = model.preprocess(texts)
    passages = model.preprocess([text + " indeed" for text in reversed(texts)])
    return [queries, passages]


def gradients(model, *, chunk, recompute, autocast=False, dropout=True, weights=None):
    """Loss and gradients of one batch; group 0 has two members, which the mask keeps apart."""
    model.train(dropout)
    loss = GroupMaskedInfoNCE(model, 0.1, chunk=chunk, recompute=recompute, terms=weights and weighted_terms(weights))
    labels = torch.tensor([0, 1, 0, 2, 3])
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = loss(columns(model), labels)
    value.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for p in model.parameters():
        p.grad = None
    return value.item(), grads


def assert_same(first, second, rtol=1e-4, atol=1e-6):
    assert first[0] == pytest.approx(second[0], rel=rtol)
    assert first[1].keys() == second[1].keys()
    assert len(first[1]) > 20
    for name, grad in first[1].items():
        torch.testing.assert_close(grad, second[1][name], rtol=rtol, atol=atol, msg=name)


@pytest.mark.parametrize("mode", ["used", "all", "freeze"])
@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_equals_one_plain_pass_without_dropout(folder, mode, chunk):
    model = encoder(folder, mode)
    plain = gradients(model, chunk=None, recompute=False, dropout=False)
    assert_same(plain, gradients(model, chunk=chunk, recompute=False, dropout=False), atol=1e-5)
    assert_same(plain, gradients(model, chunk=chunk, recompute=True, dropout=False), atol=1e-5)


@pytest.mark.parametrize("mode", ["used", "all"])
def test_dropout_is_replayed(folder, mode):
    model = encoder(folder, mode)
    kept = gradients(model, chunk=2, recompute=False)
    assert_same(kept, gradients(model, chunk=2, recompute=True))
    still = gradients(model, chunk=2, recompute=False, dropout=False)
    assert still[0] != pytest.approx(kept[0], rel=1e-4)


def test_equal_under_autocast(folder):
    model = encoder(folder)
    kept = gradients(model, chunk=2, recompute=False, autocast=True)
    again = gradients(model, chunk=2, recompute=True, autocast=True)
    assert again[0] == pytest.approx(kept[0], rel=1e-6)
    for name, grad in kept[1].items():
        assert torch.linalg.norm(grad - again[1][name]) <= 0.02 * torch.linalg.norm(grad) + 1e-6, name
    exact = gradients(model, chunk=2, recompute=False)
    assert exact[0] != kept[0]


def test_equal_with_every_term(folder):
    model = encoder(folder)
    weights = {"info_nce": 1.0, "symmetric": 0.7}
    plain = gradients(model, chunk=None, recompute=False, dropout=False, weights=weights)
    assert_same(plain, gradients(model, chunk=3, recompute=True, dropout=False, weights=weights), atol=1e-5)


def test_memory_of_activations_does_not_grow_with_the_batch(folder):
    # Tensors that the graph keeps for the backward pass, counted where they are put away.
    model = encoder(folder)
    model.train()

    def kept(recompute, copies):
        total = 0

        def pack(tensor):
            nonlocal total
            total += tensor.numel()
            return tensor

        features = columns(model, TEXTS * copies)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            embed_columns(model, features, 5, recompute=recompute)
        return total

    assert kept(True, 8) < 0.1 * kept(False, 8)


def test_order_of_texts_is_kept(folder):
    model = encoder(folder)
    model.eval()
    features = columns(model)[0]
    whole = model(dict(features))["sentence_embedding"]
    torch.testing.assert_close(embed_columns(model, [features], 2)[0], whole, rtol=1e-4, atol=1e-5)


def test_left_padded_texts_are_not_cut(folder):
    model = encoder(folder)
    model.eval()
    features = {key: columns(model)[0][key].flip(1) for key in ("input_ids", "attention_mask")}
    whole = model(dict(features))["sentence_embedding"]
    torch.testing.assert_close(embed_columns(model, [features], 2)[0], whole, rtol=1e-4, atol=1e-5)


def test_token_outside_the_used_rows_is_looked_up_in_the_frozen_table(folder):
    model = encoder(folder)
    restore_token_table(backbone_of(model))
    plain = copy.deepcopy(model).eval()
    prepare_token_table(backbone_of(model), "used", torch.arange(0, 40))
    model.eval()
    features = columns(model)[0]
    torch.testing.assert_close(
        embed_columns(model, [features], 2)[0], plain(dict(features))["sentence_embedding"], rtol=1e-4, atol=1e-5
    )


def test_used_rows_go_back_into_the_table():
    table = torch.nn.Embedding(10, 4)
    before = table.weight.detach().clone()
    used = UsedEmbedding(table, torch.tensor([2, 5]))
    with torch.no_grad():
        used.trained += 1.0
    expected = before.numpy().copy()
    expected[[2, 5]] += 1.0
    np.testing.assert_allclose(used.restore().weight.detach().numpy(), expected)
    np.testing.assert_allclose(used.state_dict()["weight"].numpy(), expected)
