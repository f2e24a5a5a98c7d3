"""Exact search in vectors on disk that do not fit in memory: blocks of passages, the best k of each query kept."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot import metrics
from isoglot.data.miracl import Miracl
from isoglot.errors import InputError
from isoglot.progress import Progress
from isoglot.vectors import Floats, Shard, read_shards, vector_files

MEMORY = 2**31
DEPTH = 1000


class Best(NamedTuple):
    """The best passages of each query: positions in reading order int64 (Q, k), -1 where there are fewer; scores."""

    positions: NDArray[np.int64]
    scores: Floats


class Found(NamedTuple):
    """What a search over shards gives.

    Attributes:
        own: best among passages in the query's language.
        pooled: best among all passages.
        lang: language number of the passages of `pooled`, -1 where there is none: int16 (Q, k).
        gold: position of each relevant passage, in the order asked for.
        sizes: passages in each language.
    """

    own: Best
    pooled: Best
    lang: NDArray[np.int16]
    gold: NDArray[np.int64]
    sizes: list[int]


def query_vectors(place: Path, ids: list[str]) -> Floats:
    """Vectors of queries by id, float32 (Q, d), unit length.

    Raises:
        InputError: a query has none, two, or a broken one.
    """
    position = {key: index for index, key in enumerate(ids)}
    vectors: Floats | None = None
    filled = np.zeros(len(ids), np.bool_)
    for shard in read_shards(place):
        if "query" not in shard.roles:
            continue
        unit = _unit(shard)
        for row, (key, role) in enumerate(zip(shard.ids, shard.roles, strict=True)):
            index = position.get(key) if role == "query" else None
            if index is None:
                continue
            if filled[index]:
                raise InputError(f"{shard.path}: query id {key!r} is given twice; keep one vector for each id")
            if vectors is None:
                vectors = np.zeros((len(ids), unit.shape[1]), np.float32)
            vectors[index], filled[index] = unit[row], True
    missing = np.flatnonzero(~filled)
    if vectors is None or len(missing):
        raise InputError(f"--vectors {place}: no vector for {len(missing)} queries (such as {ids[missing[0]]!r})")
    return vectors


def search_shards(place: Path, data: Miracl, *, depth: int = DEPTH, memory: int = MEMORY) -> Found:
    """Search every query in its own language and in all together.

    Args:
        place: folder of vectors with roles and languages, as `isoglot encode` writes it.
        data: the queries, and which passages are relevant to them.
        depth: passages kept for a query.
        memory: bytes for a block of passages and its scores, beside the results and one shard.

    Raises:
        InputError: vectors missing, given twice, broken, or of a language that the queries do not have.
    """
    ids = [key for key, _, _ in data.queries]
    number = {code: index for index, code in enumerate(data.languages)}
    query_lang = np.array([number[lang] for _, lang, _ in data.queries], np.int16)
    queries = query_vectors(place, ids)
    wanted = [key for query in ids for key in data.answers[query]]
    positions = dict.fromkeys(wanted, -1)
    own, pooled = _empty(len(ids), depth), _empty(len(ids), depth)
    langs: list[NDArray[np.int16]] = []
    # A passage costs its vector twice (as read, and as padded for the product) and a score for each of 128 queries.
    rows = max(1, memory // 2 // (8 * queries.shape[1] + 512))
    start = 0
    files = vector_files(place)
    with Progress("searching", len(files)) as progress:
        for shard in read_shards(place):
            keep = np.array([role == "passage" for role in shard.roles], np.bool_)
            unit = _unit(shard)[keep]
            codes = [code for code, passage in zip(shard.langs, keep, strict=True) if passage]
            unknown = sorted(set(codes) - number.keys())
            if unknown:
                raise InputError(f"{shard.path}: passages in {', '.join(unknown)}; encode with the same --langs")
            lang = np.array([number[code] for code in codes], np.int16)
            langs.append(lang)
            for row, key in enumerate(key for key, passage in zip(shard.ids, keep, strict=True) if passage):
                if key in positions:
                    if positions[key] >= 0:
                        raise InputError(f"{shard.path}: passage id {key!r} is given twice; encode again")
                    positions[key] = start + row
            for first in range(0, len(unit), rows):
                part, part_lang = unit[first : first + rows], lang[first : first + rows]
                _search(queries, query_lang, part, part_lang, start + first, own, pooled, memory // 2)
            start += len(unit)
            progress.advance()
    lost = [key for key, position in positions.items() if position < 0]
    if lost:
        raise InputError(
            f"--vectors {place}: {len(lost)} relevant passages are not among the vectors ({', '.join(lost[:3])}); "
            "encode the whole corpus"
        )
    all_langs = np.concatenate([*langs, np.array([-1], np.int16)])
    return Found(
        own,
        pooled,
        all_langs[pooled.positions],
        np.array([positions[key] for key in wanted], np.int64),
        np.bincount(all_langs[:-1], minlength=len(number)).tolist(),
    )


def ranks_of(best: Best, offsets: NDArray[np.int64], gold: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ranks (1-based) of the relevant passages among the best, infinite where they are not among them."""
    ranks = np.full(len(gold), np.inf)
    for entry, (query, position) in enumerate(zip(metrics.query_of(offsets), gold, strict=True)):
        place = np.flatnonzero(best.positions[query] == position)
        if len(place):
            ranks[entry] = place[0] + 1
    return ranks


def ties_of(best: Best, offsets: NDArray[np.int64], ranks: NDArray[np.float64]) -> int:
    """Pairs of a relevant passage and another of the best with equal scores; a pair of two relevant ones twice."""
    found = np.flatnonzero(np.isfinite(ranks))
    query, place = metrics.query_of(offsets)[found], ranks[found].astype(np.int64) - 1
    own = best.scores[query, place]
    return sum(int((best.scores[q] == score).sum()) - 1 for q, score in zip(query, own, strict=True))


def _search(
    queries: Floats,
    query_lang: NDArray[np.int16],
    passages: Floats,
    passage_lang: NDArray[np.int16],
    start: int,
    own: Best,
    pooled: Best,
    block_bytes: int,
) -> None:
    depth = own.positions.shape[1]
    several = len(np.unique(query_lang)) > 1
    for lang in np.unique(passage_lang):
        inside, asking = np.flatnonzero(passage_lang == lang), np.flatnonzero(query_lang == lang)
        if len(asking):
            found, scores = metrics.top_k_scored(queries[asking], passages[inside], depth, block_bytes=block_bytes)
            _merge(own, asking, start + inside[found], scores)
    if several:
        found, scores = metrics.top_k_scored(queries, passages, depth, block_bytes=block_bytes)
        _merge(pooled, np.arange(len(queries)), start + found.astype(np.int64), scores)
    else:
        pooled.positions[:], pooled.scores[:] = own.positions, own.scores


def _merge(best: Best, rows: NDArray[np.int64], positions: NDArray[np.int64], scores: Floats) -> None:
    """Keep the best of what was kept and what was found; what came first wins a tie, as the lower position."""
    depth = best.positions.shape[1]
    both = np.concatenate((best.scores[rows], scores), axis=1)
    order = np.argsort(-both, axis=1, kind="stable")[:, :depth]
    every = np.concatenate((best.positions[rows], positions), axis=1)
    best.scores[rows] = np.take_along_axis(both, order, axis=1)
    best.positions[rows] = np.take_along_axis(every, order, axis=1)


def _empty(queries: int, depth: int) -> Best:
    return Best(np.full((queries, depth), -1, np.int64), np.full((queries, depth), -np.inf, np.float32))


def _unit(shard: Shard) -> Floats:
    norms = np.linalg.norm(shard.vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0))
    if len(bad):
        raise InputError(f"{shard.path}: the vector of {shard.ids[bad[0]]!r} is broken or zero; encode anew")
    unit: Floats = shard.vectors / norms
    return unit
