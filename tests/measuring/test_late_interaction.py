"""Late interaction of a benchmark: every setting from a matrix of scores."""

from dataclasses import replace

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.encoders.debias import Sample
from isoglot.encoders.debias_fits import center
from isoglot.encoders.in_context import joined
from isoglot.encoders.late_interaction import late_scores, mixed
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.measuring import evaluate
from isoglot.measuring.benchmark_vectors import encode_benchmark
from isoglot.measuring.late_interaction import late_matrix
from isoglot.measuring.scoring import score, score_matrix

CPU = ModelOptions(device="cpu", precision="fp32")


@pytest.fixture
def benchmark(lareqa_folder):
    return load_lareqa(lareqa_folder, "mini")


@pytest.fixture
def encoder(tiny_model):
    return open_embedder(str(tiny_model), CPU)


def same(one, other):
    first, second = one.metrics(), other.metrics()
    for unlike in ("model", "notes", "seconds", "cut"):
        first.pop(unlike, None), second.pop(unlike, None)
    assert first == second
    np.testing.assert_array_equal(one.top, other.top)


def test_a_matrix_of_cosines_scores_as_the_vectors_do(benchmark, encoder):
    vectors = encode_benchmark(encoder, benchmark)
    same(score_matrix(benchmark, vectors[0] @ vectors[1].T), score(benchmark, *vectors))


def test_scores_are_cosines_mixed_with_those_of_tokens(benchmark, encoder, monkeypatch):
    monkeypatch.setattr("isoglot.measuring.late_interaction._LETTERS", 100)
    queries, candidates = encode_benchmark(encoder, benchmark)
    tokens = late_scores(
        encoder.encoded_tokens(benchmark.queries.texts, "query"),
        encoder.encoded_tokens(benchmark.candidates.texts, "passage"),
    )
    for drawn in (False, True):
        found = late_matrix(encoder, benchmark, queries, candidates, drawn=drawn)
        np.testing.assert_allclose(found, mixed(queries @ candidates.T, tokens, drawn=drawn), atol=1e-5)


def test_equal_texts_tie(benchmark, encoder):
    texts = list(benchmark.candidates.texts)
    texts[-1] = texts[0]
    twice = replace(benchmark, candidates=replace_texts(benchmark.candidates, texts))
    found = late_matrix(encoder, twice, *encode_benchmark(encoder, twice))
    np.testing.assert_array_equal(found[:, 0], found[:, -1])


def replace_texts(side, texts):
    return type(side)(side.ids, texts, side.lang)


def test_evaluate_has_it_and_says_so(benchmark, tiny_model, encoder):
    plain, late = (evaluate(str(tiny_model), benchmark, precision="fp32", late=late) for late in (False, True))
    wanted = score_matrix(benchmark, late_matrix(encoder, benchmark, *encode_benchmark(encoder, benchmark)))
    same(late, wanted)
    assert any("late interaction" in note for note in late.notes)
    assert not any("late interaction" in note for note in plain.notes)
    both = evaluate(str(tiny_model), benchmark, precision="fp32", late=True, feedback=True)
    assert sum("feedback" in note or "late" in note for note in both.notes) == 2


def test_a_correction_is_of_the_whole_texts(benchmark, encoder):
    candidates = encode_benchmark(encoder, benchmark)[1]
    codes = np.array(benchmark.languages)[benchmark.candidates.lang]
    debias = center([Sample(candidates, codes, "passage")])
    corrected = encode_benchmark(encoder, benchmark, debias=debias)
    result = evaluate(encoder, benchmark, late=True, debias=debias)
    same(result, score_matrix(benchmark, late_matrix(encoder, benchmark, *corrected)))
    assert not np.array_equal(corrected[1], candidates)


@pytest.mark.parametrize("given", ["function", "vectors"])
def test_what_has_no_tokens_is_refused(benchmark, encoder, given):
    def embed(texts, role):
        return [[len(text), 1.0] for text in texts]

    model = embed if given == "function" else encode_benchmark(encoder, benchmark)
    with pytest.raises(
        InputError, match="compares tokens" if given == "function" else "in_context: are only for encoding"
    ):
        evaluate(model, benchmark, late=True)


def test_too_many_scores_are_refused_before_anything_is_encoded(benchmark, encoder, monkeypatch):
    monkeypatch.setattr("isoglot.measuring.matrices.MOST", 1000)
    for way in ("encoded", "encoded_tokens"):
        monkeypatch.setattr(encoder, way, lambda *texts, **more: pytest.fail("encoded"))
    with pytest.raises(InputError, match="re-rank the best results of its searches"):
        evaluate(encoder, benchmark, late=True)


def test_scores_of_another_shape_are_refused(benchmark):
    with pytest.raises(InputError, match=r"shape \(2, 3\)"):
        score_matrix(benchmark, np.zeros((2, 3), np.float32))


def test_candidates_in_their_contexts(benchmark, encoder, tiny_model):
    assert benchmark.contexts is not None
    assert all(text in context for text, context in zip(benchmark.candidates.texts, benchmark.contexts, strict=True))
    queries, own = encode_benchmark(encoder, benchmark)
    within = encoder.encoded_within(benchmark.candidates.texts, benchmark.contexts, "passage")
    wanted = score(benchmark, queries, joined(own, within))
    found = evaluate(str(tiny_model), benchmark, precision="fp32", in_context=True)
    same(found, wanted)
    assert any("within their contexts" in note for note in found.notes)
    both = evaluate(encoder, benchmark, in_context=True, late=True)
    same(both, score_matrix(benchmark, late_matrix(encoder, benchmark, queries, joined(own, within))))
    with pytest.raises(InputError, match="have no known contexts"):
        evaluate(encoder, replace(benchmark, contexts=None), in_context=True)
    with pytest.raises(InputError, match="contexts: 1 for"):
        evaluate(encoder, replace(benchmark, contexts=["a"]), in_context=True)


def test_sentences_followed_by_their_paragraph_are_in_no_other_context(lareqa_folder):
    assert load_lareqa(lareqa_folder, "mini", with_context=True).contexts is None
