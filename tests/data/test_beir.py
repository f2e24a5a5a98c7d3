import gzip
import json

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.beir import load_beir, stream_beir
from isoglot.data.benchmarks.named import load_benchmark
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.measuring.scoring import score


def lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


@pytest.fixture
def folder(tmp_path):
    """Two questions in de and en (one group each), answered by one passage in each language; one unjudged query."""
    corpus = [
        {"_id": f"{lang}{n}", "title": f"T{n}" if n else "", "text": f"text {n}", "metadata": {"lang": lang}}
        for lang in ("de", "en")
        for n in range(4)
    ]
    queries = [
        {"_id": f"{lang}-q{n}", "text": f"question {n}", "metadata": {"lang": lang, "group": f"g{n}"}}
        for lang in ("de", "en")
        for n in range(3)
    ]
    (tmp_path / "corpus.jsonl").write_text(lines(corpus))
    (tmp_path / "queries.jsonl").write_text(lines(queries))
    (tmp_path / "qrels").mkdir()
    qrels = [f"{lang}-q{n}\t{other}{n}\t1" for lang in ("de", "en") for other in ("de", "en") for n in range(2)]
    (tmp_path / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *qrels, "de-q0\tde3\t0"]))
    return tmp_path


def test_pools_pairs_and_bias(folder):
    benchmark = load_beir(folder, "mine")
    assert (benchmark.name, benchmark.languages, benchmark.groups) == ("mine", ("de", "en"), ["g0", "g1"])
    assert benchmark.queries.ids == ["de-q0", "de-q1", "en-q0", "en-q1"]
    assert benchmark.notes == ("2 queries without judgements are left out",)
    assert benchmark.candidates.texts[:2] == ["text 0", "T1 text 1"]
    assert [benchmark.candidates.ids[c] for c in benchmark.relevant(0)] == ["de0", "en0"]
    meaning = np.eye(4, dtype=np.float32)
    result = score(benchmark, meaning[benchmark.group], meaning[[0, 1, 2, 3] * 2])
    record = result.metrics()
    assert record[CROSS]["map"] == record[POOL]["map"] == 1
    assert record[POOL]["rank_distance"] == 1
    assert record["pairs"]["de>en"]["map"] == 1


def test_languages_restrict_queries_and_pool(folder):
    benchmark = load_beir(folder, langs="en")
    assert benchmark.queries.ids == ["en-q0", "en-q1"]
    assert benchmark.candidates.ids == ["en0", "en1", "en2", "en3"]
    assert [len(benchmark.relevant(q)) for q in range(2)] == [1, 1]
    assert load_beir(folder, langs=["en"]).checksum == benchmark.checksum
    assert load_benchmark("beir", folder, langs=["EN"]).checksum == benchmark.checksum
    (folder / "qrels" / "own.tsv").write_text("de-q0\tde0\t1\nen-q0\ten0\t1\n")
    assert stream_beir(folder, split="own", langs=["en"]).languages == ("en",)
    with pytest.raises(InputError, match="no fr here; there are: de, en"):
        load_beir(folder, langs="fr")


def test_a_query_judged_for_other_languages_only_is_not_judged(folder):
    (folder / "qrels" / "test.tsv").write_text("de-q0\tde0\t1\nde-q1\ten1\t1\nde-q2\tde1\t0\n")
    assert load_beir(folder, langs="de").queries.ids == ["de-q0", "de-q2"]
    assert load_beir(folder).queries.ids == ["de-q0", "de-q1", "de-q2"]


def test_gzipped(folder):
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress((folder / "corpus.jsonl").read_bytes()))
    (folder / "corpus.jsonl").unlink()
    assert len(load_beir(folder).candidates) == 8
    (folder / "corpus.jsonl.gz").write_bytes((folder / "corpus.jsonl.gz").read_bytes()[:-9])
    with pytest.raises(InputError, match="broken or truncated gzip"):
        load_beir(folder)


def test_grades_are_kept_and_below_one_is_not_relevant(folder):
    binary = load_beir(folder)
    assert binary.grades.tolist() == [1] * 8
    qrels = "de-q0\tde0\t2\nde-q0\tde1\t3.0\nde-q0\tde2\t0\nde-q0\tde3\t-1\nen-q0\ten0\t0.9\n"
    (folder / "qrels" / "test.tsv").write_text(qrels)
    benchmark = load_beir(folder)
    assert benchmark.queries.ids == ["de-q0", "en-q0"]
    assert benchmark.gold_offsets.tolist() == [0, 2, 2]
    assert [benchmark.candidates.ids[c] for c in benchmark.gold] == ["de0", "de1"]
    assert benchmark.grades.tolist() == [2, 3]
    (folder / "qrels" / "test.tsv").write_text(qrels.replace("\t2\n", "\t1\n"))
    assert load_beir(folder).checksum != benchmark.checksum


def test_qrels_as_trec_writes_them(folder):
    whole = load_beir(folder)
    lines = (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]
    (folder / "qrels" / "test.tsv").unlink()
    text = "".join("{} 0 {}   {}\n".format(*line.split("\t")) for line in lines)
    (folder / "qrels" / "test.qrels").write_text(text)
    assert load_beir(folder).checksum == whole.checksum


def test_everything_wrong_is_named_at_once(folder):
    with (folder / "corpus.jsonl").open("a") as out:
        out.write('{"_id": "x", "text": "no language"}\nnot json\n[]\n')
        out.write('{"_id": "de0", "text": "again", "metadata": {"lang": "de"}}\n')
    with (folder / "qrels" / "test.tsv").open("a") as out:
        out.write("\nde-q9\tde0\t1\nde-q0\tnowhere\t1\nde-q0\tde0\tmuch\nshort\n")
    with pytest.raises(InputError) as caught:
        load_beir(folder)
    for part in (
        "8 problems",
        "corpus.jsonl:9: no text in metadata.lang",
        "corpus.jsonl:10: not a JSON object",
        "corpus.jsonl:11: expected a JSON object, got list",
        "corpus.jsonl:12: id 'de0' is used twice",
        "query 'de-q9' is not in queries.jsonl",
        "passage 'nowhere' is not in corpus.jsonl",
        "score 'much' is not a number",
        "1 columns; expected 3",
    ):
        assert part in str(caught.value)


def test_a_second_grade_is_refused_and_a_repeated_one_is_not(folder):
    path = folder / "qrels" / "test.tsv"
    written = path.read_text()
    path.write_text(f"{written}\nde-q0\tde3\t0\n")
    assert load_beir(folder).grades.tolist() == [1] * 8
    path.write_text(f"{written}\nde-q0\tde0\t0\n")
    for opened in (load_beir, stream_beir):
        with pytest.raises(InputError, match=r"tsv:11: query 'de-q0' judges passage 'de0' again, with 0 instead of 1"):
            opened(folder)


@pytest.mark.parametrize("score", ["nan", "True", "-inf", "null"])
def test_a_judgement_in_the_first_line_is_no_header(folder, score):
    path = folder / "qrels" / "test.tsv"
    path.write_text(path.read_text().replace("query-id\tcorpus-id\tscore", f"de-q0\tde3\t{score}"))
    with pytest.raises(InputError, match=f"tsv:1: score '{score}' is not a number"):
        load_beir(folder)


def test_qrels_without_a_line(folder):
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    with pytest.raises(InputError, match=r"test\.tsv: judges no query"):
        load_beir(folder)


def test_missing_files(folder, tmp_path):
    with pytest.raises(InputError, match=r"dev\.tsv: no such file; .* as `split`: test$"):
        load_beir(folder, split="dev")
    (folder / "queries.jsonl").unlink()
    with pytest.raises(InputError, match=r"queries\.jsonl: no such file"):
        load_beir(folder)


def test_a_corpus_on_disk_counts_the_same_queries_as_one_in_memory(folder, tmp_path):
    """Nothing relevant counts as 0, also where that holds for a whole language; without judgements is left out."""
    from isoglot.encoders.to_disk import encode_shards, stream_of
    from isoglot.measuring.scoring import score_shards

    (folder / "qrels" / "test.tsv").write_text("de-q0\tde0\t1\nde-q1\tde1\t0\nen-q0\ten1\t-1\nen-q1\ten3\t0\n")

    def embed(rows, role):
        vectors = np.stack([np.random.default_rng(list(text.encode())).standard_normal(8) for text in rows])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    streamed, whole = stream_beir(folder, "mine"), load_beir(folder, "mine")
    assert streamed.notes == whole.notes == ("2 queries without judgements are left out",)
    assert [key for key, _, _ in streamed.queries] == whole.queries.ids == ["de-q0", "de-q1", "en-q0", "en-q1"]
    place = tmp_path / "vectors"
    place.mkdir()
    encode_shards(stream_of(streamed), place, lambda: embed, {}, size=4, kind="float32")
    vectors = [embed(part.texts, "").astype(np.float32) for part in (whole.queries, whole.candidates)]
    on_disk, in_memory = score_shards(streamed, place, name="s"), score(whole, *vectors)
    assert "3 judged queries have no relevant passage: counted as 0, as in trec_eval" in on_disk.notes
    for measure in ("map", "ndcg@10", "recall@10"):
        expected = in_memory.values[POOL, measure].matrix
        assert np.count_nonzero(~np.isnan(expected)) == 4
        np.testing.assert_allclose(on_disk.values[POOL, measure].matrix, expected)


def test_queries_on_disk_may_mix_languages(folder, tmp_path):
    """A benchmark sorts its queries by language; what was searched for each in the file's order is still its own."""
    from isoglot.encoders.to_disk import encode_shards, stream_of
    from isoglot.measuring.scoring import score_shards

    mixed = [("en", 0), ("de", 2), ("de", 0), ("en", 2), ("de", 1), ("en", 1)]
    queries = [
        {"_id": f"{lang}-q{n}", "text": f"{lang} {n}", "metadata": {"lang": lang, "group": f"g{n}"}}
        for lang, n in mixed
    ]
    (folder / "queries.jsonl").write_text(lines(queries))
    (folder / "qrels" / "test.tsv").write_text("".join(f"{lang}-q{n}\t{lang}{n}\t{n + 1}\n" for lang, n in mixed))

    def embed(rows, role):
        vectors = np.stack([np.random.default_rng([len(role), *text.encode()]).standard_normal(8) for text in rows])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    streamed, whole = stream_beir(folder, "mine"), load_beir(folder, "mine")
    place = tmp_path / "vectors"
    place.mkdir()
    encode_shards(stream_of(streamed), place, lambda: embed, {}, size=5, kind="float32")
    parts = ((whole.queries, "query"), (whole.candidates, "passage"))
    in_memory = score(whole, *(embed(part.texts, role).astype(np.float32) for part, role in parts))
    on_disk = score_shards(streamed, place, name="s")
    assert np.unique(in_memory.values[MONO, "map"].matrix).size > 2
    for key in ((MONO, "map"), (POOL, "mrr"), (POOL, "ndcg@10"), (POOL, "same_language@10")):
        np.testing.assert_allclose(on_disk.values[key].matrix, in_memory.values[key].matrix, err_msg=str(key))


def without_languages(folder):
    for name in ("corpus.jsonl", "queries.jsonl"):
        records = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        (folder / name).write_text(lines([{**record, "metadata": {}} for record in records]))
    return folder


@pytest.mark.parametrize("read", [load_beir, stream_beir])
def test_one_code_is_the_language_of_lines_that_name_none(folder, read):
    benchmark = read(without_languages(folder), langs="eng")
    assert benchmark.languages == ("en",)
    if read is load_beir:
        assert len(benchmark.queries) == 4
        assert len(benchmark.candidates) == 8
    else:
        assert len(list(benchmark.passages())) == 8
        assert benchmark.benchmark().languages == ("en",)


@pytest.mark.parametrize("read", [load_beir, stream_beir])
@pytest.mark.parametrize("langs", [None, "de,en"])
def test_lines_without_a_language_bring_no_further_errors(folder, read, langs):
    with pytest.raises(InputError) as caught:
        read(without_languages(folder), langs=langs)
    said = str(caught.value)
    assert said.startswith("14 problems in the input:")
    assert "no text in metadata.lang" in said
    assert "is not in" not in said
    assert "`langs` with one code, such as en" in said
