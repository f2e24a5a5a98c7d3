"""Cheap dropout: the same function as torch's, another source of randomness."""

import numpy as np
import pytest
import torch

from isoglot.training.speed.dropout import MaskDropout, drop, keep_mask


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
