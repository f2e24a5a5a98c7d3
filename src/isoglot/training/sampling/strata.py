"""The built-in regimes, and the strata (a language, a language pair, a data set) from which they draw batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.data.row_table import RowTable
from isoglot.languages.codes import known_code
from isoglot.training.sampling.plans import Plan, Plans, Stratum
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.sampling.walks import Rows, Stream


def hybrid(table: RowTable, sampling: Sampling, batch: int) -> Plans:
    """Each batch at random: monolingual with probability alpha, otherwise cross-lingual."""
    if sampling.alpha_schedule == "constant" and sampling.alpha in (0.0, 1.0):
        return (cross if sampling.alpha == 0.0 else mono)(table, sampling, batch)
    plans: list[Plan] = []
    errors: list[BatchTooLargeError] = []
    for make in (mono, cross):
        try:
            plans.append(make(table, sampling, batch).mono)
        except BatchTooLargeError as error:
            errors.append(error)
    if errors:
        # The error with the smaller size: a batch of that size suits both kinds.
        raise min(errors, key=lambda error: error.largest)
    return Plans(*plans)


def mono(table: RowTable, sampling: Sampling, batch: int) -> Plans:
    """Each batch in one language."""
    return Plans.of(mono_plan(table, sampling, batch))


def cross(table: RowTable, sampling: Sampling, batch: int) -> Plans:
    """Query and passage in different languages; one ordered pair for each batch, or for each example."""
    make = pair_plan if sampling.xy == "per-batch" else mixed_plan
    return Plans.of(make(table, sampling, batch))


def same_language(table: RowTable, sampling: Sampling, batch: int) -> Plans:
    """Same-language pairs, languages mixed in a batch."""
    return Plans.of(mixed_plan(table, sampling, batch, same=True))


def pivot_only(table: RowTable, sampling: Sampling, batch: int) -> Plans:
    """Each batch in the pivot language.

    Raises:
        InputError: no row is in the pivot language.
    """
    pivot = known_code(sampling.pivot) or sampling.pivot
    if pivot not in table.languages:
        raise InputError(f"pivot {sampling.pivot}: not in the rows; there are: {', '.join(table.languages)}")
    return Plans.of(mono_plan(table, sampling, batch, keep=lambda lang: lang == pivot))


def mono_plan(
    table: RowTable, sampling: Sampling, batch: int, *, keep: Callable[[str], bool] = lambda lang: True
) -> Plan:
    """Return the plan of batches in one language each.

    Args:
        table: the integer columns of the rows.
        sampling: the sampling settings.
        batch: global batch size, in pairs.
        keep: whether to use a language, given its code.

    Raises:
        BatchTooLargeError: no language has enough different passages.
        InputError: all rows are bitext, which has no question-answer pairs within one language.
    """
    _require_questions(table, "monolingual batches")
    wanted = [number for number, lang in enumerate(table.languages) if keep(lang)]
    found = [(d, x, x) for d in np.flatnonzero(table.same_language).tolist() for x in wanted]
    strata = _fitting(table, found, batch, "monolingual batches")

    def stream(stratum: Stratum, key: tuple[int, ...]) -> Stream:
        rows = _language_rows(table, stratum[0], stratum[1])

        def resolve(items: Rows, where: tuple[int, ...]) -> tuple[Rows, Rows]:
            chosen = np.asarray(rows[items], dtype=np.int64)
            if table.several:
                pick = np.random.default_rng((*key, *where)).random(len(chosen))
                chosen = table.rows_of_groups(table.group[chosen], stratum[1], pick)
            return chosen, chosen

        return Stream(len(rows), key, resolve, table)

    return _plan("mono", strata, [int(table.pair_groups[s]) for s in strata], table, stream, sampling)


def pair_plan(
    table: RowTable, sampling: Sampling, batch: int, *, keep: Callable[[str, str], bool] = lambda query, passage: True
) -> Plan:
    """Return the plan of batches in one ordered pair (query language, passage language) each.

    Args:
        table: the integer columns of the rows.
        sampling: the sampling settings.
        batch: global batch size, in pairs.
        keep: whether to use an ordered pair, given its two codes.

    Raises:
        BatchTooLargeError: no pair has enough different passages.
    """
    size, same = len(table.languages), table.same_language
    found = [
        (d, x, y)
        for d in range(len(table.datasets))
        for x in range(size)
        for y in range(size)
        if (x != y or (sampling.xy_draw == "independent" and same[d])) and keep(table.languages[x], table.languages[y])
    ]
    strata = _fitting(table, found, batch, "cross-lingual batches in one language pair (`xy` per-batch)")

    def stream(stratum: Stratum, key: tuple[int, ...]) -> Stream:
        dataset, x, y = stratum
        # Walk through the smaller language and look up the other one, so that nothing is stored per pair.
        walk = x if table.pair_groups[dataset, x, x] <= table.pair_groups[dataset, y, y] else y
        rows = _language_rows(table, dataset, walk)

        def resolve(items: Rows, where: tuple[int, ...]) -> tuple[Rows, Rows]:
            groups = table.group[rows[items]]
            pick = np.random.default_rng((*key, *where)).random(len(groups)) if table.several else None
            queries, passages = table.rows_of_groups(groups, x), table.rows_of_groups(groups, y, pick)
            both = (queries >= 0) & (passages >= 0)
            return queries[both], passages[both]

        return Stream(len(rows), key, resolve, table)

    return _plan("cross", strata, [int(table.pair_groups[s]) for s in strata], table, stream, sampling)


def mixed_plan(table: RowTable, sampling: Sampling, batch: int, *, same: bool = False) -> Plan:
    """Return the plan of batches that mix languages: each example draws a group, then languages within it.

    Args:
        table: the integer columns of the rows.
        sampling: the sampling settings.
        batch: global batch size, in pairs.
        same: draw one language for query and passage; otherwise an ordered pair.

    Raises:
        BatchTooLargeError: no data set has enough different passages.
    """
    if same:
        _require_questions(table, "batches of same-language pairs")
    # If both draws may give the same language, bitext must be excluded: there a text would be its own query.
    apart = ~table.same_language if sampling.xy_draw == "independent" else np.ones(len(table.datasets), dtype=bool)
    counts = np.where(apart, table.parallel_components, table.dataset_components)
    if same:
        counts = np.where(table.same_language, table.dataset_components, 0)
    strata = [(d, -1, -1) for d in range(len(table.datasets)) if counts[d] >= batch]
    if not strata:
        what = "cross-lingual batches" if not same else "batches of mixed languages"
        raise BatchTooLargeError(batch, int(max(counts, default=0)), what)
    sizes = np.diag(table.pair_groups.sum(axis=0)).astype(np.float64)
    log_weights = sampling.language_exponent * np.log(np.maximum(sizes, 1.0))

    def stream(stratum: Stratum, key: tuple[int, ...]) -> Stream:
        start, end = (int(table.group_dataset_offsets[stratum[0] + offset]) for offset in (0, 1))
        distinct = not same and bool(apart[stratum[0]])

        def resolve(items: Rows, where: tuple[int, ...]) -> tuple[Rows, Rows]:
            first, count = table.group_ranges(items + start)
            if distinct:
                # Rows are sorted by language, so a group has two languages if its first and last ones differ.
                two = table.keys[first] < table.keys[first + count - 1]
                first, count = first[two], count[two]
            if not len(first):
                return first, first
            slots = np.minimum(np.arange(count.max()), (count - 1)[:, None]) + first[:, None]
            rows = np.asarray(table.key_rows[slots], dtype=np.int64)
            langs = table.lang[rows]
            there = np.arange(count.max()) < count[:, None]
            weights = np.where(there, log_weights[langs], -np.inf)
            if table.several:
                # Give a language the same weight however many passages the query has in it.
                cells = np.arange(len(rows))[:, None] * len(table.languages) + langs
                weights -= np.log(np.bincount(cells[there])[cells])
            # The argmax of (log weight + Gumbel noise) is a weighted draw; the two largest are two weighted draws
            # without replacement (Plackett-Luce).
            rng = np.random.default_rng((*key, *where))
            noise = weights + rng.gumbel(size=weights.shape)
            lines = np.arange(len(rows))
            query = noise.argmax(axis=1)
            if same:
                return rows[lines, query], rows[lines, query]
            if distinct:
                noise[langs == langs[lines, query][:, None]] = -np.inf
            else:
                noise = weights + rng.gumbel(size=weights.shape)
            return rows[lines, query], rows[lines, noise.argmax(axis=1)]

        return Stream(end - start, key, resolve, table)

    kind = "mixed" if same else "cross"
    return _plan(kind, strata, [1] * len(strata), table, stream, sampling)


def _plan(
    kind: str,
    strata: list[Stratum],
    sizes: list[int],
    table: RowTable,
    stream: Callable[[Stratum, tuple[int, ...]], Stream],
    sampling: Sampling,
) -> Plan:
    by_dataset, by_language = sampling.dataset_exponent, sampling.language_exponent
    return Plan(kind, strata, sizes, table, stream, dataset_exponent=by_dataset, language_exponent=by_language)


def _language_rows(table: RowTable, dataset: int, lang: int) -> Any:
    at = dataset * len(table.languages) + lang
    return table.lang_rows[table.lang_offsets[at] : table.lang_offsets[at + 1]]


def _require_questions(table: RowTable, what: str) -> None:
    if not table.same_language.any():
        raise InputError(
            f"the rows hold no {what}: they are bitext, where a text would be its own query; "
            "give `regime` x-y, or add rows with questions"
        )


def _fitting(table: RowTable, strata: list[Stratum], batch: int, what: str) -> list[Stratum]:
    sizes = [int(table.pair_components[stratum]) for stratum in strata]
    fitting = [stratum for stratum, size in zip(strata, sizes, strict=True) if size >= batch]
    if not fitting:
        raise BatchTooLargeError(batch, max(sizes, default=0), what)
    return fitting


class BatchTooLargeError(InputError):
    """No stratum can fill a batch; `largest` is the largest batch size that one could fill."""

    def __init__(self, batch: int, largest: int, what: str) -> None:
        self.largest = largest
        super().__init__(
            f"the rows hold no {what}: no two groups with different passages have the languages for it; give another "
            "`regime`, or add rows (translations share `group` and `dataset`; rows that name no `dataset` have their "
            "file's name)"
            if largest < 2
            else f"a global batch of {batch} pairs is too large for {what}: at most {largest} have different passages; "
            f"give `batch_size` {largest} or less (times the number of processes)"
        )
