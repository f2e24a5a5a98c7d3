"""Benchmarks by name, by path, of dicts, and streamed."""

import json
from pathlib import Path

import numpy as np
import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.data import Benchmark, load_benchmark, register_benchmark
from isoglot.data.benchmarks.beir import load_beir, stream_beir
from isoglot.encoders.to_disk import encode_shards, stream_of
from isoglot.measuring.per_query import MONO, POOL
from isoglot.measuring.scoring import score, score_shards
from support.rows import parallel_rows, write_jsonl

DICTS = {
    "queries": {"q1": "Wer?", "q2": "Who?", "q3": "unjudged"},
    "passages": {"p1": "Grimm.", "p2": {"title": "Brothers", "text": "Grimm."}, "p3": "no"},
    "qrels": {"q1": {"p1": 2, "p2": 1, "p3": 0}, "q2": {"p2": 3}},
    "languages": {"q1": "deu", "p1": "de", "q2": "EN", "p2": "en", "p3": "en", "q3": "de"},
}


def test_a_benchmark_of_dicts():
    benchmark = Benchmark.from_dicts(**DICTS, groups={"q1": "g", "q2": "g"}, name="mine")
    assert (benchmark.name, benchmark.languages, benchmark.groups) == ("mine", ("de", "en"), ["g"])
    assert (benchmark.queries.ids, benchmark.candidates.ids) == (["q1", "q2"], ["p1", "p2", "p3"])
    assert benchmark.candidates.texts[1] == "Brothers Grimm."
    assert [benchmark.relevant(q).tolist() for q in range(2)] == [[0, 1], [1]]
    assert benchmark.grades.tolist() == [2, 1, 3]
    assert benchmark.notes == ("1 query without judgements is left out",)
    assert Benchmark.from_dicts({"a": "x"}, {"b": "y"}, {"a": {"b": 1}}, "sw").languages == ("sw",)
    # As columns of a frame have it where nothing stands there.
    assert Benchmark.from_dicts(**DICTS, groups={"q1": None, "q2": float("nan")}).groups == ["q1", "q2"]


def test_everything_wrong_with_dicts_is_said_at_once():
    with pytest.raises(InputError) as caught:
        Benchmark.from_dicts(
            queries={"q1": "Wer?", "q2": None, "": "x"},
            passages={"p1": "Grimm.", "p2": ["no"]},
            qrels={"q1": {"p1": "much", "p9": 1}, "q7": {"p1": 1}, "q2": [1]},
            languages={"q1": "Klingonisch!"},
            groups={"q8": "g"},
        )
    for words in (
        "queries: 'q2' is None; expected a text",
        "queries: id '' is not a text",
        "passages: 'p2' is ['no']; expected a text",
        "qrels: passage 'p9' of query 'q1' is not in passages",
        "qrels: grade 'much' of 'q1' and 'p1' is not a number",
        "qrels: query 'q7' is not in queries",
        "qrels: 'q2' has list",
        "languages: 'q1' is 'Klingonisch!', not a language code",
        "languages: no language for 'p1'",
        "groups: query 'q8' is not in queries",
    ):
        assert words in str(caught.value)
    with pytest.raises(InputError, match="no query has a relevant passage"):
        Benchmark.from_dicts({"a": "x"}, {"b": "y"}, {"a": {"b": 0}}, "de")
    with pytest.raises(InputError, match="passages: expected a dict, got list"):
        Benchmark.from_dicts({"a": "x"}, ["y"], {"a": {"b": 1}}, "de")


@pytest.fixture
def registered():
    """A benchmark under the name `dicts`."""
    asked = []

    def opener(request):
        asked.append(request)
        return Benchmark.from_dicts(**DICTS)

    register_benchmark("dicts", opener)
    return asked


def test_a_registered_benchmark_is_a_flag_too(registered, tmp_path, tiny_model, capsys):
    assert load_benchmark("dicts:part", langs="de", split="dev").languages == ("de", "en")
    request = registered[0]
    assert (request.name, request.argument, request.langs, request.split) == ("dicts", "part", "de", "dev")
    assert run(["list", "benchmarks", "--json"]) == 0
    origins = json.loads(capsys.readouterr().out)
    assert origins["dicts"] == "registered"
    assert origins["xquad-r"] == "built in"
    assert run(["list", "regimes"]) == run(["list", "losses"]) == 0
    assert "hybrid" in capsys.readouterr().out
    out = tmp_path / "out"
    arguments = ["--benchmark", "dicts", "--model", str(tiny_model), "-o", str(out), "--resamples", "0"]
    assert run(["evaluate", *arguments]) == 0
    assert json.loads((out / "metrics.json").read_text())["multilingual"]["map"] > 0


def test_names_and_paths(tmp_path, lareqa_folder, capsys):
    assert load_benchmark("rows", rows=parallel_rows(3)).languages == ("de", "en", "hi", "zh")
    path = write_jsonl(tmp_path / "mine.jsonl", parallel_rows(2))
    assert len(load_benchmark(path, langs="de,en").queries) == 4
    with pytest.raises(InputError, match=r"no such path; there are: beir, miracl, mlqa-r, mteb, rows, xquad-r"):
        load_benchmark("xquad")
    own = load_benchmark(lareqa_folder, langs="de,en")
    assert (own.name, own.languages, len(own.candidates)) == ("mini", ("de", "en"), 32)
    assert load_benchmark(str(lareqa_folder), context=True).notes
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "run.json").write_text("{}")  # Rundi, but not what the other file is
    with pytest.raises(InputError, match="neither a BEIR folder"):
        load_benchmark(tmp_path)
    with pytest.raises(InputError, match="name the row files"):
        load_benchmark("rows")
    with pytest.raises(InputError, match="context belongs to"):
        load_benchmark("beir", tmp_path, context=True)
    assert run(["evaluate", "--benchmark", "nowhere", "-o", str(tmp_path / "o")]) == 2
    assert "--benchmark 'nowhere': no benchmark of this name" in capsys.readouterr().err


def test_a_path_is_no_name(lareqa_folder, tmp_path, monkeypatch):
    (tmp_path / "beir").symlink_to(lareqa_folder)
    monkeypatch.chdir(tmp_path)
    assert load_benchmark(Path("beir")).languages == ("de", "en", "zh")
    with pytest.raises(InputError, match="name its folder"):
        load_benchmark("beir")


def test_languages_are_several_codes_or_one_text():
    both = [load_benchmark("rows", langs=langs, rows=parallel_rows(3)) for langs in (["de", "en"], "de,en")]
    assert both[0].languages == both[1].languages == ("de", "en")
    assert both[0].checksum == both[1].checksum


def test_the_readme_s_call_downloads_or_says_why_not(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="downloading is off"):
        load_benchmark("xquad-r", offline=True)


@pytest.fixture
def beir(tmp_path):
    """30 passages and 12 queries in each of de and en; a query's answers are in its own language."""
    place = tmp_path / "beir"
    (place / "qrels").mkdir(parents=True)
    write_jsonl(
        place / "corpus.jsonl",
        [
            {"_id": f"{lang}{n}", "text": f"{lang} passage {n}", "metadata": {"lang": lang}}
            for lang in ("de", "en")
            for n in range(30)
        ],
    )
    write_jsonl(
        place / "queries.jsonl",
        [
            {"_id": f"{lang}-q{n}", "text": f"question {n} {lang}", "metadata": {"lang": lang, "group": f"g{n}"}}
            for lang in ("de", "en")
            for n in range(12)
        ],
    )
    lines = [f"{lang}-q{n}\t{lang}{n + m}\t{m}" for lang in ("de", "en") for n in range(12) for m in (2, 1, 0)]
    (place / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines))
    return place


def embed(texts, role):
    """Vectors of integers, the same for the same text, so that scores are exact."""
    return np.stack([np.random.default_rng(list(text.encode())).integers(-40, 41, 16) for text in texts]).astype(float)


def test_a_streamed_folder_scores_as_one_in_memory(beir, tmp_path):
    data, whole = stream_beir(beir), load_beir(beir)
    (tmp_path / "vectors").mkdir()
    encode_shards(stream_of(data), tmp_path / "vectors", lambda: embed, {}, size=7, kind="float32")
    streamed = score_shards(data, tmp_path / "vectors", name="s", memory=10**6)
    vectors = (embed(part.texts, "") for part in (whole.queries, whole.candidates))
    memory = score(whole, *((v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in vectors))
    assert streamed.groups == memory.groups
    for setting in (MONO, POOL):
        for measure in ("ndcg@10", "map", "recall@10"):
            own, other = (result.values[setting, measure].matrix for result in (streamed, memory))
            np.testing.assert_allclose(own, other, err_msg=measure)
    assert data.benchmark().checksum == whole.checksum
    assert stream_beir(beir, langs="en").checksum != data.checksum


def test_what_a_streamed_folder_cannot_be(beir):
    qrels = beir / "qrels" / "test.tsv"
    before = qrels.read_text()
    qrels.write_text(before + "\nde-q0\ten0\t1")
    with pytest.raises(InputError, match="judges passages in another language than the query's"):
        stream_beir(beir)
    qrels.write_text("de-q0\tnowhere\t1\nde-q99\tde0\t1\n")
    with pytest.raises(InputError, match="2 problems") as caught:
        stream_beir(beir)
    assert all(words in str(caught.value) for words in ("passage 'nowhere'", "query 'de-q99'"))
    qrels.write_text("de-q0\tde0\t0\n")
    with pytest.raises(InputError, match="no query of de, en has a relevant passage"):
        stream_beir(beir)


def test_a_streamed_folder_on_the_command_line(beir, tmp_path, tiny_model):
    out = tmp_path / "out"
    arguments = ["--benchmark", str(beir), "--stream", "--model", str(tiny_model), "-o", str(out), "--resamples", "0"]
    assert run(["evaluate", *arguments]) == 0
    assert (out / "vectors").is_dir()
    assert json.loads((out / "metrics.json").read_text())["monolingual"]["map"] > 0
