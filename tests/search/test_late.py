"""Late interaction on what a search finds: `rerank="late"`, with the index's own model."""

import numpy as np
import pytest

from isoglot import Benchmark, Searcher, build_index
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.encoders.late_interaction import LateInteraction, mixed
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.search import passage_documents, score_index
from isoglot.search.candidates import Candidate, reranked_late
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage

CPU = ModelOptions(device="cpu", precision="fp32")
TEXTS = ["The sky was blue.", "eins zwei drei vier", "Blue is the sky and the sea.", "vier drei zwei eins"]


@pytest.fixture
def place(tmp_path, tiny_model):
    notes = [{"lang": "de" if "z" in text else "en", "title": "Note", "text": text} for text in TEXTS]
    build_index(notes, tmp_path / "index", str(tiny_model))
    return tmp_path / "index"


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("feedback", [False, True])
def test_the_best_are_scored_by_their_tokens_too(place, tiny_model, light, feedback):
    searcher = Searcher.open(place, options=CPU, light=light)
    plain = {hit.id: hit.score for hit in searcher.search("What is blue?", feedback=feedback)}
    hits = searcher.search("What is blue?", rerank="late", feedback=feedback)
    late = LateInteraction(open_embedder(str(tiny_model), CPU))
    tokens = late.late("What is blue?", [f"{hit.title} {hit.text}" for hit in hits])
    wanted = mixed(np.array([plain[hit.id] for hit in hits]), tokens, drawn=feedback)
    np.testing.assert_allclose([hit.score for hit in hits], wanted, atol=1e-4)
    np.testing.assert_allclose([hit.parts["late"] for hit in hits], tokens, atol=1e-4)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert searcher.search_many(["What is blue?"], rerank="late", feedback=feedback)[0] == hits
    searcher.close()


def test_an_evaluation_ranks_as_single_searches_do(tmp_path, tiny_model):
    """After feedback, late interaction has less weight: in an evaluation too."""
    benchmark = Benchmark.from_dicts(
        queries={"q1": "What is blue?", "q2": "zwei drei"},
        passages={str(number): text for number, text in enumerate(TEXTS)},
        qrels={"q1": {"0": 1}, "q2": {"1": 1}},
        languages={"q1": "en", "q2": "de", "0": "en", "1": "de", "2": "en", "3": "de"},
    )
    build_index(passage_documents(benchmark), tmp_path / "index", str(tiny_model))
    scores = []

    class Spy(Searcher):
        def search_many(self, queries, **how):
            found = super().search_many(queries, **how)
            if how["langs"] is None:
                scores.extend({hit.id: hit.score for hit in hits} for hits in found)
            return found

    with Spy.open(tmp_path / "index", options=CPU) as searcher:
        score_index(searcher, benchmark, feedback=True, rerank="late")
        evaluated = list(scores)
        for query, found in zip(benchmark.queries.texts, evaluated, strict=True):
            single = {hit.id: hit.score for hit in searcher.search(query, k=100, feedback=True, rerank="late")}
            assert found == pytest.approx(single, abs=1e-6)
    assert len(evaluated) == 2


def test_another_model_s_tokens(place, tiny_model):
    searcher = Searcher.open(place, options=CPU)
    own, other = (searcher.search("zwei", rerank=name) for name in ("late", f"late:{tiny_model}"))
    assert sorted(hit.id for hit in own) == sorted(hit.id for hit in other)
    assert "late" not in other[0].parts
    searcher.close()


def test_words_alone_have_the_least_cosine_among_the_others():
    class Tokens:
        def late(self, query, passages):
            return np.array([0.5, 0.5, 0.9], np.float32)

    def found(**parts):
        return Candidate(Passage(str(parts), str(parts), "text", "en"), parts)

    near, nearer, matched = found(dense=0.2), found(dense=0.4), found(lexical=3.0)
    ranked = reranked_late(Tokens(), "any", [near, nearer, matched], drawn=False)
    assert ranked == [matched, nearer, near]
    assert matched.score == pytest.approx(float(mixed(np.array(0.2), np.array(0.9))))
    # Among those of its own language, if there are any.
    foreign = Candidate(Passage("fr", "fr", "texte", "fr"), {"dense": 0.1})
    reranked_late(Tokens(), "any", [near, foreign, matched], drawn=False)
    assert matched.score == pytest.approx(float(mixed(np.array(0.2), np.array(0.9))))
    (*_, last) = reranked_late(Tokens(), "any", [found(lexical=float(number)) for number in range(3)], drawn=False)
    assert last.score == pytest.approx(float(mixed(np.array(0.0), np.array(0.5))))


def test_all_modes_take_it(place):
    searcher = Searcher.open(place, options=CPU)
    for how in ({"mode": "lexical"}, {"mode": "hybrid"}, {"fair": "balanced"}, {"mode": "hybrid", "feedback": True}):
        hits = searcher.search("zwei blue", rerank="late", k=2, **how)
        assert len(hits) == 2
        assert all("late" in hit.parts for hit in hits)
    assert searcher.search("xylophone", mode="lexical", rerank="late") == []
    searcher.close()


def test_an_index_of_a_function_has_no_tokens():
    index = MemoryIndex([Passage("1", "1", "text", "en")], np.ones((1, 2), np.float32) / np.sqrt(2))
    searcher = Searcher(index, lambda texts, role: np.ones((len(texts), 2)))
    with pytest.raises(InputError, match="late interaction compares tokens"):
        searcher.search("any", rerank="late")
    with pytest.raises(InputError, match="no encoder"):
        Searcher(index).search("any", vector=np.array([1, 0], np.float32), rerank="late")


def test_the_command_line(place, tiny_model, rows_file, tmp_path, capsys):
    assert run(["search", str(place), "zwei", "--rerank", "late", "-k", "2"]) == 0
    assert "zwei" in capsys.readouterr().out
    source = ["--benchmark", "rows", "--rows", str(rows_file)]
    common = [*source, "--model", str(tiny_model), "--resamples", "0"]
    assert run(["evaluate", *common, "--late", "-o", str(tmp_path / "late")]) == 0
    assert run(["evaluate", *common, "-o", str(tmp_path / "plain")]) == 0
    late, plain = (read_json(tmp_path / name / "metrics.json") for name in ("late", "plain"))
    assert late["multilingual"]["map"] != plain["multilingual"]["map"]
    assert any("late interaction" in note for note in late["notes"])
    assert read_json(tmp_path / "late" / "run.json")["settings"]["late"] is True
    capsys.readouterr()
    for flags, message in (
        (["--write-trec"], "--write-trec by vectors only"),
        (["--devices", "cpu,cpu"], "leave out --devices and --on"),
        (["--model", "endpoint:http://127.0.0.1:9/v1#m"], "needs one local model"),
        (["--index", str(place)], "--rerank late"),
        (["--vectors", str(tmp_path)], "--vectors are of whole texts"),
        (["--run", "x.run"], "not a run"),
    ):
        model = [] if flags[0] in ("--run", "--model", "--index", "--vectors") else ["--model", str(tiny_model)]
        assert run(["evaluate", *source, *model, *flags, "--late", "-o", str(tmp_path / "no")]) == 2
        assert message in capsys.readouterr().err
