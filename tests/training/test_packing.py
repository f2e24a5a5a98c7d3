"""Encoders without padding and with cheap dropout: the same function as transformers' own."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    Qwen3Config,
    Qwen3Model,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from isoglot.encoders.loading import backbone_of, load
from isoglot.encoders.packing import can_pack
from isoglot.training.speed.dropout import MaskDropout
from isoglot.training.speed.packing import attention, lean
from support.encoders import tiny_encoder

SHAPE = {"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 40,
         "max_position_embeddings": 40, "pad_token_id": 1, "initializer_range": 0.3}  # fmt: skip


def backbone(kind, **more):
    torch.manual_seed(0)
    if kind == "bert":
        return BertModel(BertConfig(**SHAPE, type_vocab_size=2, **more), add_pooling_layer=True)
    return XLMRobertaModel(XLMRobertaConfig(**SHAPE, type_vocab_size=1, **more), add_pooling_layer=False)


def batch(lengths, width, types=False):
    draw = torch.Generator().manual_seed(1)
    lengths = torch.tensor(lengths)
    mask = (torch.arange(width) < lengths[:, None]).long()
    ids = torch.randint(2, 50, (len(lengths), width), generator=draw).where(mask.bool(), torch.tensor(1))
    given = {"input_ids": ids, "attention_mask": mask}
    if types:
        given["token_type_ids"] = torch.randint(0, 2, ids.shape, generator=draw)
    return given


@pytest.mark.parametrize("kind", ["bert", "xlm-r"])
@pytest.mark.parametrize("lengths", [[5], [7, 7, 7], [3, 20, 1, 9, 9, 12, 2, 30, 4, 4, 17, 1]])
@pytest.mark.parametrize("training", [False, True])
def test_packed_texts_give_what_padded_ones_give(monkeypatch, kind, lengths, training):
    # With nothing dropped, training takes the way of its own attention.
    monkeypatch.setattr("isoglot.training.speed.packing.drop", lambda values, share: values)
    encoder = backbone(kind, hidden_dropout_prob=0.0).train(training)
    if not training:
        encoder.eval()
    given = batch(lengths, max(lengths) + 3, types=kind == "bert")
    real = given["attention_mask"].bool()
    weight = torch.randn(len(lengths), given["input_ids"].shape[1], 24)

    def measured():
        encoder.zero_grad()
        found = encoder(**given)
        hidden = found.last_hidden_state * real[..., None]
        loss = (hidden * weight).sum()
        if kind == "bert":
            loss = loss + found.pooler_output.square().sum()
        loss.backward()
        return hidden.detach(), [p.grad.clone() for p in encoder.parameters() if p.grad is not None]

    for layer in encoder.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    padded, gradients = measured()
    with lean(encoder):
        assert can_pack(encoder)
        if training:
            for layer in encoder.encoder.layer:
                layer.attention.self.dropout.p = 0.1
        packed, ours = measured()
    assert torch.allclose(packed, padded, atol=1e-5)
    assert len(ours) == len(gradients) > 10
    for mine, theirs in zip(ours, gradients, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4 * max(1.0, float(theirs.abs().max())))


def test_layers_see_real_tokens_only():
    encoder = backbone("bert").train()
    seen = []
    encoder.encoder.layer[0].intermediate.register_forward_hook(lambda _, given, out: seen.append(out.shape[:2]))
    with lean(encoder):
        encoder(**batch([3, 20, 1], 25))
    assert seen == [(1, 24)]


def test_texts_that_are_not_right_padded_go_the_usual_way():
    encoder = backbone("xlm-r").eval()
    given = batch([4, 9, 6], 9)
    given = {key: value.flip(1) for key, value in given.items()}
    padded = encoder(**given).last_hidden_state
    with lean(encoder):
        assert torch.allclose(encoder(**given).last_hidden_state, padded, atol=1e-5)
        embedded = encoder(inputs_embeds=torch.ones(2, 5, 24)).last_hidden_state
    assert embedded.shape == (2, 5, 24)


def test_other_architectures_keep_their_padding():
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=50, dim=24, n_layers=2, n_heads=3, hidden_dim=40, max_position_embeddings=40)
    encoder = DistilBertModel(config).eval()
    given = batch([4, 9], 9)
    padded = encoder(**given).last_hidden_state
    with lean(encoder):
        assert not can_pack(encoder)
        assert torch.allclose(encoder(**given).last_hidden_state, padded, atol=1e-5)
        encoder.train()
        assert not torch.allclose(encoder(**given).last_hidden_state, padded, atol=1e-3)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_torchs_but_for_the_dropped_weights(monkeypatch, masked):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 6, 8, requires_grad=True) for _ in range(3))
    mask = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    mask[1, :, :, 4:] = False
    given = mask if masked else None
    right = functional.scaled_dot_product_attention(query, key, value, attn_mask=given).transpose(1, 2)
    module = torch.nn.Module()
    module.is_causal = False
    assert torch.allclose(attention(module, query, key, value, given)[0], right, atol=1e-6)
    # With nothing dropped the way with dropout gives the same, and the same gradients.
    monkeypatch.setattr("isoglot.training.speed.packing.drop", lambda values, share: values)
    ours = attention(module, query, key, value, given, dropout=0.1)[0]
    assert torch.allclose(ours, right, atol=1e-6)
    for mine, theirs in zip(
        *(torch.autograd.grad(found.square().sum(), (query, key, value)) for found in (ours, right)), strict=True
    ):
        assert torch.allclose(mine, theirs, atol=1e-5)
    monkeypatch.undo()
    several = torch.stack([attention(module, query, key, value, given, dropout=0.1)[0] for _ in range(4000)])
    assert torch.allclose(several.mean(0), right, atol=0.05)


def test_an_encoder_is_as_it_was_afterwards(tmp_path):
    model = load(str(tiny_encoder(tmp_path, dropout=0.1, length=96)), device="cpu")
    backbone = backbone_of(model)
    texts = ["How high?", "第3座山有多高？ and some more"]
    before, forward = model.encode(texts), backbone.forward
    modules = [type(module) for module in backbone.modules()]
    with lean(backbone):
        assert np.allclose(model.encode(texts), before, atol=1e-6)
        kinds = [type(module) for module in backbone.modules()]
        assert torch.nn.Dropout not in kinds
        assert MaskDropout in kinds
        backbone.train()
        features = model.preprocess(texts)
        torch.manual_seed(0)
        one, two = (model(dict(features))["sentence_embedding"] for _ in range(2))
        assert not torch.allclose(one, two)
        torch.manual_seed(0)
        assert torch.equal(model(dict(features))["sentence_embedding"], one)
    assert [type(module) for module in backbone.modules()] == modules
    assert backbone.forward == forward
    assert backbone.config._attn_implementation == "sdpa"
    assert np.array_equal(model.eval().encode(texts), before)


def test_causal_layers_still_hide_what_comes_later():
    """A decoder's attention sees what transformers' own sees, also while it drops weights (here next to none)."""
    torch.manual_seed(0)
    shape = {"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "head_dim": 8}
    config = Qwen3Config(**shape, num_key_value_heads=3, intermediate_size=40, attention_dropout=1e-9)
    decoder = Qwen3Model(config).eval()
    for given in (batch([9, 9, 9], 9), batch([3, 9, 5], 9)):
        real = given["attention_mask"].bool()
        expected = decoder(**given).last_hidden_state[real]
        decoder.train()
        with lean(decoder):
            found = decoder(**given).last_hidden_state[real]
        decoder.eval()
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
