"""Cheap dropout: the same function as torch's, another source of randomness."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from isoglot.dropout import MaskDropout, attention, cheap_dropout, drop, keep_mask
from isoglot.model import backbone_of, load
from tiny_training import tiny_encoder


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_share_is_dropped_and_the_mean_stays(share, dtype):
    torch.manual_seed(0)
    values = torch.ones(300, 401, dtype=dtype)
    found = drop(values, share)
    assert (found.shape, found.dtype) == (values.shape, dtype)
    # Five standard deviations of a binomial share.
    assert abs(float((found == 0).float().mean()) - share) < 5 * (share * (1 - share) / values.numel()) ** 0.5
    kept = found[found != 0]
    assert torch.equal(kept, torch.full_like(kept, 1 / (1 - round(share * 65536) / 65536)))
    # No pattern over neighbours: the four masks of one random word are independent.
    mask = (found != 0).float().reshape(-1)[: 4 * (values.numel() // 4)].reshape(-1, 4)
    assert np.abs(np.corrcoef(mask.T.numpy()) - np.eye(4)).max() < 0.02


def test_masks_follow_torchs_random_state():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = keep_mask(torch.Size([5, 7]), 20_000), keep_mask(torch.Size([5, 7]), 20_000)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(keep_mask(torch.Size([5, 7]), 20_000), first)
    assert torch.equal(keep_mask(torch.Size([5, 7]), 20_000), second)


def test_gradients_flow_where_values_were_kept():
    torch.manual_seed(0)
    values = torch.randn(40, 9, requires_grad=True)
    found = drop(values, 0.3)
    found.sum().backward()
    assert torch.equal(values.grad == 0, found == 0)
    assert torch.allclose(values.grad * values, found)


def test_nothing_is_dropped_in_evaluation():
    values = torch.randn(4, 5)
    assert MaskDropout(0.5).eval()(values) is values
    assert MaskDropout(0.0).train()(values) is values


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
    monkeypatch.setattr("isoglot.dropout.drop", lambda values, share: values)
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
    model = load(str(tiny_encoder(tmp_path)), device="cpu")
    backbone = backbone_of(model)
    texts = ["How high?", "第3座山有多高？ and some more"]
    before = model.encode(texts)
    modules = [type(module) for module in backbone.modules()]
    with cheap_dropout(backbone):
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
    assert backbone.config._attn_implementation == "sdpa"
    assert np.array_equal(model.eval().encode(texts), before)
