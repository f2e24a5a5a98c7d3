import doctest
import logging
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.core.output_folders import claimed_folder
from isoglot.encoders import presets
from isoglot.encoders.cross_encoder import load_cross_encoder
from isoglot.encoders.devices import fast_bf16, resolve_precision
from isoglot.encoders.encoding import encode
from isoglot.encoders.hub_access import require_hub
from isoglot.encoders.light import open_light
from isoglot.encoders.loading import backbone_of, load, quiet_libraries
from isoglot.encoders.model_names import absolute_name, locate
from isoglot.encoders.options import ModelOptions
from isoglot.encoders.presets import preset_named
from isoglot.encoders.weights_files import model_checksum
from support.models import bert, xlm_roberta

TEXTS = ["Wie hoch ist der Berg?", "山", "", "Wie hoch ist der Berg?", "a b c " * 40, "पर्वत", "山"]


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(str(tiny_model), device="cpu")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("intfloat/multilingual-e5-small", ("intfloat/multilingual-e5-small", None)),
        ("LaBSE", ("LaBSE", None)),
        ("a/b@main", ("a/b", "main")),
        ("a/b@refs/pr/1", ("a/b", "refs/pr/1")),
    ],
)
def test_hub_names(name, found):
    assert locate(name) == found


def test_folders(tiny_model):
    assert locate(str(tiny_model)) == (str(tiny_model), None)


@pytest.mark.parametrize("name", ["./no", "/no/such/folder", "~/no", "a/b/c", "", "two words", "a/b@"])
def test_names_that_are_nothing(name):
    with pytest.raises(InputError, match="model"):
        locate(name)


def test_files_and_empty_folders_are_no_models(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    for name in (str(tmp_path / "file"), "file"):
        with pytest.raises(InputError, match="no such model folder"):
            locate(name)
    with pytest.raises(InputError, match=r"without modules.json or config.json"):
        locate(str(tmp_path))


def test_a_folder_whose_run_did_not_end_is_no_model_yet(tiny_model, tmp_path):
    folder = tmp_path / "model"

    def save(folder):
        shutil.copytree(tiny_model, folder, dirs_exist_ok=True)
        (folder / "modules.json").unlink()  # written last: without it, mean pooling would be assumed
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"), claimed_folder(folder):
        save(folder)
    for opened in (load, lambda name: open_light(name, ModelOptions(device="cpu"))):
        with pytest.raises(InputError, match=r"model: the run that writes this folder was stopped"):
            opened(str(folder))
    with claimed_folder(folder, resume=True):
        shutil.copytree(tiny_model, folder, dirs_exist_ok=True)
    assert locate(str(folder)) == (str(folder), None)


@pytest.mark.parametrize("damage", ["config.json", "modules.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_folder_is_named(tiny_model, tmp_path, damage):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    content = (folder / damage).read_bytes()
    (folder / damage).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError) as caught:
        load(str(folder))
    assert f"model {folder}: cannot be loaded" in str(caught.value)


def test_weights_that_would_run_code_are_refused(tiny_model, tmp_path):
    class Runs:
        def __reduce__(self):
            return (tmp_path / "ran").mkdir, ()

    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Runs()}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        load(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("layer", ["1", "[01]"])
def test_an_encoder_that_would_be_random_in_part_is_refused(tiny_model, tmp_path, layer):
    """Transformers draws what a folder lacks, and goes on."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not re.search(rf"layer\.{layer}\..*query", name)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    lacking = r"its files lack weights of the encoder, such as encoder.layer.*query.bias; "
    with pytest.raises(InputError, match=lacking + "its files are incomplete, or"):
        load(str(folder), device="cpu")
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "auto_map": {"AutoModel": "own.Model"}})
    (folder / "own.py").write_text("raise SystemExit")
    with pytest.raises(InputError, match=lacking + "it needs its own code, which `trust_remote_code` runs"):
        load(str(folder), device="cpu")


@pytest.mark.parametrize("level", ["ERROR", "WARNING"])
def test_it_is_refused_whatever_the_libraries_may_say(tiny_model, tmp_path, level, caplog):
    """TRANSFORMERS_VERBOSITY=error hides the report that tells of random weights."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "query" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with caplog.at_level(level, logger="transformers"), pytest.raises(InputError, match="lack weights of the encoder"):
        load(str(folder), device="cpu")
    assert logging.getLogger("transformers.modeling_utils").level == logging.NOTSET


def test_threads_that_open_models_at_once_do_not_take_each_others_troubles(tiny_model, tmp_path):
    """Transformers sets the dtype of the whole process while it opens a model, and we its level of logging."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "query" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})

    def opened(dtype):
        if dtype is None:
            with pytest.raises(InputError, match="lack weights of the encoder"):
                load(str(folder), device="cpu")
            return None
        return next(load(tiny_model, device="cpu", dtype=dtype).parameters()).dtype

    with ThreadPoolExecutor(6) as pool:
        assert [*pool.map(opened, ["float32", "bfloat16", None] * 8)] == [torch.float32, torch.bfloat16, None] * 8
    assert torch.get_default_dtype() == torch.float32
    assert logging.getLogger("transformers.modeling_utils").level == logging.NOTSET


def test_a_pooler_that_nobody_asks_may_be_random(tmp_path):
    """Masked language models have none; LaBSE's vectors go through it."""
    folder = bert(tmp_path / "mine")
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("pooler")}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert encode(load(str(folder), device="cpu"), ["a"], "query").vectors.shape == (1, 32)
    with pytest.raises(InputError, match=r"such as pooler\.dense\.bias"):
        load(str(shutil.copytree(folder, tmp_path / "LaBSE")), device="cpu")


def test_a_text_is_as_long_as_there_are_positions(tmp_path):
    """One of 514 is the padding's, whose id is 0 here, and this tokenizer knows no end."""
    model = load(str(xlm_roberta(tmp_path / "mine", max_length=10**30)), device="cpu", length=600)
    assert model.max_seq_length == 513
    found = encode(model, ["sky " * 700], "query")
    assert (found.length, found.tokens, found.cut) == (513, 513, 1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("SparseEncoder", "a SparseEncoder, which does not give one vector per text"),
        ("MultiVectorEncoder", "a MultiVectorEncoder, which does not give one vector per text"),
        ("CrossEncoder", "a cross-encoder, which returns no vectors"),
    ],
)
def test_other_kinds_of_sentence_transformers_models_are_no_encoders(tiny_model, tmp_path, kind, expected):
    """Sentence Transformers would take the encoder inside them and pool it by the mean."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    settings = folder / "config_sentence_transformers.json"
    write_json(settings, {**read_json(settings), "model_type": kind})
    with pytest.raises(InputError, match=expected):
        load(str(folder), device="cpu")


def test_weights_that_lie_in_one_place_are_told_apart(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    before = model_checksum(str(folder))
    assert before.keys() == {"model"}
    assert model_checksum(str(tiny_model)) == before
    (folder / "README.md").write_text("Other words.")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "model.safetensors").write_bytes(b"not what is opened")
    assert model_checksum(str(folder)) == before
    write_json(folder / "modules.json", [*read_json(folder / "modules.json"), {"path": "2_Dense"}])
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "model.safetensors").write_bytes(b"a layer")
    dense = model_checksum(str(folder))
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert len({before["model"], dense["model"], model_checksum(str(folder))["model"]}) == 3
    assert model_checksum("embedded") == model_checksum("nobody/nothing-here") == model_checksum(str(tmp_path)) == {}


def test_a_device_that_is_none(tiny_model):
    with pytest.raises(InputError, match="device toaster"):
        load(str(tiny_model), device="toaster")


def test_a_hub_model_without_a_hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    message = r"nobody/nothing-here: cannot be loaded \(no folder of this name here, and the Hub: "
    with pytest.raises(InputError, match=f"model {message}"):
        load("nobody/nothing-here")
    with pytest.raises(InputError, match=f"cross-encoder {message}"):
        load_cross_encoder("nobody/nothing-here")


@pytest.fixture
def waited(monkeypatch):
    """Seconds slept, while the Hub's client is not told to stay offline."""
    found = []
    monkeypatch.setattr("time.sleep", found.append)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return found


def at_hub(monkeypatch, address):
    """Have the Hub at another address."""
    names = "{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", f"{address}/{names}")


def test_a_name_that_is_nothing_is_told_soon_where_there_is_no_hub(monkeypatch, waited, capsys):
    at_hub(monkeypatch, "http://127.0.0.1:1")
    message = r"my-modl: cannot be loaded \(no folder of this name here, and the Hub does not answer \(.*refused.*\)\)"
    for kind, opened in (("model", load), ("cross-encoder", load_cross_encoder)):
        waited.clear()
        with pytest.raises(InputError, match=f"^{kind} {message}"):
            opened("my-modl")
        assert sum(waited) <= 1
    assert capsys.readouterr().err == ""


def test_whatever_the_hub_answers_is_for_its_client(monkeypatch, waited, tmp_path):
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_error(503)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        at_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        require_hub("some/model", "v1")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        (tmp_path / "models--sentence-transformers--kept" / "snapshots").mkdir(parents=True)
        for name in ("kept", "sentence-transformers/kept", str(tmp_path)):
            require_hub(name, None)
        server.shutdown()
    assert (asked, waited) == (["/some/model/resolve/v1/config.json"], [])


def test_the_tries_of_the_hub_are_one_line(capsys, monkeypatch, caplog):
    client = logging.getLogger("huggingface_hub.utils._http")

    def unreachable(*args, **kwargs):
        for number in range(1, 3):
            client.warning("'no route' thrown while requesting HEAD https://hub.example/config.json")
            client.warning(f"Retrying in 1s [Retry {number}/5].")
        client.warning("Your token has expired.")
        raise OSError("We couldn't connect\nat all")

    monkeypatch.setattr("sentence_transformers.SentenceTransformer", unreachable)
    with pytest.raises(InputError, match=r"\(no folder of this name here, and the Hub: We couldn't connect\); give"):
        load("my-modl")
    assert caplog.messages == ["Your token has expired."]
    line = "model my-modl: no folder of this name here, and the Hub does not answer; trying again for a minute or so\n"
    assert capsys.readouterr().err == line
    client.warning("Retrying in 1s [Retry 1/5].")
    assert len(caplog.messages) == 2


def test_prompts_come_from_the_folder_or_the_preset(model, tiny_model, tmp_path):
    assert model.prompts == {"query": "query: ", "document": "passage: "}
    bare = SentenceTransformer(str(tiny_model), device="cpu")
    for name, prompt in (("multilingual-e5-large", "query: "), ("other", "")):
        bare.prompts = {}
        bare.save_pretrained(str(tmp_path / name), create_model_card=False)
        assert load(str(tmp_path / name), device="cpu").prompts["query"] == prompt


def test_presets():
    assert doctest.testmod(presets).failed == 0
    assert preset_named("sentence-transformers/LaBSE").passage_prompt == "passage: "
    assert preset_named("BAAI/bge-m3").encode_length == 512
    assert preset_named("FacebookAI/xlm-roberta-base").query_length == 64
    assert preset_named("unheard/of") == presets.Preset("")


def test_precision(monkeypatch):
    assert resolve_precision("bf16", "cpu") == "bf16"
    assert resolve_precision("fp32", "cuda") == "fp32"
    for fast, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr("isoglot.encoders.devices.fast_bf16", lambda device, fast=fast: fast)
        assert resolve_precision("auto", "cpu") == expected
    with pytest.raises(InputError, match="precision 'fp8'"):
        resolve_precision("fp8", "cpu")
    assert isinstance(fast_bf16("cpu"), bool)
    assert fast_bf16("mps") is False


def test_a_model_without_a_transformer():
    with pytest.raises(InputError, match="not a transformers encoder"):
        backbone_of([object()])


def test_libraries_are_quiet():
    quiet_libraries()
    for name in ("sentence_transformers", "transformers", "datasets", "accelerate"):
        assert logging.getLogger(name).level == logging.WARNING


@pytest.mark.parametrize("role", ["query", "passage"])
def test_vectors_equal_sentence_transformers_own(model, role):
    found = encode(model, TEXTS, role, precision="fp32")
    own = model.encode_query(TEXTS) if role == "query" else model.encode_document(TEXTS)
    np.testing.assert_allclose(found.vectors, own, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1.0, atol=1e-6)
    assert found.vectors.dtype == np.float32
    assert (found.texts, found.vectors.shape) == (5, (7, 32))


def test_equal_texts_are_encoded_once_and_batches_keep_their_place(model, monkeypatch):
    texts = [f"text {number % 300} {'x' * (number % 50)}" for number in range(900)]
    monkeypatch.setattr("isoglot.encoders.batches.TOKENS_A_BATCH", 256)
    # Through the model's own forward pass, which can be watched.
    monkeypatch.setattr("isoglot.encoders.unpadded.can_unpad", lambda model: False)
    seen = []
    forward = type(model).forward
    monkeypatch.setattr(
        type(model),
        "forward",
        lambda self, f, *a, **k: (seen.append(f["input_ids"].shape), forward(self, f, *a, **k))[1],
    )
    found = encode(model, texts, "query", precision="fp32")
    assert found.texts == len(set(texts)) == sum(shape[0] for shape in seen) == 300
    assert all(rows * width <= 256 for rows, width in seen)
    # Longest first: a batch that does not fit in memory fails at once.
    assert [width for _, width in seen] == sorted((width for _, width in seen), reverse=True)
    assert found.tokens == sum(len(model.tokenizer(f"query: {t}", truncation=True)["input_ids"]) for t in set(texts))
    for number in (0, 150, 299):
        assert np.array_equal(found.vectors[number], found.vectors[number + 300])
    monkeypatch.undo()
    np.testing.assert_allclose(found.vectors[:20], model.encode_query(texts[:20]), atol=2e-6)


def test_length_cuts_texts_and_never_exceeds_the_models_own(model):
    long = ["ab " * 100]
    assert encode(model, long, "query", length=16, precision="fp32").tokens == 16
    assert encode(model, long, "query", precision="fp32").tokens == 64
    assert encode(model, long, "query", length=500, precision="fp32").tokens == 64


def test_half_precision_gives_nearby_float32_vectors(model):
    half = encode(model, TEXTS, "query", precision="bf16").vectors
    assert half.dtype == np.float32
    full = encode(model, TEXTS, "query", precision="fp32").vectors
    assert ((half * full).sum(axis=1) > 0.99).all()
    assert not np.array_equal(half, full)


def test_nothing_to_encode(model):
    found = encode(model, [], "query")
    assert len(found.vectors) == 0
    assert found.texts == 0


def test_encoding_leaves_no_gradients(model):
    model.train()
    encode(model, ["a"], "query")
    assert not model.training
    assert torch.is_grad_enabled()


def test_a_dtype_that_is_none_is_refused_with_those_there_are(tiny_model):
    with pytest.raises(InputError, match="dtype 'int3': expected one of bfloat16, float16, float32, auto"):
        load(str(tiny_model), dtype="int3")


def test_what_is_no_name_or_no_option_is_refused(tiny_model):
    with pytest.raises(InputError, match="model: given as int; expected `embedded`, a folder"):
        load(7)
    with pytest.raises(InputError, match="prompts: given as str; expected texts by role"):
        load(str(tiny_model), prompts="query: ")
    with pytest.raises(InputError, match=r"cannot be loaded .*unexpected keyword argument 'attention'"):
        load(str(tiny_model), model_kwargs={"attention": "eager"})


@pytest.mark.parametrize("length", [0, -1, 3])
def test_lengths_that_hold_nothing(tiny_model, length):
    with pytest.raises(InputError, match=f"length {length}: expected at least 4 tokens"):
        load(str(tiny_model), length=length)


@pytest.mark.parametrize("length", [12.5, "12", True])
def test_lengths_that_are_no_whole_number(tiny_model, length):
    with pytest.raises(InputError, match="expected a whole number of tokens, at least 4"):
        load(str(tiny_model), length=length)
    with pytest.raises(InputError, match="expected a whole number of tokens, at least 4"):
        ModelOptions(length=length)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("device", 0), ("revision", 1), ("model_kwargs", "{}"), ("prompts", "query: "), ("prompts", {"query": 1})],
)
def test_arguments_of_another_kind(tiny_model, argument, value):
    with pytest.raises(InputError, match=f"^{argument}: .*given as (int|str); expected"):
        load(str(tiny_model), **{argument: value})


def test_a_folder_as_a_path(tiny_model):
    assert load(tiny_model, device="cpu", length=8).isoglot_preset.encode_length == 8


def test_the_name_of_a_folder_holds_anywhere(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute_name("own") == str(tmp_path.resolve() / "own")
    assert [absolute_name(name) for name in ("embedded", "org/model@main")] == ["embedded", "org/model@main"]
