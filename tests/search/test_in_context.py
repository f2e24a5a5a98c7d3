"""Indexes of passages that were read within their documents: found by the mixture of both cosines."""

import json

import numpy as np
import pytest

from isoglot import Searcher, build_index, evaluate
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.encoders.debias import Sample
from isoglot.encoders.debias_fits import fit
from isoglot.encoders.in_context import encode_in_context, filled_up, joined
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.search import passage_documents, score_index
from isoglot.search.index.manifest import FILE

CPU = ModelOptions(device="cpu", precision="fp32")
PAGE = "The sky was blue. It was big. So high."
NOTES = [
    {"id": "whole", "text": PAGE, "lang": "en"},
    {"id": "part", "text": "It was big.", "lang": "en", "context": PAGE},
    {"id": "alone", "text": "eins zwei drei", "lang": "de", "context": "something else"},
]


@pytest.fixture
def encoder(tiny_model):
    return open_embedder(str(tiny_model), CPU)


@pytest.fixture
def place(tmp_path, encoder):
    build_index(NOTES, tmp_path / "index", encoder, in_context=True, precision="fp32")
    return tmp_path / "index"


def wanted(encoder, query):
    contexts = [PAGE, PAGE, "eins zwei drei"]
    vectors = encode_in_context(encoder, [note["text"] for note in NOTES], contexts)
    return dict(zip([note["id"] for note in NOTES], vectors @ encoder([query], "query")[0], strict=True))


@pytest.mark.parametrize("numbers", ["float32", "float16", "int8"])
@pytest.mark.parametrize("light", [False, True])
def test_scores_are_the_products(tmp_path, tiny_model, encoder, numbers, light):
    build_index(NOTES, tmp_path / "index", str(tiny_model), in_context=True, numbers=numbers, precision="fp32")
    searcher = Searcher.open(tmp_path / "index", options=CPU, light=light)
    found = {hit.document: hit.score for hit in searcher.search("big sky")}
    loose = {"float32": 1e-4, "float16": 2e-3, "int8": 2e-2}[numbers]
    assert found == pytest.approx(wanted(encoder, "big sky"), abs=loose)
    searcher.close()


def test_vectors_feedback_and_likeness(place, encoder):
    searcher = Searcher.open(place, encoder)
    vectors = searcher.query_vectors(["big sky"])
    assert vectors.shape == (1, encoder(["a"], "query").shape[1] + 1)
    assert vectors[0, -1] == 0
    assert searcher.search("big sky", vector=vectors[0]) == searcher.search("big sky")
    drawn = searcher.drawn(vectors)
    assert drawn[0, -1] == 0
    np.testing.assert_allclose(np.linalg.norm(drawn), 1, atol=1e-5)
    assert searcher.search("big sky", feedback=True) == searcher.search("big sky", vector=drawn[0])
    hits = searcher.search("big sky", rerank="late", fair="balanced", mode="hybrid")
    assert len(hits) == 3
    (like, *_) = searcher.more_like(next(hit.id for hit in searcher.search("big") if hit.document == "part"))
    assert like.document == "whole"
    searcher.close()


@pytest.mark.parametrize("method", ["center", "csls"])
def test_both_vectors_are_corrected(tmp_path, encoder, method):
    texts = [note["text"] for note in NOTES]
    langs, sides = [note["lang"] for note in NOTES], ("query", "passage")
    correction = fit(method, [Sample(encoder(texts, side), langs, side) for side in sides])
    correction.save(tmp_path / "debias.npz")
    build_index(NOTES, tmp_path / "index", encoder, in_context=True, debias=tmp_path / "debias.npz", precision="fp32")
    searcher = Searcher.open(tmp_path / "index", encoder)
    (query,) = correction.apply(encoder(["big sky"], "query"), ["en"], "query")
    own = correction.apply(encoder(texts, "passage"), langs, "passage")
    within = encoder.encoded_within(texts, [PAGE, PAGE, texts[2]], "passage")
    expected = joined(own, correction.apply(within, langs, "passage")) @ query
    found = {hit.document: hit.score for hit in searcher.search("big sky", query_lang="en")}
    # Centred, the only German text is nothing but rounding.
    assert [found["whole"], found["part"]] == pytest.approx(expected[:2].tolist(), abs=1e-4)
    assert len(searcher.search("big sky", query_lang="en", feedback=True, rerank="late")) == 3
    searcher.close()


def test_an_update_goes_on_so(place, encoder):
    more = [{"id": "new", "text": "So high.", "lang": "en", "context": PAGE}]
    build_index(more, place, encoder, update=True, precision="fp32")
    searcher = Searcher.open(place, encoder)
    (score,) = [hit.score for hit in searcher.search("sky") if hit.document == "new"]
    assert score == pytest.approx(
        float(encode_in_context(encoder, ["So high."], [PAGE])[0] @ encoder(["sky"], "query")[0]), abs=1e-4
    )
    assert read_json(place / FILE)["in_context"] is True
    assert read_json(place / FILE)["isoglot_index"] == 10
    searcher.close()


def test_an_index_without_says_nothing_of_it(tmp_path, encoder):
    build_index(NOTES, tmp_path / "plain", encoder)
    record = read_json(tmp_path / "plain" / FILE)
    assert "in_context" not in record
    assert record["isoglot_index"] == 10
    with pytest.raises(InputError, match="were encoded without context"):
        build_index(NOTES, tmp_path / "plain", encoder, in_context=True, update=True)


def test_what_cannot_read_so_leaves_nothing(tmp_path):
    def embed(texts, role):
        return [[len(text), 1.0] for text in texts]

    with pytest.raises(InputError, match="encodes texts without context"):
        build_index(NOTES, tmp_path / "index", embed, in_context=True)
    assert not (tmp_path / "index" / FILE).exists()


def test_an_index_of_a_benchmark_scores_as_its_model_does(tmp_path, encoder, lareqa_folder):
    benchmark = load_lareqa(lareqa_folder, "mini")
    build_index(passage_documents(benchmark, in_context=True), tmp_path / "index", encoder, in_context=True)
    searcher = Searcher.open(tmp_path / "index", encoder)
    found = score_index(searcher, benchmark, depth=48)
    searcher.close()
    exact = evaluate(encoder, benchmark, in_context=True)
    for setting in ("monolingual", "cross_lingual", "multilingual"):
        assert found.macro(setting, "map") == pytest.approx(exact.macro(setting, "map"), abs=0.02)


def test_a_store_keeps_it(place, tmp_path, encoder):
    from isoglot.search.stores.folders import open_memory

    opened = open_memory(str(place))
    assert opened.about.in_context
    assert type(opened.about).from_text(opened.about.to_text(), "here").in_context
    searcher = Searcher.open(opened, encoder)
    assert {hit.document: hit.score for hit in searcher.search("big sky")} == pytest.approx(
        wanted(encoder, "big sky"), abs=1e-4
    )


def test_the_command_line(tmp_path, tiny_model, lareqa_folder, capsys):
    notes = tmp_path / "notes.jsonl"
    notes.write_text("\n".join(json.dumps(note) for note in NOTES), encoding="utf-8")
    command = ["index", str(notes), "-o", str(tmp_path / "index"), "--model", str(tiny_model), "--in-context"]
    assert run(command) == 0
    assert read_json(tmp_path / "index" / FILE)["in_context"] is True
    assert run(["search", str(tmp_path / "index"), "sky", "--feedback"]) == 0
    assert "The sky was blue" in capsys.readouterr().out
    assert run([*command, "--update"]) == 0


def test_what_is_filled_up_is_of_length_1_and_adds_nothing_to_a_product():
    draw = np.random.default_rng(0)
    short = draw.standard_normal((5, 3)).astype(np.float32)
    short *= draw.random((5, 1)).astype(np.float32) / np.linalg.norm(short, axis=1, keepdims=True)
    query = np.array([[0.6, 0.8, 0.0]], np.float32)
    passages, asked = filled_up(short, "passage"), filled_up(query, "query")
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(passages @ asked.T, short @ query.T, atol=1e-6)
