"""Searching twice: translations that the first search finds late come up, and nothing else is asked."""

import numpy as np
import pytest

from isoglot import Benchmark, Searcher, build_index, evaluate
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.encoders.debias import Sample
from isoglot.encoders.debias_fits import fit
from isoglot.measuring.benchmark_vectors import fed_back
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.search import passage_documents, score_index
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from support.passages import some_passages, write_index

TOPIC, OTHER, GERMAN, THAI, WORDING = np.eye(5)


def unit(vector):
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


# The question shares its wording with German passages; the Thai answer is nearer to the German one than to it.
VECTORS = {
    "answer-de": unit(TOPIC + GERMAN + 0.6 * WORDING),
    "answer-th": unit(1.6 * TOPIC + THAI),
    "other-de": unit(OTHER + GERMAN + 1.2 * WORDING),
    "other-th": unit(OTHER + THAI + 0.9 * WORDING),
}
QUERY = unit(0.45 * TOPIC + 0.3 * GERMAN + WORDING)
PASSAGES = [Passage(key, key, f"{key} words", key[-2:], metadata={"year": 2000 + n}) for n, key in enumerate(VECTORS)]


@pytest.fixture
def searcher():
    index = MemoryIndex(PASSAGES, np.stack(list(VECTORS.values())))
    return Searcher(index, lambda texts, role: np.stack([QUERY] * len(texts)))


def ids(hits):
    return [hit.id for hit in hits]


def test_a_translation_comes_up(searcher, monkeypatch):
    plain = ids(searcher.search("any"))
    assert plain.index("answer-th") == 3
    monkeypatch.setattr("isoglot.search.query_encoding.PASSAGES", 2)
    drawn = searcher.search("any", feedback=True)
    assert ids(drawn).index("answer-th") < 3
    assert ids(drawn)[0] == "answer-de"
    assert [hit.parts for hit in drawn] == [{"dense": hit.score} for hit in drawn]


def test_languages_are_asked_for_results_and_not_for_feedback(searcher):
    everywhere = {hit.id: hit.score for hit in searcher.search("any", feedback=True)}
    thai = searcher.search("any", langs=["th"], feedback=True)
    assert {hit.lang for hit in thai} == {"th"}
    assert [hit.score for hit in thai] == pytest.approx([everywhere[hit.id] for hit in thai])


def test_what_a_filter_leaves_out_feeds_nothing_back(searcher):
    """Among one passage there is one to be drawn to."""
    (hit,) = searcher.search("any", where="year = 2002", feedback=True)
    assert hit.id == "other-de"
    assert hit.score == pytest.approx(float(unit(QUERY + VECTORS["other-de"]) @ VECTORS["other-de"]), abs=1e-6)


def test_several_queries_and_given_vectors_are_drawn_alike(searcher):
    alone = searcher.search("any", feedback=True)
    many = searcher.search_many(["any", "else"], feedback=True)
    assert many == [alone, alone]
    vectors = searcher.query_vectors(["any"])
    assert searcher.search_many(["any"], vectors=vectors, feedback=True) == [alone]
    assert searcher.search_many(["any"], vectors=searcher.drawn(vectors)) == [alone]
    assert ids(searcher.search("words", mode="hybrid", feedback=True)) != ids(searcher.search("words", mode="lexical"))


@pytest.mark.parametrize("length", [0.1, 10, -1])
def test_a_vectors_length_does_not_matter(searcher, length):
    vector = searcher.query_vectors(["any"])[0]
    found = searcher.search("any", vector=abs(length) * vector, feedback=True)
    expected = searcher.search("any", vector=vector, feedback=True)
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    np.testing.assert_allclose(np.linalg.norm(searcher.drawn([length * vector]), axis=1), 1, atol=1e-6)


def test_vectors_that_cannot_be_drawn_are_refused(searcher):
    vectors = searcher.query_vectors(["any"])
    for wrong, said in (
        (vectors[0], "vector: "),
        (vectors[:, :3], "5 numbers a query"),
        (vectors[None], "expected what `query_vectors` makes"),
        ("abc", "vectors: given as str"),
        (None, "vectors: given as None"),
        (vectors * np.nan, "vector: holds NaN"),
    ):
        with pytest.raises(InputError, match=said):
            searcher.drawn(wrong)
    with pytest.raises(InputError, match="where: given as int; expected a filter as text"):
        searcher.drawn(vectors, 3)
    assert searcher.drawn(vectors[:0]).shape == (0, 5)
    np.testing.assert_array_equal(searcher.drawn(vectors.tolist()), searcher.drawn(vectors))


def test_words_are_compared_with_no_vector(searcher):
    vector = searcher.query_vectors(["any"])[0]
    assert searcher.search("words", vector=vector, mode="lexical") == searcher.search("words", mode="lexical")


def test_what_cannot_be_is_refused(searcher):
    with pytest.raises(InputError, match=r"feedback: given as numpy\.bool; expected True or False"):
        searcher.search("any", feedback=np.True_)
    with pytest.raises(InputError, match="feedback: moves vectors, and mode 'lexical' has none"):
        searcher.search("any", mode="lexical", feedback=True)
    with pytest.raises(InputError, match="feedback: given as int; expected True or False"):
        searcher.search("any", feedback=1)
    with pytest.raises(InputError, match="more_like takes no feedback"):
        searcher.more_like("answer-de", feedback=True)


@pytest.mark.parametrize("numbers", ["float32", "float16", "int8"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_stored_index_gives_the_vectors_that_it_compares(tmp_path, monkeypatch, numbers, in_memory):
    passages, vectors = some_passages()
    if not in_memory:
        monkeypatch.setattr("isoglot.search.index.vectors_in_memory.MOST_BYTES", 0)
    with_index = Searcher.open(write_index(tmp_path / "i", passages, vectors, numbers=numbers), lambda t, r: vectors)
    index = with_index._index
    assert index._stays_in_memory is in_memory
    near = index.nearest_vectors(vectors[7], 12)
    found = index.nearest(vectors[7], 12)
    assert near.vectors.dtype == near.cosines.dtype == np.float32
    for row, (passage, score) in zip(near.vectors, found, strict=True):
        np.testing.assert_allclose(row, index.passage(passage.id)[1], atol=1e-6)
        assert float(row @ vectors[7]) == pytest.approx(score, abs=1e-3 if numbers != "float32" else 1e-5)
    np.testing.assert_allclose(near.cosines, [score for _, score in found], atol=1e-6)


@pytest.mark.parametrize("numbers", ["float32", "float16", "int8"])
@pytest.mark.parametrize("ann", [True, False])
def test_on_disk_a_filter_may_leave_nothing(tmp_path, monkeypatch, numbers, ann):
    monkeypatch.setattr("isoglot.search.index.lance.fits", lambda passages, dimension: False)
    passages, vectors = some_passages(100, parts=1)
    about = {"ann_from": 0} if ann and numbers != "int8" else {}
    folder = write_index(tmp_path / "i", passages, vectors, numbers=numbers, **about)
    searcher = Searcher(LanceIndex(folder))
    how = {"vector": vectors[7], "feedback": True}
    assert searcher.search("any", where="year > 3000", **how) == []
    assert len(searcher.search("any", where="year = 2007", **how)) == 3
    searcher.close()
    with pytest.raises(InputError, match="the index was closed; open it again"):
        searcher.search("any", **how)


def plane(texts, role):
    """The numbers that a text begins with, as a vector."""
    return [
        [float(part) if part.lstrip("-").isdigit() else 1.0 for part in [*text.split(), *"111"][:3]] for text in texts
    ]


BENCHMARK = Benchmark.from_dicts(
    queries={"q1": "9 1 1 eins", "q2": "1 9 4 two"},
    passages={"d1": "9 3 0 eins", "d2": "6 6 1 zwei", "e1": "6 0 8 one", "e2": "2 9 0 two", "e3": "0 3 9 three"},
    qrels={"q1": {"d1": 1, "e1": 1}, "q2": {"d2": 1, "e2": 1}},
    languages={key: "de" if key in ("q1", "d1", "d2") else "en" for key in ("q1", "q2", "d1", "d2", "e1", "e2", "e3")},
    groups={"q1": "g", "q2": "h"},
)


@pytest.mark.parametrize("method", [None, "center", "csls"])
def test_an_index_is_measured_as_its_vectors_are(tmp_path, method):
    debias = None
    if method is not None:
        rng = np.random.default_rng(0)
        samples = [
            Sample(np.stack([unit(row) for row in rng.random((40, 3))]), ["de", "en"] * 20, role)
            for role in ("query", "passage")
        ]
        debias = fit(method, samples)
        debias.save(tmp_path / "correction.npz")
    correction = None if debias is None else tmp_path / "correction.npz"
    build_index(passage_documents(BENCHMARK), tmp_path / "i", plane, debias=correction)
    searched = score_index(Searcher.open(tmp_path / "i", plane), BENCHMARK, feedback=True)
    ranked = evaluate(plane, BENCHMARK, debias=debias, feedback=True)
    plain = evaluate(plane, BENCHMARK, debias=debias)
    for setting in (MONO, CROSS, POOL):
        np.testing.assert_array_equal(searched.values[setting, "map"].matrix, ranked.values[setting, "map"].matrix)
    assert any("every query was first moved towards its 10 best passages" in note for note in searched.notes)
    assert any("every query was first moved" in note for note in ranked.notes)
    assert not any("drawn" in note for note in plain.notes)


def test_nobody_is_asked_before_a_refusal(tmp_path):
    asked = []
    build_index(passage_documents(BENCHMARK), tmp_path / "i", plane)
    searcher = Searcher.open(tmp_path / "i", plane)
    with pytest.raises(InputError, match="mode 'lexical' has none"):
        score_index(searcher, BENCHMARK, expand=asked.append, mode="lexical", feedback=True)
    assert asked == []


def test_no_queries_are_drawn_to_nothing():
    assert fed_back(np.empty((0, 3), np.float32), np.eye(3, dtype=np.float32)).shape == (0, 3)


def test_a_large_benchmark_is_drawn_block_by_block(monkeypatch):
    whole = evaluate(plane, BENCHMARK, feedback=True)
    monkeypatch.setattr("isoglot.measuring.benchmark_vectors._TOGETHER", 1)
    again = evaluate(plane, BENCHMARK, feedback=True)
    np.testing.assert_array_equal(again.top, whole.top)


def test_from_the_command_line(tmp_path, tiny_model, rows_file, capsys):
    def isoglot(words, *more):
        code = run([*words.split(), *map(str, more)])
        return code, *capsys.readouterr()

    rows = f"--benchmark rows --rows {rows_file}"
    index, measure = f"{tmp_path}/i", f"evaluate {rows} --feedback --resamples 0"
    assert isoglot(f"index {rows} --model {tiny_model} -o {index}")[0] == 0
    assert isoglot(f"{measure} --model {tiny_model} --write-trec -o {tmp_path}/a")[0] == 0
    assert isoglot(f"{measure} --index {index} --depth 1000 -o {tmp_path}/b")[0] == 0
    ours, searched = (read_json(tmp_path / name / "metrics.json") for name in "ab")
    assert searched["model"].endswith("i (dense, feedback)")
    assert read_json(tmp_path / "a" / "run.json")["settings"]["feedback"] is True
    for setting in (MONO, CROSS, POOL):
        # Not equal: the index splits passages that are longer than the model reads, where `evaluate` cuts them.
        assert searched[setting]["map"] == pytest.approx(ours[setting]["map"], rel=0.15)
    drawn = isoglot(f"search {index} anything --json --feedback")
    assert drawn[0] == 0
    assert drawn[1] != isoglot(f"search {index} anything --json")[1]
    for words, said in (
        (f"search {index} x --mode lexical --feedback", "mode 'lexical' has none"),
        (f"search {index} --like x --feedback", "--like: searches with the passage's own vector"),
        (f"{measure} --run {tmp_path}/a/trec -o {tmp_path}/c", "--fair, --late and --in-context need vectors"),
    ):
        code, _, told = isoglot(words)
        assert (code, said in told) == (2, True)
