"""Exact search in vectors on disk that do not fit in memory: block by block, keeping the best k of each query."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.executors import Executor
from isoglot.core.progress import Progress
from isoglot.data.benchmarks.streamed import StreamedCorpus
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.vector_files import Shard, read_shards, unit_vectors, vector_files
from isoglot.measuring.distributed_search import search_elsewhere
from isoglot.measuring.ranks import query_of
from isoglot.measuring.top_k import Best, Part, nothing_yet, search_part

MEMORY = 2**31
DEPTH = 1000


class Found(NamedTuple):
    """The result of a search over shards.

    Attributes:
        own: best among passages in the query's language.
        pooled: best among all passages.
        gold: position of each relevant passage, in the order of queries and their answers.
        sizes: number of passages in each language.
    """

    own: Best
    pooled: Best
    gold: NDArray[np.int64]
    sizes: list[int]


def query_vectors(place: Path, ids: list[str]) -> Vectors:
    """Read the vectors of queries by id, float32 (Q, d), unit length.

    Raises:
        InputError: a query has no vector, two vectors, or an invalid one.
    """
    position = {key: index for index, key in enumerate(ids)}
    vectors: Vectors | None = None
    filled = np.zeros(len(ids), np.bool_)
    for shard in read_shards(place, role="query"):
        unit = unit_vectors(shard)
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
        raise InputError(f"vectors {place}: no vector for {len(missing)} queries (such as {ids[missing[0]]!r})")
    return vectors


def search_shards(
    place: Path, data: StreamedCorpus, *, depth: int = DEPTH, memory: int = MEMORY, executor: Executor | None = None
) -> Found:
    """Search every query in its own language and in all languages together.

    Nothing is kept for a passage that is neither relevant nor among the best of a query, so memory does not grow with
    the corpus.

    Args:
        place: folder of vectors with roles and languages, as written by `isoglot encode`.
        data: the queries, and which passages are relevant to them.
        depth: passages kept per query.
        memory: bytes for a block of passages and its scores, in addition to the results and one shard.
        executor: its workers search instead of this process; see `search_elsewhere`.

    Raises:
        InputError: vectors are missing, duplicated, invalid, or of a language that the queries do not have; or the
            workers' arithmetic differs from this process's.
    """
    ids = [key for key, _, _ in data.queries]
    number = {code: index for index, code in enumerate(data.languages)}
    query_lang = np.array([number[lang] for _, lang, _ in data.queries], np.int16)
    queries = query_vectors(place, ids)
    wanted = [key for query in ids for key in data.answers[query]]
    positions = dict.fromkeys(wanted, -1)
    own = nothing_yet(len(ids), depth)
    # With one language, the two searches are the same.
    pooled = nothing_yet(len(ids), depth) if len(number) > 1 else own
    sizes = np.zeros(len(number), np.int64)
    with Progress("searching", len(vector_files(place))) as progress:
        parts = _parts(place, number, positions, sizes, progress)
        if executor is not None:
            search_elsewhere(queries, query_lang, parts, own, pooled, executor, memory)
        else:
            for part in parts:
                search_part(queries, query_lang, part, own, pooled, memory)
    lost = [key for key, position in positions.items() if position < 0]
    if lost:
        raise InputError(
            f"vectors {place}: {len(lost)} relevant passages are not among the vectors ({', '.join(lost[:3])}); "
            "encode the whole corpus"
        )
    return Found(own, pooled, np.array([positions[key] for key in wanted], np.int64), sizes.tolist())


def _parts(
    place: Path, number: dict[str, int], positions: dict[str, int], sizes: NDArray[np.int64], progress: Progress
) -> Iterator[Part]:
    """Yield a folder's passages in parts, filling in `positions` of relevant passages and `sizes` per language."""
    start, before = 0, None
    for shard in read_shards(place, role="passage"):
        progress.advance(shard.path != before)
        before = shard.path
        passages = _passages(shard)
        unknown = sorted(set(passages.langs) - number.keys())
        if unknown:
            named = ", ".join(code or "no language" for code in unknown)
            raise InputError(f"{shard.path}: passages in {named}; encode with the same `langs`")
        lang = np.array([number[code] for code in passages.langs], np.int16)
        sizes += np.bincount(lang, minlength=len(number))
        for row, key in enumerate(passages.ids):
            if key in positions:
                if positions[key] >= 0:
                    raise InputError(f"{shard.path}: passage id {key!r} is given twice; encode again")
                positions[key] = start + row
        yield Part(start, unit_vectors(passages), lang)
        start += len(lang)


def ranks_of(best: Best, offsets: NDArray[np.int64], gold: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ranks (1-based) of the relevant passages among the best; infinite for those not among them."""
    ranks = np.full(len(gold), np.inf)
    for entry, (query, position) in enumerate(zip(query_of(offsets), gold, strict=True)):
        place = np.flatnonzero(best.positions[query] == position)
        if len(place):
            ranks[entry] = place[0] + 1
    return ranks


def ties_of(best: Best, offsets: NDArray[np.int64], ranks: NDArray[np.float64]) -> int:
    """Number of ties of a relevant passage and another of the best; a tie of two relevant passages counts twice."""
    found = np.flatnonzero(np.isfinite(ranks))
    query, place = query_of(offsets)[found], ranks[found].astype(np.int64) - 1
    own = best.scores[query, place]
    return sum(int((best.scores[q] == score).sum()) - 1 for q, score in zip(query, own, strict=True))


def _passages(shard: Shard) -> Shard:
    """A shard without its query vectors."""
    keep = [role == "passage" for role in shard.roles]
    if all(keep):
        return shard
    ids, langs, roles = (list(compress(part, keep)) for part in shard[1:4])
    return Shard(shard.path, ids, langs, roles, shard.vectors[np.array(keep, np.bool_)])
