"""Small hand-made collections to serve; vectors count words, so a search finds texts that share words with it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from isoglot.encoders.embedder import Encoded, Role
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher

DIMENSION = 64

TEXTS = [
    ("en", "Solar panels", "A solar panel turns sunlight into electricity; an inverter makes alternating current."),
    ("en", "Tides", "The moon pulls the ocean towards it, and the tide rises twice a day."),
    ("de", "Solarzellen", "Eine Solarzelle macht aus Licht Strom, solar und leise."),
    ("de", "Gezeiten", "Der Mond zieht das Meer an, und die Flut steigt."),
    ("ar", "الألواح الشمسية", "يحول اللوح الشمسي ضوء الشمس إلى كهرباء (solar)."),
    ("zh", "太阳能", "太阳能电池板把阳光变成电。"),
    ("und", "", "solar 12345"),
    ("en", "<script>alert('title')</script>", 'solar <script>alert(1)</script><img src=x onerror=alert(2)> & "quoted"'),
    ("hi", "सौर", "सौर पैनल धूप से बिजली बनाता है।"),
    ("tr", "Kontrol", "solar \x00\x1b[31m\ud800 bozuk"),
]


def encode(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors of hashed word counts; the last axis keeps the vector of an empty text from being zero."""
    vectors = np.zeros((len(texts), DIMENSION), np.float32)
    for row, text in enumerate(texts):
        vectors[row, -1] = 0.1
        for word in re.findall(r"\w+", text.lower()):
            vectors[row, zlib.crc32(word.encode("utf-8", "replace")) % (DIMENSION - 1)] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class _Embedder:
    """The same encoder as a model that counts tokens, one per character."""

    name = "words"
    device = "cpu"

    def __call__(self, texts: list[str], role: Role) -> np.ndarray:
        return encode([f"{role} {text}" for text in texts])

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        return Encoded(self(texts, role), len(texts), sum(map(len, texts)), 0.0)


embed = _Embedder()


class Longest:
    """Scores by length."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([len(text) for _, text in pairs], np.float32)


def passages(copies: int = 1) -> list[Passage]:
    """The texts as passages, each repeated `copies` times."""
    return [
        Passage(
            f"d{copy}-{number}#0",
            f"d{copy}-{number}",
            text,
            lang,
            title,
            f"texts.jsonl:{number}",
            {"url": "https://example.org/?a=1&b=2"}
            if number == 0
            else {"url": "javascript:alert(3)", "n": float("nan")},
        )
        for copy in range(copies)
        for number, (lang, title, text) in enumerate(TEXTS)
    ]


def searcher(
    copies: int = 1,
    *,
    name: str = "words",
    encoder: Callable[[list[str]], np.ndarray] = encode,
    turned: bool = False,
) -> Searcher:
    """An exact searcher over the texts; `turned` gives each passage the previous one's vector, for other rankings."""
    chosen = passages(copies)
    vectors = encode([f"{passage.title} {passage.text}" for passage in chosen])
    if turned:
        vectors = np.roll(vectors, 1, axis=0)
    return Searcher(MemoryIndex(chosen, vectors), lambda texts, role: encoder(texts), model_name=name)


def translated() -> Searcher:
    """An exact searcher over a German passage, its translations, and German ones that share only the query's wording.

    The translations rank last for every query, but right after the passage with feedback.
    """
    wording, topic, other, tongue = np.eye(4, dtype=np.float32)
    entries = [("de", "Flut und Mond", wording + topic)]
    entries += [
        (lang, f"Flut {lang}", topic + share * tongue) for lang, share in (("fr", 0.5), ("tr", 0.4), ("el", 0.3))
    ]
    entries += [("de", f"Flut {number}", wording + (2 + number / 10) * other) for number in range(9)]
    found = [Passage(f"{lang}{place}", f"{lang}{place}", text, lang) for place, (lang, text, _) in enumerate(entries)]
    vectors = np.stack([vector / np.linalg.norm(vector) for _, _, vector in entries])
    query = (wording + 0.3 * topic) / np.linalg.norm(wording + 0.3 * topic)
    return Searcher(MemoryIndex(found, vectors), lambda texts, role: np.stack([query] * len(texts)), model_name="words")
