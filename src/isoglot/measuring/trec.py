"""TREC runs and qrels: reading a run to score it, and writing ours so that trec_eval gives our numbers."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write
from isoglot.core.problems import Problems
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.records import table_rows
from isoglot.measuring.ranks import GoldRanks, query_of, top_k_scored

DEPTH = 1000
_REMEDY = "Expected six columns: query, Q0, passage, rank, score, name; with the benchmark's own ids."


class RunRanks(NamedTuple):
    """A run as ranks of relevant candidates.

    Attributes:
        ranks: infinite where a relevant candidate is not in the run.
        share: (queries,) share of the query's language in its top 10, NaN where the run has fewer.
        depth: candidates listed for a query, at least.
        complete: whether every query lists the whole pool.
        outside: whether any query lists a candidate in another language than its own.
        notes: what a reader must know.
    """

    ranks: GoldRanks
    share: NDArray[np.float64]
    depth: int
    complete: bool
    outside: bool
    notes: tuple[str, ...]


def read_run(path: Path, benchmark: Benchmark) -> RunRanks:
    """Read a run over a benchmark's pool, in the order of trec_eval: by score, equal scores by id, descending.

    Ranks within a language come from the same list, with the other languages' passages taken out.

    Raises:
        InputError: malformed lines, unknown query or passage ids, a passage twice for a query, or an empty run.
    """
    query_number = {key: index for index, key in enumerate(benchmark.queries.ids)}
    position = {key: index for index, key in enumerate(benchmark.candidates.ids)}
    problems = Problems()
    listed: list[list[tuple[float, str, int]]] = [[] for _ in benchmark.queries.ids]
    for line, (query, _, passage, _, score, _) in table_rows(path, 6, problems, separator=None):
        try:
            value = float(score)
        except ValueError:
            value = float("nan")
        if value != value:
            problems.add(path, line, f"score {score!r} is not a number")
        elif query not in query_number:
            problems.add(path, line, f"unknown query id {query!r}; such as {benchmark.queries.ids[0]!r} is known")
        elif passage not in position:
            problems.add(
                path, line, f"unknown passage id {passage!r}; such as {benchmark.candidates.ids[0]!r} is known"
            )
        else:
            listed[query_number[query]].append((value, passage, position[passage]))
    if not any(listed) and not problems.count:
        problems.add(path, None, "the run is empty")
    langs, gold, offsets = benchmark.candidates.lang, benchmark.gold, benchmark.gold_offsets
    within, pooled = np.full(len(gold), np.inf), np.full(len(gold), np.inf)
    share = np.full(len(listed), np.nan)
    ties, outside = 0, False
    for q, entries in enumerate(listed):
        entries.sort(key=lambda entry: entry[:2], reverse=True)
        found = np.array([entry[2] for entry in entries], np.int64)
        scores = np.array([entry[0] for entry in entries])
        if len(np.unique(found)) < len(found):
            problems.add(path, None, f"query {benchmark.queries.ids[q]!r} lists a passage twice")
            continue
        own = langs[found] == benchmark.queries.lang[q]
        outside = outside or not own.all()
        if len(found) >= min(10, len(langs)):
            share[q] = own[:10].mean()
        rank = {int(candidate): number for number, candidate in enumerate(found)}
        counted: set[int] = set()
        for entry in range(offsets[q], offsets[q + 1]):
            place = rank.get(int(gold[entry]))
            if place is None:
                continue
            pooled[entry] = place + 1
            within[entry] = 1 + int((langs[found[:place]] == langs[gold[entry]]).sum())
            equal = set(found[scores == scores[place]].tolist()) - {int(gold[entry])} - counted
            ties += len(equal)
            counted.add(int(gold[entry]))
    problems.raise_if_any(_REMEDY)
    lengths = np.array([len(entries) for entries in listed])
    depth, complete = int(lengths.min()), bool((lengths == len(langs)).all())
    notes = []
    if not complete:
        notes.append(
            f"scored from a run of {depth} to {lengths.max()} passages a query, of {len(langs)}: a relevant passage "
            "beyond them counts as never found, so mAP, recall beyond that depth and MRR are lower bounds"
        )
    if (lengths == 0).any():
        notes.append(f"the run lists nothing for {int((lengths == 0).sum())} queries; they count as 0")
    return RunRanks(GoldRanks(offsets, gold, within, pooled, ties), share, depth, complete, outside, tuple(notes))


def write_trec(
    folder: Path,
    benchmark: Benchmark,
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32],
    *,
    depth: int = DEPTH,
    name: str = "isoglot",
) -> list[Path]:
    """Write runs and qrels of the monolingual and the multilingual setting.

    Scores fall strictly, since trec_eval reorders equal ones; where ours are equal, a score is lowered to
    the next float32. With fewer passages than the pool, mAP by trec_eval is a lower bound of ours.

    Args:
        folder: for `monolingual.run`, `monolingual.qrels`, `multilingual.run` and `multilingual.qrels`.
        benchmark: queries, candidates and relevance.
        queries: (queries, d) float32.
        candidates: (candidates, d) float32.
        depth: passages a query; 0 for all.
        name: last column of the runs.
    """
    label = "_".join(name.split()) or "isoglot"
    langs = benchmark.candidates.lang
    gold_query = query_of(benchmark.gold_offsets)
    written = []
    for setting in ("monolingual", "multilingual"):
        own = setting == "monolingual"
        run, qrels = folder / f"{setting}.run", folder / f"{setting}.qrels"
        with atomic_write(qrels) as temporary, temporary.open("w", encoding="utf-8") as out:
            for q, c in zip(gold_query, benchmark.gold, strict=True):
                if not own or langs[c] == benchmark.queries.lang[q]:
                    out.write(f"{_id(benchmark.queries.ids[q])} 0 {_id(benchmark.candidates.ids[c])} 1\n")
        with atomic_write(run) as temporary, temporary.open("w", encoding="utf-8") as out:
            for asking, pool in _parts(benchmark, own):
                k = min(depth, len(pool)) if depth else len(pool)
                for first in range(0, len(asking), 256):
                    some = asking[first : first + 256]
                    top, scores = top_k_scored(queries[some], candidates[pool], k)
                    for q, found, values in zip(some, pool[top], strictly_falling(scores), strict=True):
                        query = _id(benchmark.queries.ids[q])
                        out.writelines(
                            f"{query} Q0 {_id(benchmark.candidates.ids[c])} {rank} {score:.9g} {label}\n"
                            for rank, (c, score) in enumerate(zip(found, values, strict=True), 1)
                        )
        written += [run, qrels]
    return written


def strictly_falling(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lower scores (rows sorted, best first) as little as makes every row fall strictly in float32.

    >>> bool((np.diff(strictly_falling(np.float32([[1, 1, 1, 0.5]]))) < 0).all())
    True
    """
    falling = scores.astype(np.float32, copy=True)
    for column in range(1, falling.shape[1]):
        ceiling = np.nextafter(falling[:, column - 1], np.float32(-np.inf))
        falling[:, column] = np.minimum(falling[:, column], ceiling)
    return falling


def _parts(benchmark: Benchmark, own: bool) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Queries and the candidates that they are asked of."""
    if not own:
        return [(np.arange(len(benchmark.queries)), np.arange(len(benchmark.candidates)))]
    parts = [
        (np.flatnonzero(benchmark.queries.lang == lang), np.flatnonzero(benchmark.candidates.lang == lang))
        for lang in range(len(benchmark.languages))
    ]
    return [(asking, pool) for asking, pool in parts if len(asking)]


def _id(key: str) -> str:
    """TREC columns are split at white space, which an id can therefore not hold.

    Raises:
        InputError: an id with white space.
    """
    if key.split() != [key]:
        raise InputError(f"id {key!r} holds white space; TREC files cannot name it, so rename it in the benchmark")
    return key
