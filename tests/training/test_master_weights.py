"""Weights that a folder holds in half precision train in float32."""

import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from isoglot.encoders.loading import backbone_of, load
from isoglot.training.run import train
from isoglot.training.settings import LoraSettings, TrainSettings
from support.encoders import tiny_encoder
from support.rows import tiny_rows

# Of bfloat16's weights none but the smallest moves by so little, and Adam's smallest number is 0 in float16.
SETTINGS = {"batch_size": 4, "max_steps": 3, "warmup_steps": 1, "lr": 1e-5, "device": "cpu"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with `rows.jsonl`, and an encoder as `bfloat16`, `float16`, and in float32 beside each."""
    home = tmp_path_factory.mktemp("half")
    tiny_rows(home / "rows.jsonl")
    plain = tiny_encoder(home / "made")
    for dtype in (torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        model = SentenceTransformer(str(plain), device="cpu").to(dtype)
        model.save_pretrained(str(home / name), create_model_card=False)
        model.float().save_pretrained(str(home / f"{name}-wide"), create_model_card=False)
    return home


def trained(place, name, folder, precision, lora=None):
    settings = TrainSettings(**SETTINGS, precision=precision, lora=lora)
    return train(str(place / name), str(place / "rows.jsonl"), folder, settings)


def weights(folder):
    return dict(load(str(folder), device="cpu").named_parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_a_training_is_that_of_the_same_weights_in_float32(place, tmp_path, name, precision):
    assert {str(value.dtype) for value in weights(place / name).values()} == {f"torch.{name}"}
    found = weights(trained(place, name, tmp_path / "half", precision))
    expected = weights(trained(place, f"{name}-wide", tmp_path / "wide", precision))
    before = weights(place / f"{name}-wide")
    for key, value in expected.items():
        assert found[key].dtype == torch.float32
        assert torch.equal(found[key], value), key
    moved = "0.model.encoder.layer.0.output.dense.weight"
    assert (found[moved] != before[moved]).float().mean() > 0.9


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_adapters_are_float32_whatever_they_adapt(place, tmp_path, name):
    out = trained(place, name, tmp_path / "adapter", "fp32", LoraSettings(rank=2))
    factors = load_file(out / "adapter_model.safetensors")
    assert {value.dtype for value in factors.values()} == {torch.float32}
    layer = "encoder.layer.0.output.dense"
    first, second = (factors[f"base_model.model.{layer}.lora_{side}.weight"] for side in "AB")
    before = weights(place / name)[f"0.model.{layer}.weight"].detach().float()
    # Opened again, what was learnt is not rounded away in the base's own type.
    opened = backbone_of(load(str(out), device="cpu")).get_submodule(layer).weight.detach()
    torch.testing.assert_close(opened - before, 2 * second @ first, atol=1e-7, rtol=1e-2)
    named = backbone_of(load(str(out), device="cpu", dtype=name)).get_submodule(layer).weight
    assert str(named.dtype) == f"torch.{name}"
