import gzip

import huggingface_hub
import ir_measures
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from isoglot.core.errors import InputError, IsoglotError
from isoglot.data.benchmarks.miracl import HUB, fetch_miracl, load_miracl
from isoglot.encoders.to_disk import encode_shards, stream_of
from isoglot.measuring.disk_search import query_vectors
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.measuring.scoring import score, score_shards
from support.miracl import LANGS, SIZES, judgements, original, texts


def reupload(folder, mark="-"):
    """The Parquet layout."""
    for lang in LANGS:
        rows = {
            "corpus": [{"_id": d["docid"], "title": d["title"], "text": d["text"]} for d in texts(lang)],
            "queries": [{"_id": str(n), "text": f"question {n}"} for n in range(10)],
            "qrels": [{"query-id": str(q), "corpus-id": f"{p}#0", "score": s} for q, p, s in judgements(lang)],
        }
        for part, records in rows.items():
            home = folder / f"{lang}{mark}{part}"
            home.mkdir(parents=True)
            pq.write_table(pa.Table.from_pylist(records), home / "dev-00000-of-00001.parquet")
            pq.write_table(pa.Table.from_pylist(records[:1]), home / "train-00000-of-00001.parquet")
    return folder


def embed(rows, role):
    """Vectors of integers, the same for the same text, so that scores are exact."""
    return np.stack([np.random.default_rng(list(text.encode())).integers(-40, 41, 16) for text in rows]).astype(float)


def encoded(data, folder, size=16):
    folder.mkdir()
    encode_shards(stream_of(data), folder, lambda: embed, {}, size=size, kind="float32")
    return folder


def test_both_layouts_are_one_benchmark(tmp_path):
    first = load_miracl(original(tmp_path / "a"))
    for number, mark in enumerate("-/"):
        second = load_miracl(reupload(tmp_path / f"b{number}", mark))
        assert second.queries == first.queries
        assert second.answers == first.answers
        assert list(second.passages()) == list(first.passages())
    assert first.languages == LANGS
    assert len(first.queries) == 30
    assert first.answers["th:9"] == {}  # judged, and nothing answers it
    assert first.notes == ()
    assert first.answers["th:4"] == {"th:4#0": 1, "th:14#0": 1}
    assert next(first.passages()) == ("sw:0#0", "sw", "sw 0 passage 0")
    nested = tmp_path / "n"
    original(nested / "miracl")
    for lang in LANGS:
        name = f"miracl-corpus-v1.0-{lang}"
        (nested / "miracl-corpus").mkdir(exist_ok=True)
        (nested / "miracl" / name).rename(nested / "miracl-corpus" / name)
    assert load_miracl(nested).queries == first.queries


def test_languages_that_miracl_lacks_are_read_in_its_layouts(tmp_path):
    folder = reupload(tmp_path / "a")
    for part in ("corpus", "queries", "qrels"):
        (folder / f"th-{part}").rename(folder / f"el-{part}")
    (folder / "other-queries").mkdir()
    assert load_miracl(folder).languages == ("el", *(lang for lang in LANGS if lang != "th"))
    own = original(tmp_path / "b")
    for path in sorted(own.rglob("*1.0-th*"), key=lambda path: -len(path.parts)):
        path.rename(path.with_name(path.name.replace("1.0-th", "1.0-ro")))
    assert load_miracl(own, langs="ro").queries[0] == ("ro:0", "ro", "question 0")


def test_grades_are_kept_and_below_one_is_not_relevant(tmp_path):
    original(tmp_path)
    before = load_miracl(tmp_path, langs="th").checksum
    qrels = tmp_path / "miracl-v1.0-th" / "qrels" / "qrels.miracl-v1.0-th-dev.tsv"
    qrels.write_text("0 Q0 1#0 3\n0 Q0 2#0 -1\n0 Q0 3#0 0.5\n1 Q0 4#0 0\n2 Q0 5#0 1\n")
    data = load_miracl(tmp_path, langs="th")
    assert data.answers == {"th:0": {"th:1#0": 3}, "th:1": {}, "th:2": {"th:5#0": 1}}
    assert data.notes == data.benchmark().notes == ("7 queries without judgements are left out",)
    assert data.benchmark().grades.tolist() == [3, 1]
    assert data.checksum != before
    qrels.write_text("0 Q0 1#0 1\n0 Q0 1#0 0\n")
    with pytest.raises(InputError, match=r"tsv:2: query '0' judges passage '1#0' again, with 0 instead of 1"):
        load_miracl(tmp_path, langs="th")
    qrels.write_text("0 Q0 1#0 nan\n")
    with pytest.raises(InputError, match="grade 'nan' is not a number"):
        load_miracl(tmp_path, langs="th")


def test_hard_negatives_are_the_judged_passages(tmp_path):
    data = load_miracl(original(tmp_path), subset="hard-negatives", langs="th")
    benchmark = data.benchmark()
    assert benchmark.name == "miracl-dev-hard-negatives"
    # passages 0..8, 10..18 relevant, 11..19 judged not
    assert sorted(int(key[3:-2]) for key in benchmark.candidates.ids) == [*range(9), *range(10, 20)]
    assert [benchmark.candidates.ids[c] for c in benchmark.relevant(0)] == ["th:0#0", "th:10#0"]


@pytest.mark.parametrize(("size", "memory", "depth"), [(16, 10**6, 200), (1000, 10**9, 200), (7, 30_000, 120)])
def test_streamed_search_equals_everything_in_memory(tmp_path, size, memory, depth):
    data = load_miracl(original(tmp_path / "m"))
    place = encoded(data, tmp_path / "v", size)
    streamed = score_shards(data, place, name="s", depth=depth, memory=memory)
    benchmark = data.benchmark()
    vectors = [embed(part.texts, "") for part in (benchmark.queries, benchmark.candidates)]
    whole = score(benchmark, *((v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in vectors))
    assert streamed.candidates == whole.candidates == SIZES
    assert streamed.groups == whole.groups
    for setting in (MONO, POOL):
        for measure in ("ndcg@10", "recall@100", "recall@1"):
            np.testing.assert_allclose(
                streamed.values[setting, measure].matrix, whole.values[setting, measure].matrix, err_msg=measure
            )
    np.testing.assert_allclose(
        streamed.values[POOL, "same_language@10"].matrix, whole.values[POOL, "same_language@10"].matrix
    )
    assert (streamed.depth is None) == (depth >= sum(SIZES.values()))


def test_a_streamed_search_agrees_with_trec_eval(tmp_path):
    data = load_miracl(original(tmp_path / "m"), langs="sw")
    result = score_shards(data, encoded(data, tmp_path / "v"), name="s")
    passages = list(data.passages())
    q, p = embed([text for *_, text in data.queries], ""), embed([text for *_, text in passages], "")
    scores = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (p / np.linalg.norm(p, axis=1, keepdims=True)).T
    qrels = [ir_measures.Qrel(f"sw:{query}", f"sw:{passage}#0", grade) for query, passage, grade in judgements("sw")]
    run = [
        ir_measures.ScoredDoc(key, passage, float(value))
        for (key, *_), row in zip(data.queries, scores, strict=True)
        for (passage, *_), value in zip(passages, row, strict=True)
    ]
    expected = ir_measures.calc_aggregate([ir_measures.nDCG @ 10, ir_measures.R @ 100], qrels, run)
    assert result.macro(MONO, "ndcg@10") == pytest.approx(expected[ir_measures.nDCG @ 10])
    assert result.macro(MONO, "recall@100") == pytest.approx(expected[ir_measures.R @ 100])


def test_distraction_is_reported_and_rank_distance_is_not(tmp_path):
    data = load_miracl(original(tmp_path / "m"))
    record = score_shards(data, encoded(data, tmp_path / "v"), name="s").metrics()
    drop = record["distraction"]
    assert drop["ndcg@10"] == pytest.approx(record[MONO]["ndcg@10"] - record[POOL]["ndcg@10"])
    assert drop["ndcg@10"] > 0
    own = record["per_language"]["th"]
    assert drop["per_language"]["th"]["map"] == pytest.approx(own[MONO]["map"] - own[POOL]["map"])
    assert "rank_distance" not in record[POOL]
    assert any("rank distance" in note for note in record["notes"])
    assert np.isnan(record[CROSS]["map"])


def test_vectors_that_do_not_fit_the_data_are_refused(tmp_path):
    data = load_miracl(original(tmp_path / "m"))
    some = load_miracl(tmp_path / "m", langs=["sw", "th"])
    assert some.checksum == load_miracl(tmp_path / "m", langs="sw,th").checksum
    with pytest.raises(InputError, match="no vector for 10 queries"):
        score_shards(data, encoded(some, tmp_path / "few"), name="s")
    place = encoded(data, tmp_path / "all")
    with pytest.raises(InputError, match="passages in yo; encode with the same `langs`"):
        score_shards(some, place, name="s")
    with pytest.raises(InputError, match="no vector for 1 queries"):
        query_vectors(place, ["sw:0", "sw:77"])


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(InputError, match="no MIRACL files here"):
        load_miracl(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        load_miracl(tmp_path / "nowhere")
    original(tmp_path)
    with pytest.raises(InputError, match="no de here; there are: sw, th, yo"):
        load_miracl(tmp_path, langs="de")
    qrels = tmp_path / "miracl-v1.0-sw" / "qrels" / "qrels.miracl-v1.0-sw-dev.tsv"
    qrels.write_text("77 Q0 1#0 1\n0 Q0 1#0 good\n0 Q0 1#0\n")
    with pytest.raises(InputError) as caught:
        load_miracl(tmp_path)
    assert all(part in str(caught.value) for part in ("query '77'", "grade 'good'", ":3: 3 columns; expected 4"))
    documents = tmp_path / "miracl-corpus-v1.0-th" / "docs-1.jsonl.gz"
    documents.write_bytes(gzip.compress(b'{"docid": 3, "text": "x"}\n'))
    with pytest.raises(InputError, match=r"docs-1\.jsonl\.gz:1: no text in docid"):
        list(load_miracl(tmp_path, langs="th").passages())
    qrels.write_text("0 Q0 99#0 1\n")
    with pytest.raises(InputError, match=r"1 relevant passages are not in the corpus \(sw:99#0\)"):
        load_miracl(tmp_path, langs="sw").benchmark()


def test_tables_with_gaps_are_named(tmp_path):
    reupload(tmp_path)
    queries, qrels = (tmp_path / f"sw-{part}" / "dev-00000-of-00001.parquet" for part in ("queries", "qrels"))
    pq.write_table(pa.table({"_id": ["0", "1", None], "text": ["question", None, "question"]}), queries)
    pq.write_table(pa.table({"query-id": ["0"] * 2, "corpus-id": ["1#0"] * 2, "score": ["1", None]}), qrels)
    with pytest.raises(InputError) as caught:
        load_miracl(tmp_path, langs="sw")
    for part in ("00001.parquet:2: no id, or no text", "00001.parquet:3: no id", ":2: grade None is not a number"):
        assert part in str(caught.value)


def test_the_hub_is_asked_for_a_pinned_revision(tmp_path, monkeypatch):
    asked = {}

    def snapshot_download(name, **wanted):
        asked.update(wanted, name=name)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert fetch_miracl(HUB["hard-negatives"], ("sw",)) == tmp_path
    assert asked["name"] == "mteb/MIRACLRetrievalHardNegatives"
    assert asked["repo_type"] == "dataset"
    assert len(asked["revision"]) == 40
    assert "sw-corpus*" in asked["allow_patterns"]
    with pytest.raises(InputError, match="name a revision"):
        fetch_miracl("mteb/MIRACLRetrieval", ("sw",))

    def offline(*_, **__):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(IsoglotError, match="cannot be fetched") as caught:
        fetch_miracl(HUB["full"], ("sw",), offline=False)
    assert caught.value.exit_code == 1
    with pytest.raises(InputError, match="name its folder as `data_dir`"):
        fetch_miracl(HUB["full"], ("sw",), offline=True)
