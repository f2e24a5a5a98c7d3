"""An index scored on a benchmark: by hand, beside scoring its vectors, and from the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest

from isoglot import Benchmark, Searcher, build_index
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.data.benchmarks.benchmark import from_rows
from isoglot.data.prepared import prepare
from isoglot.measuring.evaluating import evaluate
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.search import passage_documents, score_index
from isoglot.search.index.manifest import read_manifest
from support.databases import DATABASES, database_place
from support.rows import parallel_rows, write_jsonl

# An embedder that reads coordinates: a text is "x y ...", and the words a, b, ... are for lexical searches.
TEXTS = {"d1": "10 1 eins", "d2": "8 6 zwei", "d3": "8 6 zwei", "e1": "6 8 one", "e2": "1 10 two"}
BENCHMARK = Benchmark.from_dicts(
    queries={"q1": "10 0 eins ", "q2": "0 10 two"},  # the space does not count
    passages=TEXTS,
    qrels={"q1": {"d1": 1, "e1": 1}, "q2": {"d3": 1, "e2": 1}},
    languages={key: "de" if key in ("q1", "d1", "d2", "d3") else "en" for key in ("q1", "q2", *TEXTS)},
    groups={"q1": "g", "q2": "g"},
)


def plane(texts, role):
    """The two numbers that a text begins with; an encoder is also asked for the vector of a text without any."""
    return [[float(part) if part.isdigit() else 1.0 for part in [*text.split(), "1"][:2]] for text in texts]


@pytest.fixture(scope="module")
def searcher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "index"
    built = build_index(passage_documents(BENCHMARK), folder, plane)
    assert (built.added, built.folded) == (5, 1)  # d3 says what d2 says
    return Searcher.open(folder, plane)


def one(result, setting, measure, group, x, y):
    values = result.values[setting, measure]
    return values.matrix[result.groups.index(group), values.cells.index((x, y))]


def test_values_worked_by_hand(searcher):
    """q1 ranks d1 d2 d3 e1 e2, where d3 stands behind d2 that says the same; q2 the other way round."""
    result = score_index(searcher, BENCHMARK)
    assert one(result, MONO, "map", "g", "de", "de") == 1  # d1 first of d1 d2 d3
    assert one(result, CROSS, "map", "g", "de", "en") == 1  # e1 first of e1 e2
    assert one(result, MONO, "map", "g", "en", "en") == 1  # e2 first of e2 e1
    assert one(result, CROSS, "map", "g", "en", "de") == pytest.approx(1 / 2)  # d3 behind d2
    assert one(result, POOL, "map", "g", "de", "all") == pytest.approx((1 + 2 / 4) / 2)  # ranks 1 and 4
    assert one(result, POOL, "map", "g", "en", "all") == pytest.approx((1 + 2 / 4) / 2)  # e2 e1 d2 d3 d1
    assert one(result, POOL, "rank_distance", "g", "de", "all") == 3
    assert result.top.tolist() == [[0, 1, 2, 3, 4], [4, 3, 1, 2, 0]]


def test_what_is_not_listed_counts_as_one_rank_further(searcher):
    result = score_index(searcher, BENCHMARK, depth=2)
    assert one(result, POOL, "map", "g", "de", "all") == pytest.approx(1 / 2)  # d1 is found, e1 never
    assert one(result, POOL, "rank_distance", "g", "de", "all") == 3 - 1
    assert one(result, POOL, "recall@10", "g", "en", "all") == pytest.approx(1 / 2)
    assert any("lists 2 passages at most; 50.0% of the relevant" in note for note in result.notes)
    assert result.depth == 2


def test_what_no_search_finds_is_not_further_down_than_the_last_of_the_pool(searcher):
    """By words q1 finds d1 alone, in a pool of five; a query that finds neither of its answers has both at the end."""
    result = score_index(searcher, BENCHMARK, mode="lexical")
    assert one(result, POOL, "rank_distance", "g", "de", "all") == 5 - 1
    assert one(result, POOL, "rank_distance_normalised", "g", "de", "all") == 1
    assert one(result, POOL, "max@r_normalised", "g", "de", "all") == 0
    assert any("rank distance and Max@R as at rank 5, the last" in note for note in result.notes)
    queries = replace(BENCHMARK.queries, texts=["nirgends", "nowhere"])
    nothing = score_index(searcher, replace(BENCHMARK, queries=queries), mode="lexical")
    assert one(nothing, POOL, "rank_distance", "g", "de", "all") == 1
    assert one(nothing, POOL, "rank_distance_normalised", "g", "de", "all") == 0


def test_a_query_is_expanded_once(searcher):
    asked = []

    def expand(query):
        asked.append(query)
        return query

    for mode in ("lexical", "hybrid"):
        score_index(searcher, BENCHMARK, expand=expand, mode=mode)
        assert sorted(asked) == ["0 10 two", "10 0 eins"]
        asked.clear()


def test_words_find_words(searcher):
    """Only d1 has q1's word and only e2 has q2's: in the other language nothing is found."""
    result = score_index(searcher, BENCHMARK, mode="lexical")
    assert result.macro(MONO, "recall@1") == 1
    assert one(result, CROSS, "map", "g", "de", "en") == 0
    assert one(result, POOL, "map", "g", "de", "all") == pytest.approx(1 / 2)
    assert result.top is None


def test_a_cross_encoder_puts_them_in_its_own_order(searcher):
    class Backwards:
        def predict(self, pairs):
            return [-float(text.split()[0]) for _, text in pairs]  # e2 e1 d2 d3 d1

    result = score_index(searcher, BENCHMARK, rerank=Backwards())
    assert one(result, POOL, "map", "g", "de", "all") == pytest.approx((1 / 2 + 2 / 5) / 2)
    assert one(result, MONO, "map", "g", "de", "de") == pytest.approx(1 / 3)


def test_another_index_is_refused(searcher, tmp_path):
    with pytest.raises(InputError, match="depth 1001: expected 1 to 1000"):
        score_index(searcher, BENCHMARK, depth=1001)
    build_index([{"id": "x", "text": "1 1 eins", "lang": "de"}], tmp_path / "one", plane)
    with pytest.raises(InputError, match="no passages in en, in which benchmark has some; make it with `isoglot index"):
        score_index(Searcher.open(tmp_path / "one", plane), BENCHMARK)
    more = [*passage_documents(BENCHMARK), {"id": "x", "text": "9 1 drei", "lang": "de"}]
    build_index(more, tmp_path / "more", plane)
    with pytest.raises(InputError, match="its document 'x' is no passage of the benchmark"):
        score_index(Searcher.open(tmp_path / "more", plane), BENCHMARK)


def test_a_whole_dense_search_gives_what_the_vectors_give(rows_file, tmp_path):
    benchmark = from_rows(prepare([rows_file], tmp_path / "rows", show_progress=False))
    rng = np.random.default_rng(0)
    known = {text: rng.standard_normal(16) for text in (*benchmark.queries.texts, *benchmark.candidates.texts)}

    def embed(texts, role):
        return np.array([known.setdefault(text, np.ones(16)) for text in texts])

    build_index(passage_documents(benchmark), tmp_path / "index", embed)
    found = score_index(Searcher.open(tmp_path / "index", embed), benchmark, depth=1000)
    plain = evaluate(embed, benchmark)
    for key in ((MONO, "map"), (CROSS, "ndcg@10"), (POOL, "map"), (POOL, "rank_distance"), (POOL, "same_language@10")):
        np.testing.assert_allclose(found.values[key].matrix, plain.values[key].matrix, atol=1e-9, err_msg=str(key))
    np.testing.assert_array_equal(found.top, plain.top)


def test_from_the_command_line(tmp_path, tiny_model, rows_file, capsys):
    def isoglot(*argv):
        code = run([str(part) for part in argv])
        return code, *capsys.readouterr()

    source = ("--benchmark", "rows", "--rows", rows_file)
    assert isoglot("index", *source, "--model", tiny_model, "-o", tmp_path / "i", "--precision", "fp32")[0] == 0
    assert read_json(tmp_path / "i" / "run.json")["settings"]["benchmark"]["benchmark"] == "rows"
    code, out, _ = isoglot(
        "evaluate", *source, "--index", tmp_path / "i", "--depth", 1000, "-o", tmp_path / "e", "--json",
        "--resamples", 50, "--report",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)
    code, out, _ = isoglot(
        "evaluate", *source, "--model", tiny_model, "--precision", "fp32", "-o", tmp_path / "m", "--json",
        "--resamples", 0,
    )  # fmt: skip
    plain = json.loads(out)
    for setting, measure in ((MONO, "map"), (CROSS, "map"), (POOL, "map"), (POOL, "rank_distance")):
        # Not equal: the index splits passages that are longer than the model reads, where `evaluate` cuts them.
        assert found[setting][measure] == pytest.approx(plain[setting][measure], rel=0.15)
    assert found["intervals"]["multilingual.rank_distance"]["all"]["groups"] > 0
    assert (tmp_path / "e" / "report" / "report.html").is_file()
    settings = read_json(tmp_path / "e" / "run.json")["settings"]
    assert (settings["index"], settings["mode"], settings["depth"]) == (str(tmp_path / "i"), "dense", 1000)
    code, out, _ = isoglot(
        "evaluate", *source, "--index", tmp_path / "i", "--mode", "lexical", "--fair", "balanced", "-o", tmp_path / "l",
        "--resamples", 0,
    )  # fmt: skip
    assert (code, "lexical, balanced" in out) == (0, True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    other = ("evaluate", *source, "--index", tmp_path / "i", "--langs", "de,en", "-o", tmp_path / "kept", "--overwrite")
    assert isoglot(*other)[0] == 2
    assert (tmp_path / "kept" / "notes.txt").read_text() == "mine", "what could not be measured replaces nothing"
    for flags in (("--prune", 1), ("--versions",)):
        before = read_manifest(tmp_path / "i")
        code, _, err = isoglot("index", *source, "-o", tmp_path / "i", *flags)
        assert (code, read_manifest(tmp_path / "i")) == (2, before), err
    for argv, says in (
        (("--mode", "lexical"), "--mode: says how an index is searched; give --index with it"),
        (("--index", tmp_path / "i", "--langs", "de,en"), "make it with `isoglot index --benchmark`"),
        (("--index", tmp_path / "i", "--write-trec"), "`isoglot search --run` writes an index's runs"),
        (("--index", tmp_path / "i", "--depth", 2000), "a search lists at most 1000 passages"),
        (("--index", tmp_path / "i", "--vectors", tmp_path), "--index, --vectors and --run: give one of them"),
        (("--index", tmp_path), "no index"),
    ):
        code, _, err = isoglot("evaluate", *source, "-o", tmp_path / "bad", *argv)
        assert (code, says in err) == (2, True), err
    assert isoglot("index", rows_file, *source, "-o", tmp_path / "bad")[0] == 2
    code, _, err = isoglot("index", "--langs", "de", "-o", tmp_path / "bad")
    assert (code, "give --benchmark with them" in err) == (2, True)


@pytest.mark.parametrize("kind", DATABASES)
def test_a_place_is_scored_as_the_folder_is(kind, tmp_path, tiny_model, capsys):
    rows = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(9, ("de", "en", "zh")))
    source, folder = ["--benchmark", "rows", "--rows", str(rows)], str(tmp_path / "i")
    place = database_place(kind, tmp_path)
    assert run(["index", *source, "--model", str(tiny_model), "-o", folder]) == 0
    assert run(["export", folder, place]) == 0
    told = []
    for index in (folder, f"memory:{folder}", place):
        capsys.readouterr()
        out = str(tmp_path / f"measured-{len(told)}")
        assert run(["evaluate", *source, "--index", index, "-o", out, "--resamples", "0", "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
        assert read_json(tmp_path / f"measured-{len(told) - 1}" / "run.json")["settings"]["index"] == index
    for one in told[1:]:
        for setting, measure in ((MONO, "map"), (CROSS, "ndcg@10"), (POOL, "map"), (POOL, "rank_distance")):
            assert one[setting][measure] == pytest.approx(told[0][setting][measure], abs=1e-9)
    assert run(["evaluate", *source, "--langs", "de,en", "--index", place, "-o", str(tmp_path / "bad")]) == 2
    assert "passages; make it with `isoglot index --benchmark`" in capsys.readouterr().err
