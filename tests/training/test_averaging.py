import json
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Router, StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.run_record import read_run
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load
from isoglot.measuring.evaluating import trained_languages
from isoglot.training.averaging import average_models

WEIGHTS = "model.safetensors"


def changed(source, target, change):
    """A copy of a model folder whose weights went through `change(name, tensor)`."""
    shutil.copytree(source, target)
    tensors = load_file(target / WEIGHTS)
    save_file({name: change(name, value) for name, value in tensors.items()}, target / WEIGHTS, {"format": "pt"})
    return target


@pytest.fixture(scope="module")
def three(tiny_model, tmp_path_factory):
    home = tmp_path_factory.mktemp("members")

    def noisy(seed):
        draw = torch.Generator().manual_seed(seed)
        return lambda _, value: value + 0.1 * torch.randn(value.shape, generator=draw)

    return [changed(tiny_model, home / f"m{seed}", noisy(seed)) for seed in range(3)]


def test_every_tensor_is_the_mean(three, tmp_path):
    folder = average_models(three, tmp_path / "mean")
    parts = [{name: value.double().numpy() for name, value in load_file(model / WEIGHTS).items()} for model in three]
    found = load_file(folder / WEIGHTS)
    assert found.keys() == parts[0].keys()
    for name, value in found.items():
        assert value.dtype == torch.float32
        np.testing.assert_allclose(value.numpy(), np.mean([part[name] for part in parts], axis=0), atol=1e-6)
    assert encode(load(str(folder), device="cpu"), ["ein Berg"], "query").vectors.shape == (1, 32)


@settings(max_examples=5, deadline=None)
@given(st.tuples(*[st.floats(-2, 4).filter(lambda weight: abs(weight) > 0.1)] * 2).filter(lambda w: abs(sum(w)) > 0.5))
def test_two_models_give_the_line_through_them(three, tmp_path_factory, weights):
    first, second, _ = three
    folder = average_models([first, second], tmp_path_factory.mktemp("line") / "point", weights)
    share = weights[1] / sum(weights)
    a, b, found = (load_file(model / WEIGHTS) for model in (first, second, folder))
    for name, value in found.items():
        np.testing.assert_allclose(value.numpy(), torch.lerp(a[name], b[name], share).numpy(), atol=1e-4)


def test_half_precision_is_summed_in_float32_and_whole_numbers_stay(tiny_model, tmp_path):
    # Summed in float16, 512 + .25 + .25 + .5 would be 512.5: its steps are .5 there.
    values = {"a": 2048.0, "b": 1.0, "c": 1.0, "d": 2.0}

    def typed(value):
        return lambda name, old: torch.full_like(old, value, dtype=torch.float16)

    models = [changed(tiny_model, tmp_path / name, typed(value)) for name, value in values.items()]
    for number, model in enumerate(models):
        tensors = load_file(model / WEIGHTS)
        save_file({**tensors, "positions": torch.tensor([number, 7])}, model / WEIGHTS, {"format": "pt"})
    found = load_file(average_models(models, tmp_path / "mean", [1, 1, 1, 1]) / WEIGHTS)
    assert found.pop("positions").tolist() == [0, 7]
    assert {value.dtype for value in found.values()} == {torch.float16}
    assert {float(value.flatten()[0]) for value in found.values()} == {513.0}


def test_weights_in_several_files_are_found_by_name(three, tmp_path):
    split = tmp_path / "split"
    shutil.copytree(three[1], split)
    tensors = load_file(split / WEIGHTS)
    (split / WEIGHTS).unlink()
    names = sorted(tensors)
    half = len(names) // 2
    for number, part in enumerate((names[:half], names[half:]), start=1):
        save_file({name: tensors[name] for name in part}, split / f"model-{number:05}-of-00002.safetensors")
    whole = average_models(three[:2], tmp_path / "whole")
    both = average_models([three[0], split], tmp_path / "both")
    expected, found = load_file(whole / WEIGHTS), load_file(both / WEIGHTS)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_record_names_models_shares_and_languages(three, tmp_path):
    for model, languages in zip(three, (["de", "en"], ["en", "zh"]), strict=False):
        (model / "run.json").write_text(f'{{"verb": "train", "languages": {languages}}}'.replace("'", '"'))
    folder = average_models(three[:2], tmp_path / "mean", [3, 1])
    record = read_run(folder)
    assert record["verb"] == "average"
    assert record["settings"]["weights"] == [0.75, 0.25]
    assert record["settings"]["models"] == [str(model) for model in three[:2]]
    assert trained_languages(str(folder)) == ("de", "en", "zh")
    assert not (folder / "training.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["{0}"], "1 model given; expected two or more"),
        (["{0}", "{1}", "--weights", "1"], "1 weights for 2 models"),
        (["{0}", "{1}", "--weights", "1,-1"], "do not add up to 0"),
        (["{0}", "{1}", "--weights", "1,nan"], "finite number"),
        (["{0}", "nowhere/at/all"], "no such model folder"),
        (["{0}", "{empty}"], "no .safetensors weights"),
        (["{0}", "{broken}"], "not a readable safetensors file"),
        (["{0}", "{adapter}"], "an adapter"),
        (["{0}", "{quantised}"], "quantised weights"),
        (["{0}", "{narrow}"], "is (16,), in"),
        (["{0}", "{words}"], "its vocabulary differs from that of"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(three, tmp_path, capsys, arguments, expected):
    places = {name: tmp_path / name for name in ("empty", "broken", "adapter", "narrow", "words", "quantised")}
    for name in ("empty", "broken", "adapter", "words", "quantised"):
        shutil.copytree(three[0], places[name])
    (places["empty"] / WEIGHTS).unlink()
    (places["broken"] / WEIGHTS).write_bytes((three[0] / WEIGHTS).read_bytes()[:100])
    (places["adapter"] / "adapter_config.json").write_text("{}")
    config = places["quantised"] / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "quantization_config": {"bits": 8}}))
    changed(three[0], places["narrow"], lambda _, value: value[:16].clone())
    tokenizer = places["words"] / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"Ã"', '"öö"', 1))
    line = [argument.format(*three, **places) for argument in arguments]
    assert run(["average", *line, "-o", str(tmp_path / "out")]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_vocabularies_of_a_routers_modules_are_compared(tmp_path):
    def routed(name, words):
        tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="?"))
        parts = [[StaticEmbedding(tokenizer, embedding_weights=np.ones((3, 4)) * side)] for side in (1, 2)]
        SentenceTransformer(modules=[Router.for_query_document(*parts)], device="cpu").save(str(tmp_path / name))
        return tmp_path / name

    first, second = routed("first", ["?", "Berg", "Tal"]), routed("second", ["?", "Berg", "Tal"])
    average_models([first, second], tmp_path / "mean")
    other = routed("other", ["?", "Tal", "Berg"])
    with pytest.raises(InputError, match="its vocabulary in document_0_StaticEmbedding"):
        average_models([first, other], tmp_path / "wrong")


def test_the_command_writes_a_model_and_keeps_its_sources(three, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(["average", str(three[0]), str(three[1]), "--weights", ".3,.7", "-o", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert run(["average", str(three[0]), str(three[1]), "--weights", "-.5,1.5", "-o", str(tmp_path / "beyond")]) == 0
    assert read_run(tmp_path / "beyond")["settings"]["weights"] == [-0.5, 1.5]
    assert run(["average", str(three[0]), str(three[1]), "-o", str(out)]) == 2
    with pytest.raises(InputError, match="is one of the models"):
        average_models([three[0], out], out, overwrite=True)
