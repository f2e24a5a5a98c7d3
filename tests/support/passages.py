"""A few passages with unit vectors, and index folders built from them without an encoder."""

from pathlib import Path

import numpy as np
import pytest

from isoglot.search.index.manifest import Manifest
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.index.publishing import publish
from isoglot.search.index.store import Store
from isoglot.search.passage import Passage, passage_id

DIMENSION = 8
_WORDS = {
    "de": ["Berg", "Fluss", "Haus", "Straße", "Vogel"],
    "en": ["mountain", "river", "house", "road", "bird"],
    "zh": ["山很高", "河流", "房子", "马路", "小鸟"],
}


def some_passages(documents: int = 12, *, parts: int = 2, seed: int = 0):
    """Passages (documents x languages x parts) and vectors; the first passages of all languages share one vector."""
    rng = np.random.default_rng(seed)
    passages, rows = [], []
    for lang, words in _WORDS.items():
        for number in range(documents):
            document = f"{lang}/o'clock {number}"
            for part in range(1, parts + 1):
                text = " ".join([words[number % 5]] * (1 + number % 3) + [words[part], f"nummer{number}"])
                passages.append(
                    Passage(
                        passage_id(document, part, parts),
                        document,
                        text,
                        lang,
                        f"Titel {number}",
                        f"{lang}.jsonl:{number}",
                        _metadata(number),
                    )
                )
                rows.append(rng.standard_normal(DIMENSION) if number or part > 1 else np.ones(DIMENSION))
    vectors = np.asarray(rows, np.float32)
    return passages, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def assert_words_score_as_in_memory(index):
    """Check that an index of `some_passages` finds the same by words as one in memory, with the same scores."""
    reference = MemoryIndex(*some_passages())
    for query, langs in (("Fluss Titel", None), ("nummer4 河流 Berg", None), ("river titel nummer3", ["en"])):
        expected = {passage.id: score for passage, score in reference.matching(query, 1000, langs)}
        found = {passage.id: score for passage, score in index.matching(query, 1000, langs)}
        assert found == pytest.approx(expected, rel=1e-5)


def _metadata(number):
    about = {"year": 2000 + number, "tags": ["a", {"b": None}, f"t{number % 4}"], "seen": f"2024-03-0{1 + number % 7}"}
    about["codes"] = [["7", "b"], ["7.0", "7", 3], [2, "2", 2.5], [7]][number % 4]
    if number % 3:
        about |= {"good": number % 2 == 0, "by": {"name": ["Ada", "Bo"][number % 2]}}
    return about | ({"rating": number / 8} if number % 4 else {})


def write_index(folder: Path, passages, vectors, *, model="hand", probe=None, **about) -> Path:
    """Publish passages as the next version of an index folder."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder, vectors.shape[1], about.get("numbers", "float32"))
    if store.passages.count_rows():
        store.passages.delete("true")
    if passages:
        store.put(passages, [f"{number:024x}" for number in range(len(passages))], vectors)
    store.read_state()
    before, ann_from = about.pop("versions", []), about.pop("ann_from", 10**9)
    given = probe if probe is not None else np.eye(3, vectors.shape[1]).tolist()
    publish(folder, store, Manifest(model, vectors.shape[1], 64, given, versions=before, **about), ann_from=ann_from)
    return folder
