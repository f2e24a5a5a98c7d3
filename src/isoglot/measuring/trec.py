"""Write TREC runs and qrels from which trec_eval reproduces isoglot's figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.measuring.ranks import query_of, top_k_scored

DEPTH = 1000


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

    Scores are strictly decreasing, since trec_eval reorders equal ones: a tied score is lowered to the next float32.
    A query without relevant passages gets one judgement of 0. With `depth` below the pool's size, trec_eval's mAP is a
    lower bound of isoglot's.

    Args:
        folder: for `monolingual.run`, `monolingual.qrels`, `multilingual.run` and `multilingual.qrels`.
        benchmark: queries, candidates and relevance.
        queries: (queries, d) float32.
        candidates: (candidates, d) float32.
        depth: passages per query; 0 for all.
        name: last column of the runs.

    Raises:
        InputError: as in `require_trec_ids`.
    """
    require_trec_ids(benchmark)
    written = []
    for setting in ("monolingual", "multilingual"):
        own = setting == "monolingual"
        run, qrels = folder / f"{setting}.run", folder / f"{setting}.qrels"
        with atomic_write(qrels) as temporary, temporary.open("w", encoding="utf-8") as out:
            out.writelines(_qrels_lines(benchmark, own))
        with atomic_write(run) as temporary, temporary.open("w", encoding="utf-8") as out:
            out.writelines(_run_lines(benchmark, queries, candidates, own, depth, label_of(name)))
        written += [run, qrels]
    return written


def _qrels_lines(benchmark: Benchmark, own: bool) -> Iterator[str]:
    """Yield the judgements; with `own`, those of passages in the query's language."""
    query_ids, passage_ids = benchmark.queries.ids, benchmark.candidates.ids
    langs, asked = benchmark.candidates.lang, benchmark.queries.lang
    gold_query = query_of(benchmark.gold_offsets)
    for q, c, grade in zip(gold_query, benchmark.gold, benchmark.grades, strict=True):
        if not own or langs[c] == asked[q]:
            yield f"{trec_id(query_ids[q])} 0 {trec_id(passage_ids[c])} {grade:g}\n"
    # Without a line in the qrels, trec_eval would leave queries without relevant passages out of its means.
    gold_lang = langs[benchmark.gold]
    measured = set(gold_lang[gold_lang == asked[gold_query]].tolist())
    for q in np.flatnonzero(np.diff(benchmark.gold_offsets) == 0):
        if not own or asked[q] in measured:
            first = int(np.argmax(langs == asked[q]))
            yield f"{trec_id(query_ids[q])} 0 {trec_id(passage_ids[first])} 0\n"


def _run_lines(
    benchmark: Benchmark,
    queries: NDArray[np.float32],
    candidates: NDArray[np.float32],
    own: bool,
    depth: int,
    label: str,
) -> Iterator[str]:
    """Yield the best `depth` candidates of every query; with `own`, in the query's language."""
    for asking, pool in _parts(benchmark, own):
        k = min(depth, len(pool)) if depth else len(pool)
        for first in range(0, len(asking), 256):
            some = asking[first : first + 256]
            top, scores = top_k_scored(queries[some], candidates[pool], k)
            for q, found, values in zip(some, pool[top], strictly_falling(scores), strict=True):
                ids = (benchmark.candidates.ids[c] for c in found)
                yield from run_lines(benchmark.queries.ids[q], ids, values, label)


def run_lines(query: str, ids: Iterable[str], scores: NDArray[np.float32], label: str) -> Iterator[str]:
    """Yield a query's lines of a run: query, Q0, passage, rank, score, name.

    Args:
        query: its id.
        ids: of passages, best first.
        scores: of the passages, from `strictly_falling`; written with nine digits, which distinguish any two float32.
        label: last column (see `label_of`).

    Raises:
        InputError: as in `trec_id`.
    """
    asked = trec_id(query)
    for rank, (id, score) in enumerate(zip(ids, scores.tolist(), strict=True), 1):
        yield f"{asked} Q0 {trec_id(id)} {rank} {score:.9g} {label}\n"


def label_of(name: str) -> str:
    """Return a name as the last column of a run, without white space.

    >>> label_of("my run"), label_of("")
    ('my_run', 'isoglot')
    """
    return "_".join(name.split()) or "isoglot"


def require_trec_ids(benchmark: Benchmark) -> None:
    """Check that all ids of queries and candidates can be written to TREC files.

    Raises:
        InputError: as in `trec_id`, for the first invalid id.
    """
    for key in chain(benchmark.queries.ids, benchmark.candidates.ids):
        trec_id(key)


def trec_id(key: str) -> str:
    """Return an id unchanged if TREC files, whose columns are separated by white space, can hold it.

    Raises:
        InputError: the id is empty or contains white space.
    """
    if key.split() != [key]:
        raise InputError(
            f"id {key!r} holds white space, which separates the columns of TREC files; rename it at its "
            "source: the benchmark, the index or the queries"
        )
    return key


def strictly_falling(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lower scores (rows sorted, best first) by the least that makes every row strictly decreasing in float32.

    >>> bool((np.diff(strictly_falling(np.float32([[1, 1, 1, 0.5]]))) < 0).all())
    True
    """
    falling = scores.astype(np.float32, copy=True)
    for column in range(1, falling.shape[1]):
        ceiling = np.nextafter(falling[:, column - 1], np.float32(-np.inf))
        falling[:, column] = np.minimum(falling[:, column], ceiling)
    return falling


def _parts(benchmark: Benchmark, own: bool) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of queries and the candidates to rank for them; with `own`, one pair per language."""
    if not own:
        return [(np.arange(len(benchmark.queries)), np.arange(len(benchmark.candidates)))]
    parts = [
        (np.flatnonzero(benchmark.queries.lang == lang), np.flatnonzero(benchmark.candidates.lang == lang))
        for lang in range(len(benchmark.languages))
    ]
    return [(asking, pool) for asking, pool in parts if len(asking)]
