"""Indexes that keep the tokens of their passages, so that late interaction encodes none of them."""

import json

import numpy as np
import pytest

from isoglot import Searcher, build_index
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.search.index import lance
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.manifest import FILE
from isoglot.search.stores.folders import open_memory

CPU = ModelOptions(device="cpu", precision="fp32")
TEXTS = ["The sky is blue", "It was big", "eins zwei drei", "a blue stone", "zwei blue skies so high", "nothing of it"]
NOTES = [
    {
        "id": f"note-{number}",
        "text": text,
        "title": "blue" if number == 3 else "",
        "lang": "de" if "zwei" in text else "en",
    }
    for number, text in enumerate(TEXTS)
]


@pytest.fixture
def encoder(tiny_model):
    return open_embedder(str(tiny_model), CPU)


class Counted:
    """The same encoder, which remembers the passages that it was given tokens of."""

    def __init__(self, encoder):
        self._encoder, self.name, self.device, self.passages = encoder, encoder.name, encoder.device, []

    def __call__(self, texts, role):
        return self._encoder(texts, role)

    def encoded(self, texts, role, *, what=None):
        return self._encoder.encoded(texts, role, what=what)

    def encoded_with_tokens(self, texts, role, *, what=None):
        return self._encoder.encoded_with_tokens(texts, role, what=what)

    def encoded_tokens(self, texts, role, *, what=None):
        self.passages += texts if role == "passage" else []
        return self._encoder.encoded_tokens(texts, role, what=what)


def scores(searcher, query="zwei blue", **how):
    return {hit.document: hit.score for hit in searcher.search(query, rerank="late", **how)}


@pytest.mark.parametrize("numbers", ["float32", "int8"])
@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("how", [{}, {"mode": "lexical"}, {"mode": "hybrid", "fair": "balanced"}])
def test_what_is_kept_is_read(tmp_path, monkeypatch, encoder, numbers, in_memory, how):
    monkeypatch.setattr(lance, "fits", lambda passages, dimension: in_memory)
    build_index(NOTES, tmp_path / "plain", encoder, numbers=numbers, precision="fp32")
    build_index(NOTES, tmp_path / "kept", encoder, numbers=numbers, tokens=True, precision="fp32")
    plain, counted = Searcher.open(tmp_path / "plain", encoder), Counted(encoder)
    kept = Searcher.open(tmp_path / "kept", counted)
    assert scores(kept, **how) == pytest.approx(scores(plain, **how), abs=0.01)
    assert counted.passages == []
    assert len(scores(kept, **how)) >= 3
    kept.close()
    plain.close()


def test_the_tokens_are_the_encoders(tmp_path, encoder):
    build_index(NOTES, tmp_path / "index", encoder, tokens=True, precision="fp32")
    index = LanceIndex(tmp_path / "index")
    found = index.tokens(["note-3", "note-0", "note-3"])
    made = encoder.encoded_tokens(["blue a blue stone", TEXTS[0]], "passage")
    assert [len(text) for text in found] == [*np.diff(made.offsets), len(found[0])]
    unit = np.concatenate(found[:2]).astype(np.float32)
    cosines = np.einsum("ij,ij->i", unit / np.linalg.norm(unit, axis=1, keepdims=True), made.vectors)
    assert cosines.min() > 0.999
    assert index.tokens(["note-3", "nowhere"]) is None
    index.close()


def test_updates_deletions_and_heirs_keep_them(tmp_path, encoder):
    place = tmp_path / "index"
    build_index([*NOTES, {**NOTES[4], "id": "heir"}], place, encoder, tokens=True, precision="fp32")
    assert read_json(place / FILE)["isoglot_index"] == 10
    more = [{"id": "new", "text": "blue blue blue", "lang": "en"}, {**NOTES[0], "text": "The sky is big"}]
    build_index(more, place, encoder, update=True, delete=["note-4"], precision="fp32")
    counted = Counted(encoder)
    searcher = Searcher.open(place, counted)
    found = set(scores(searcher))
    assert {"new", "note-0", "heir"} <= found
    assert "note-4" not in found
    assert counted.passages == []
    searcher.close()
    build_index(more, tmp_path / "plain", encoder, precision="fp32")
    with pytest.raises(InputError, match="tokens: the index stores no tokens"):
        build_index(more, tmp_path / "plain", encoder, update=True, tokens=True)
    assert "tokens" not in read_json(tmp_path / "plain" / FILE)


def test_a_copy_in_memory_makes_them_anew(tmp_path, encoder):
    build_index(NOTES, tmp_path / "index", encoder, tokens=True, precision="fp32")
    searcher, counted = Searcher.open(tmp_path / "index", encoder), Counted(encoder)
    copy = Searcher.open(open_memory(str(tmp_path / "index")), counted)
    assert scores(copy) == pytest.approx(scores(searcher), abs=0.01)
    assert counted.passages
    searcher.close()


def test_a_model_without_tokens_leaves_nothing(tmp_path):
    def embed(texts, role):
        return [[len(text), 1.0] for text in texts]

    with pytest.raises(InputError, match="late interaction compares tokens"):
        build_index(NOTES, tmp_path / "index", embed, tokens=True)
    assert not (tmp_path / "index" / FILE).exists()


def test_the_command_line(tmp_path, tiny_model, capsys):
    notes, place = tmp_path / "notes.jsonl", tmp_path / "index"
    notes.write_text("\n".join(json.dumps(note) for note in NOTES), encoding="utf-8")
    command = ["index", str(notes), "-o", str(place), "--model", str(tiny_model)]
    assert run([*command, "--tokens"]) == 0
    assert read_json(place / FILE)["tokens"] == open_embedder(str(tiny_model), CPU)(["a"], "query").shape[1]
    assert run(["search", str(place), "blue", "--rerank", "late"]) == 0
    assert "The sky is blue" in capsys.readouterr().out
    assert run([*command, "--update"]) == 0  # an update goes on so
    assert run([*command, "--overwrite"]) == 0
    assert run([*command, "--update", "--tokens"]) == 2
    assert "tokens: the index stores no tokens of its passages; index again" in capsys.readouterr().err
