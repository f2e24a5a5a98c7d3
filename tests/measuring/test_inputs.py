"""What `evaluate` takes: names of benchmarks, and vectors in place of a model."""

import numpy as np
import pytest

from isoglot import Benchmark, evaluate
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.data.benchmarks.miracl import load_miracl
from isoglot.measuring.per_query import MONO, POOL
from support.miracl import original

# Queries and passages as they are sorted: by language, in the order given.
BENCHMARK = Benchmark.from_dicts(
    queries={"q1": "Wer?", "q2": "Who?"},
    passages={"p1": "Grimm", "p2": "Wind", "p3": "Grimm", "p4": "wind"},
    qrels={"q1": {"p1": 1, "p3": 1}, "q2": {"p1": 1, "p3": 1}},
    languages={"q1": "de", "p1": "de", "p2": "de", "q2": "en", "p3": "en", "p4": "en"},
    groups={"q1": "a", "q2": "a"},
)
PASSAGES = np.eye(4)
QUERIES = np.array([[0.9, 0.5, 0.1, 0.3], [0.1, 0.4, 0.9, 0.3]])  # p1 p2 p4 p3 and p3 p2 p4 p1
POOLED = ((1 + 2 / 4) / 2 + (1 + 2 / 4) / 2) / 2


def letters(texts, role):
    return [[text.count("e") + 1, text.count("n"), text.count("a"), len(text)] for text in texts]


@pytest.mark.parametrize(
    "vectors",
    [
        (QUERIES, PASSAGES),
        [QUERIES.tolist(), PASSAGES.astype(np.float16)],
        {"passages": PASSAGES, "queries": QUERIES},
        ({"q2": QUERIES[1], "q1": 7 * QUERIES[0], "q9": [1]}, PASSAGES),
        (QUERIES, dict(zip(("p4", "p3", "p2", "p1"), PASSAGES[::-1], strict=True))),
    ],
)
def test_vectors_in_memory_by_hand(vectors):
    result = evaluate(vectors, BENCHMARK)
    assert result.macro(POOL, "map") == pytest.approx(POOLED)
    assert result.macro(POOL, "rank_distance") == pytest.approx(3)
    assert (result.model, result.macro(MONO, "map")) == ("vectors", 1.0)


def test_a_torch_tensor_and_a_name():
    import torch

    result = evaluate((torch.tensor(QUERIES), torch.tensor(PASSAGES)), BENCHMARK, name="mine", trained=("de",))
    for spelt in ("de", "DE", ["deu"]):
        assert evaluate((QUERIES, PASSAGES), BENCHMARK, trained=spelt).slices()["seen"] == ["de"]
    assert (result.model, result.trained, result.macro(POOL, "map")) == ("mine", ("de",), pytest.approx(POOLED))


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        ((QUERIES[:1], PASSAGES), r"vectors of queries: an array of shape \(1, 4\) for 2 texts"),
        ((QUERIES, PASSAGES[:, :3][:3]), r"vectors of passages: an array of shape \(3, 3\) for 4 texts"),
        ((QUERIES[:, :3], PASSAGES), "queries have 3 dimensions, passages 4"),
        ((QUERIES * [[1], [np.nan]], PASSAGES), "vectors of queries: a vector with NaN or infinity for 'q2'"),
        ((QUERIES, PASSAGES * [[0], [1], [1], [1]]), "vectors of passages: a vector all zero for 'p1'"),
        (({"q1": QUERIES[0]}, PASSAGES), "vectors of queries: none for 1 of 2 ids, such as 'q2'"),
        (({"q1": QUERIES[0], "q2": [1, 2]}, PASSAGES), "vectors of queries: list is not an array of numbers"),
        ((QUERIES,), r"a tuple of 1; expected \(queries, passages\)"),
        ({"q1": QUERIES[0]}, "a dict with 'q1'; expected"),
        ({}, "a dict with nothing; expected"),
        ((QUERIES, [["a"] * 4] * 4), "vectors of passages: list is not an array of numbers"),
        (QUERIES, "model: given as ndarray; expected a Sentence Transformer"),
        (None, "model: given as NoneType; expected"),
    ],
)
def test_vectors_that_do_not_fit(vectors, says):
    with pytest.raises(InputError, match=says):
        evaluate(vectors, BENCHMARK)


def test_options_of_encoding_do_not_go_with_vectors():
    with pytest.raises(InputError, match="length, precision, devices, late, in_context: are only for encoding"):
        evaluate((QUERIES, PASSAGES), BENCHMARK, length=64)


def test_a_benchmark_by_name_and_by_path(lareqa_folder, tmp_path):
    opened = load_lareqa(lareqa_folder, "mine")
    by_object = evaluate(letters, opened)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"group": 1, "lang": "de", "query": "Wer?", "passage": "Grimm."}\n', encoding="utf-8")
    assert evaluate(letters, path).groups == ["1"]
    with pytest.raises(InputError, match="published file has"):  # xquad-r is known by its counts: it was opened
        evaluate(letters, "xquad-r", data_dir=lareqa_folder)
    with pytest.raises(InputError, match="no benchmark of this name"):
        evaluate(letters, "nothing-such")
    assert by_object.languages == ("de", "en", "zh")


def test_the_published_benchmark_by_name(shared_data):
    result = evaluate(letters, "xquad-r", data_dir=shared_data / "xquad-r", langs="de,en")
    assert (result.benchmark, result.languages, len(result.groups)) == ("xquad-r", ("de", "en"), 1190)


def test_what_is_no_benchmark(tmp_path):
    with pytest.raises(InputError, match="benchmark: given as dict; expected a Benchmark, or what load_benchmark"):
        evaluate(letters, {"queries": {}})
    with pytest.raises(InputError, match=r"langs 'de': benchmark is open already"):
        evaluate(letters, BENCHMARK, langs="de")
    with pytest.raises(InputError, match=r"streamed; give benchmark.benchmark\(\)"):
        evaluate(letters, load_miracl(original(tmp_path)))


def test_vectors_that_the_command_wrote(tmp_path, tiny_model, rows_file, capsys):
    source = ["--benchmark", str(rows_file)]
    assert run(["encode", *source, "--model", str(tiny_model), "-o", str(tmp_path / "v"), "--numbers", "float32"]) == 0
    capsys.readouterr()
    direct = evaluate(tiny_model, rows_file, precision="fp32")
    for given in (tmp_path / "v", str(tmp_path / "v")):
        again = evaluate(given, rows_file)
        assert again.model == str(tmp_path / "v")
        assert again.macro(POOL, "map") == pytest.approx(direct.macro(POOL, "map"), abs=5e-3)
    (tmp_path / "v" / "complete.json").unlink()
    with pytest.raises(InputError, match="encoding did not finish"):
        evaluate(tmp_path / "v", rows_file)
