"""Mine hard negatives: passages that an encoder ranks high for a query although they do not answer it.

The search is exact, in blocks. A passage from the query's own component is never a negative, in any language; nor is
one from a component with a near duplicate of an own passage in the same language, or with the same question text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_choice, check_kind, check_number, check_whole, settle
from isoglot.core.errors import InputError
from isoglot.core.progress import Progress
from isoglot.core.short_repr import brief
from isoglot.curation.candidate_passages import distinct_passages, nearest_others
from isoglot.data.near_duplicates import NEAR, contains, normalise
from isoglot.data.prepared import Prepared, prepare
from isoglot.encoders.devices import Precision
from isoglot.encoders.embedder import Model, Vectors
from isoglot.encoders.encoding import encode
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.measuring.ranks import BLOCK_BYTES

NegativeLanguage = Literal["query", "passage", "any", "mix"]


@dataclass(frozen=True)
class MineSettings:
    """Which candidates become negatives (ranges and margins as in Sentence Transformers' `mine_hard_negatives`).

    Attributes:
        negatives: maximum number of negatives per row.
        language: `query` searches passages in the row's language with the row's query; `passage` searches them with
            the mean of the group's queries in *other* languages, for negatives that confuse cross-lingual queries;
            `any` searches all languages; `mix` takes negatives in the row's language and in others alternately.
        range_min, range_max: range of ranks to consider (0-based, own passages not counted, `range_max` excluded); None
            for `range_max` is `range_min` plus ten times `negatives`.
        max_score, min_score: candidates with a cosine outside these limits are skipped.
        absolute_margin: a negative's cosine must be at least this much below that of the row's own passage.
        relative_margin: the same, as a share of the own passage's cosine.
        pick: take the `top` candidates that pass, or `random` ones.
        seed: seed of `random`.
    """

    negatives: int = 3
    language: NegativeLanguage = "query"
    range_min: int = 0
    range_max: int | None = None
    max_score: float | None = None
    min_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    pick: Literal["top", "random"] = "top"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is invalid; the message names it.
        """
        settle(self)
        check_whole("negatives", self.negatives, 1)
        check_whole("range_min", self.range_min, 0)
        check_whole("seed", self.seed, 0)
        if self.range_max is not None:
            check_whole("range_max", self.range_max, 1)
        for name in ("max_score", "min_score", "absolute_margin"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), "a number", lambda number: True)
        check_choice("pick", self.pick, ("top", "random"))
        check_choice("language", self.language, get_args(NegativeLanguage))
        if self.stop - self.range_min < self.negatives:
            raise InputError(
                f"range_min {self.range_min} with `range_max` {self.stop}: expected a window of at least "
                f"{self.negatives} ranks from 0 on (`negatives`)"
            )
        if self.relative_margin is not None:
            share = "a share from 0 to below 1"
            check_number("relative_margin", self.relative_margin, share, lambda margin: 0 <= margin < 1)

    @property
    def stop(self) -> int:
        """The rank before which the search ends: `range_max` or its default."""
        return self.range_max if self.range_max is not None else self.range_min + 10 * self.negatives


class Mined(NamedTuple):
    """The negatives of each row, best first; skipped candidates by reason; number of rows with too few negatives."""

    negatives: list[tuple[str, ...]]
    skipped: dict[str, int]
    short: int

    def __repr__(self) -> str:
        return brief(self)


def mine(
    model: Model | str | Path,
    rows: Any,
    settings: MineSettings | None = None,
    *,
    length: int | None = None,
    precision: Precision = "auto",
) -> Mined:
    """Find hard negatives for every row among the passages of all rows.

    Args:
        model: anything that `isoglot.encoders.open_embedder` takes: a name, folder, Sentence Transformer or function.
        rows: prepared rows, or anything that `isoglot.prepare` takes.
        settings: which candidates become negatives.
        length: truncate texts to this many tokens, as in `isoglot.encoders.encoding.encode`.
        precision: precision of the encoder.

    Raises:
        InputError: the settings have the wrong type, there is no such model, or the rows cannot be read.
    """
    if settings is not None:
        check_kind("settings", settings, MineSettings, "a MineSettings of isoglot.curation")
    rows = prepare(rows)
    encoder = open_embedder(model, ModelOptions(length=length, precision=precision))
    queries = encode(encoder, rows.column("query"), "query", what="queries").vectors
    passages = encode(encoder, rows.passages(), "passage", what="passages").vectors
    return mine_vectors(queries, passages, rows, settings or MineSettings())


def mine_vectors(
    queries: Vectors, passages: Vectors, rows: Prepared, settings: MineSettings, *, block_bytes: int = BLOCK_BYTES
) -> Mined:
    """Mine from given vectors.

    Args:
        queries: unit vectors (rows, d) of every row's query.
        passages: unit vectors (rows, d) of every row's passage.
        rows: the prepared rows.
        settings: which candidates become negatives.
        block_bytes: memory for cosines at a time.
    """
    table, texts = rows.table, rows.passages()
    lang, component = np.asarray(table.lang), np.asarray(table.component)
    own_score = np.einsum("ij,ij->i", queries, passages)
    searched = _other_queries(queries, rows) if settings.language == "passage" else queries
    pool = distinct_passages(rows)
    same = _Sameness(rows, texts)
    skipped: Counter[str] = Counter()
    negatives: list[tuple[str, ...]] = [()] * len(rows)
    with Progress("mining", len(rows)) as progress:
        for code in range(len(table.languages)):
            mine_of = np.flatnonzero(lang == code)
            found = [
                nearest_others(searched, passages, component, mine_of, part, settings.stop, block_bytes)
                for part in _pools(pool, lang[pool], code, settings.language)
            ]
            for row, *lists in zip(mine_of.tolist(), *found, strict=True):
                kept = [_passing(row, entry, own_score[row], settings, same, skipped) for entry in lists]
                negatives[row] = tuple(texts[at] for at in _choose(kept, row, settings))
                progress.advance()
    return Mined(negatives, dict(skipped), sum(len(found) < settings.negatives for found in negatives))


def _other_queries(queries: Vectors, rows: Prepared) -> Vectors:
    """Return the unit mean of the queries of each row's group in other languages; if there are none, the row's own."""
    group, cells = np.asarray(rows.table.group), np.sort(rows.table.cells)
    sums = np.zeros((rows.table.groups, queries.shape[1]), np.float32)
    np.add.at(sums, group[cells], queries[cells])
    others = sums[group] - queries
    alone = np.bincount(group[cells])[group] == 1
    others[alone] = queries[alone]
    norms = np.linalg.norm(others, axis=1, keepdims=True)
    means: Vectors = others / np.maximum(norms, 1e-12)
    return means


def _pools(pool: NDArray[np.int64], langs: NDArray[Any], code: int, language: NegativeLanguage) -> list[Any]:
    """Return the candidates to search, as row numbers: one list, or two to take from alternately."""
    if language == "any":
        return [pool]
    own = pool[langs == code]
    return [own, pool[langs != code]] if language == "mix" else [own]


def _passing(
    row: int,
    found: tuple[NDArray[np.int64], Vectors],
    own_score: float,
    settings: MineSettings,
    same: _Sameness,
    skipped: Counter[str],
) -> list[int]:
    """Return the candidates of one search that pass, best first, and count those skipped."""
    kept: list[int] = []
    for candidate, score in zip(*(part[settings.range_min :].tolist() for part in found), strict=True):
        if settings.pick == "top" and len(kept) == settings.negatives:
            break
        if settings.max_score is not None and score > settings.max_score:
            skipped["max_score"] += 1
        elif settings.min_score is not None and score < settings.min_score:
            skipped["min_score"] += 1
        elif settings.absolute_margin is not None and score + settings.absolute_margin > own_score:
            skipped["absolute_margin"] += 1
        elif settings.relative_margin is not None and score > own_score - abs(own_score) * settings.relative_margin:
            skipped["relative_margin"] += 1
        elif same(row, candidate):
            skipped["same"] += 1
        else:
            kept.append(candidate)
    return kept


def _choose(kept: list[list[int]], row: int, settings: MineSettings) -> list[int]:
    """Take from the lists alternately, from the top or at random, until there are enough."""
    if settings.pick == "random":
        rng = np.random.default_rng((settings.seed, row))
        kept = [[entry[at] for at in rng.permutation(len(entry))] for entry in kept]
    longest = max(map(len, kept))
    turns = [entry[at] for at in range(longest) for entry in kept if at < len(entry)]
    return turns[: settings.negatives]


class _Sameness:
    """Tells whether two rows' components are equivalent: near duplicates in one language, or equal queries."""

    def __init__(self, rows: Prepared, texts: list[str]) -> None:
        self._component = np.asarray(rows.table.component).tolist()
        self._passages: dict[int, dict[int, set[str]]] = {}
        self._queries: dict[int, set[tuple[int, str]]] = {}
        columns = zip(self._component, np.asarray(rows.table.lang).tolist(), rows.column("query"), texts, strict=True)
        for component, lang, query, text in columns:
            self._passages.setdefault(component, {}).setdefault(lang, set()).add(text)
            self._queries.setdefault(component, set()).add((lang, normalise(query)))
        self._known: dict[tuple[int, int], bool] = {}

    def __call__(self, a: int, b: int) -> bool:
        first, second = sorted((self._component[a], self._component[b]))
        if (first, second) not in self._known:
            self._known[first, second] = self._compare(first, second)
        return self._known[first, second]

    def _compare(self, first: int, second: int) -> bool:
        if self._queries[first] & self._queries[second]:
            return True
        mine, theirs = self._passages[first], self._passages[second]
        return any(
            contains(text, other) >= NEAR
            for lang in mine.keys() & theirs.keys()
            for text in mine[lang]
            for other in theirs[lang]
        )
