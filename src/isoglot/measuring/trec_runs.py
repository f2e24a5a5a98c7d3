"""Read a TREC run as ranks of a benchmark's relevant candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.problems import Problems
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.records import table_rows
from isoglot.measuring.rank_scoring import TOP
from isoglot.measuring.ranks import Floats, GoldRanks

_REMEDY = "Expected six columns: query, Q0, passage, rank, score, name; with the benchmark's own ids."


class RunRanks(NamedTuple):
    """A run as ranks of relevant candidates.

    Attributes:
        ranks: infinite for relevant candidates that are not in the run.
        share: (queries,) share of the query's language in its top 10; NaN if the run lists fewer.
        top: int32 (queries, 10 at most), the best candidates; None if the run lists fewer for some query, or lists
            candidates among them that are not in the pool.
        depth: the smallest number of candidates listed for a query, among the queries in the run.
        alone: whether each query searched only the passages in its own language.
        complete: whether the whole pool is listed for every query; if `alone`, that of its language.
        outside: whether a candidate in another language than the query's is listed for any query.
        notes: caveats for readers of the figures.
    """

    ranks: GoldRanks
    share: NDArray[np.float64]
    top: NDArray[np.int32] | None
    depth: int
    alone: bool
    complete: bool
    outside: bool
    notes: tuple[str, ...]


class _Entry(NamedTuple):
    """A line of a run: score and id, by which trec_eval sorts, and the candidate's position (-1: not in the pool)."""

    score: float
    id: str
    place: int


def read_trec_run(runs: Path | Mapping[str, Path], benchmark: Benchmark, *, own_language: bool = False) -> RunRanks:
    """Read a run over a benchmark's pool in trec_eval's order: by descending score, ties by descending id.

    Ranks within a language are taken from the same list without the passages in other languages. Queries of the run
    that the benchmark does not judge are left out, as in trec_eval; judged queries missing from the run count as 0, as
    with its `-c`. If the language of a query's pool is known (one language, or runs by language), ids may lack the
    language prefix (`12#0` for `yo:12#0`, as MIRACL writes them), and passages outside the pool keep their ranks and
    count as not relevant.

    Args:
        runs: one run for all queries, or one per query language.
        benchmark: queries, candidates and relevance.
        own_language: each query searched only the passages in its language. Assumed of several runs by language that
            list no others.

    Raises:
        InputError: malformed lines, no known query, unknown passages in a pool of several languages, duplicate
            passages for a query, or an empty run.
    """
    problems = Problems()
    listed: list[list[_Entry]] = [[] for _ in benchmark.queries.ids]
    unjudged: dict[str, None] = {}
    if isinstance(runs, Path):
        runs = {benchmark.languages[0] if len(benchmark.languages) == 1 else "": runs}
    for lang, path in runs.items():
        if lang and lang not in benchmark.languages:
            known = ", ".join(benchmark.languages)
            problems.add(
                path, None, f"is given for {lang}, in which {benchmark.name} has no queries; there are: {known}"
            )
            continue
        unjudged |= _read_lines(path, lang, benchmark, listed, problems)
    if not any(listed) and not problems.count:
        files = ", ".join(map(str, runs.values()))
        first = next(iter(unjudged), None)
        seen = "the run is empty"
        if first is not None:
            such = benchmark.queries.ids[0]
            seen = f"unknown query id {first!r}, like all others of the run; a known one is {such!r}"
        problems.add(files, None, seen)
    found = [sorted(entries, key=lambda entry: entry[:2], reverse=True) for entries in listed]
    for q, entries in enumerate(found):
        if len({entry.id for entry in entries}) < len(entries):
            problems.add(
                ", ".join(map(str, runs.values())), None, f"query {benchmark.queries.ids[q]!r} lists a passage twice"
            )
    problems.raise_if_any(_REMEDY)
    return _ranked(found, benchmark, list(unjudged), own_language or (None if len(runs) > 1 else False))


def _read_lines(
    path: Path, lang: str, benchmark: Benchmark, listed: list[list[_Entry]], problems: Problems
) -> dict[str, None]:
    """Add a run's lines to `listed`, by query; return the queries without judgements."""
    query_number = {key: index for index, key in enumerate(benchmark.queries.ids)}
    position = {key: index for index, key in enumerate(benchmark.candidates.ids)}
    unjudged: dict[str, None] = {}
    for line, (query, _, passage, _, score, _) in table_rows(path, 6, problems, separator=None):
        try:
            value = float(score)
        except ValueError:
            value = float("nan")
        number = query_number.get(query, query_number.get(f"{lang}:{query}", -1))
        place = position.get(passage, position.get(f"{lang}:{passage}", -1))
        if value != value:
            problems.add(path, line, f"score {score!r} is not a number")
        elif number < 0:
            unjudged[query] = None
        elif place < 0 and not lang:
            such = benchmark.candidates.ids[0]
            problems.add(path, line, f"unknown passage id {passage!r}; a known one is {such!r}")
        else:
            # trec_eval stores scores in single precision, so scores that are equal there are ties.
            listed[number].append(_Entry(float(np.float32(value)), passage, place))
    return unjudged


def _ranked(
    found: list[list[_Entry]], benchmark: Benchmark, unjudged: list[str], own_language: bool | None
) -> RunRanks:
    """Ranks of the entries found for each query; `own_language` is None if the entries have to show it."""
    langs, gold, offsets = benchmark.candidates.lang, benchmark.gold, benchmark.gold_offsets
    within, pooled = np.full((2, len(gold)), np.inf)
    share = np.full(len(found), np.nan)
    k = min(TOP, len(langs))
    top = np.full((len(found), k), -1, np.int32)
    ties, outside, strangers = 0, False, 0
    for q, entries in enumerate(found):
        places = np.array([entry.place for entry in entries], np.int64)
        asked = benchmark.queries.lang[q]
        lang_of = np.where(places < 0, asked, langs[places]) if len(places) else np.empty(0, langs.dtype)
        strangers += int((places < 0).sum())
        outside = outside or bool((lang_of != asked).any())
        if len(places) >= k:
            share[q], top[q] = (lang_of == asked)[:TOP].mean(), places[:k]
        place_of = {candidate: place for place, candidate in enumerate(places.tolist())}
        relevant = range(offsets[q], offsets[q + 1])
        listed = {g: place for g in relevant if (place := place_of.get(int(gold[g]))) is not None}
        for g, place in listed.items():
            pooled[g] = place + 1
            within[g] = 1 + int((lang_of[:place] == langs[gold[g]]).sum())
        ties += _ties(listed.values(), np.array([entry.score for entry in entries]))
    lengths = np.array([len(entries) for entries in found])
    alone = not outside if own_language is None else own_language
    sizes = np.bincount(langs, minlength=len(benchmark.languages))[benchmark.queries.lang]
    pools = sizes if alone else np.full(len(found), len(langs))
    complete = bool((lengths == pools).all()) and not strangers
    return RunRanks(
        GoldRanks(offsets, gold, within, pooled, ties),
        share,
        top if (top >= 0).all() else None,
        int(lengths[lengths > 0].min()),
        alone,
        complete,
        outside,
        (*(() if complete else (_on_depth(lengths, pools, strangers),)), *_on_ids(lengths, unjudged, strangers)),
    )


def _ties(places: Iterable[int], scores: Floats) -> int:
    """Number of pairs of a relevant candidate, at one of these places of a list, and another one of the same score."""
    ties, counted = 0, set[int]()
    for place in places:
        equal = set(np.flatnonzero(scores == scores[place]).tolist())
        ties += len(equal - {place} - counted)
        counted.add(place)
    return ties


def _on_depth(lengths: NDArray[np.int64], pools: NDArray[np.int64], strangers: int) -> str:
    """The note on a run that does not list the whole pool."""
    sizes = f"{pools.min()} to {pools.max()}" if pools.min() < pools.max() else str(pools.max())
    return (
        f"scored from a run of {lengths[lengths > 0].min()} to {lengths.max()} passages per query, of "
        f"{'a larger pool' if strangers else sizes}: a relevant passage "
        "beyond them counts as never found, so mAP, recall beyond that depth and MRR are lower bounds"
    )


def _on_ids(lengths: NDArray[np.int64], unjudged: list[str], strangers: int) -> list[str]:
    """Notes on queries and passages that only the run has, or only the benchmark."""
    notes = []
    missing = int((lengths == 0).sum())
    if missing:
        notes.append(
            f"the run lists nothing for {missing} queries that are judged here: they count as 0, as with trec_eval -c"
        )
    if unjudged:
        have = "query of the run has" if len(unjudged) == 1 else "queries of the run have"
        notes.append(
            f"{len(unjudged)} {have} no judgements here (such as {unjudged[0]!r}): left out, as trec_eval does"
        )
    if strangers:
        notes.append(
            f"{strangers} lines of the run name passages that are not in the pool here: they keep their ranks and "
            "count as not relevant, as in trec_eval"
        )
    return notes
