"""The one batch sampler behind every regime.

The draw of a step is a pure function of (seed, epoch, step, global batch size): the plan is made for all ranks
together and dealt out, so two ranks of B see what one rank of 2B would see, and replaying from step 0 gives the
same batches again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.data.table import RowTable
from isoglot.errors import InputError
from isoglot.regimes import Sampling

Rows = NDArray[np.int64]
_CHUNK = 1024


class Batch(NamedTuple):
    """One global batch: `queries[i]` and `passages[i]` are row numbers of a pair.

    `query_lang` and `passage_lang` are codes, or None where the batch mixes languages.
    """

    kind: str
    dataset: str
    query_lang: str | None
    passage_lang: str | None
    queries: Rows
    passages: Rows


class HybridBatchSampler:
    """Yields lists of 2B row numbers: B query rows, then the B passage rows that answer them.

    No two pairs of a global batch share a passage component (hence no group either), batches are always full, and
    within one stratum (a language, a language pair, a data set) no group comes again before all have come.

    Args:
        table: the integer side of the rows.
        sampling: the regime and its weights.
        batch_size: pairs a process sees in one step (B).
        steps: how many optimiser batches to plan; None sees about every row once.
        seed: with `epoch` and the step, the only source of randomness.
        processes: number of processes (W) that deal consecutive batches among themselves; the global batch is W x B.

    Raises:
        InputError: no stratum can fill a global batch; the message names the largest that could.
    """

    drop_last = True

    def __init__(
        self,
        table: RowTable,
        sampling: Sampling | None = None,
        batch_size: int = 32,
        *,
        steps: int | None = None,
        seed: int = 0,
        processes: int = 1,
    ) -> None:
        if batch_size < 2:
            raise InputError(f"--batch-size {batch_size}: in-batch negatives need at least 2 pairs")
        if steps is not None and steps < 1:
            raise InputError(f"--max-steps {steps}: expected at least 1")
        if processes < 1:
            raise InputError(f"{processes} processes: expected at least 1")
        if seed < 0:
            raise InputError(f"--seed {seed}: expected a number from 0")
        self.table = table
        self.sampling = sampling or Sampling()
        self.pairs = batch_size
        self.processes = processes
        self.seed = seed
        self.epoch = 0
        self.steps = steps if steps is not None else max(1, len(table) // (batch_size * processes))
        # What is yielded is 2B indices: accelerate compares lengths with this.
        self.batch_size = 2 * batch_size
        self._plans = _plans(table, self.sampling, batch_size * processes)

    def __len__(self) -> int:
        return self.steps * self.processes

    def set_epoch(self, epoch: int) -> None:
        """Draw other batches from the next iteration on."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches():
            for rank in range(self.processes):
                part = slice(rank * self.pairs, (rank + 1) * self.pairs)
                yield [*batch.queries[part].tolist(), *batch.passages[part].tolist()]

    def _alpha(self, step: int) -> float:
        plans = self._plans
        if plans.mono is plans.other:
            return 1.0 if plans.mono.kind == "mono" else 0.0
        return self.sampling.alpha_at(step / max(1, self.steps - 1))

    def batches(self) -> Iterator[Batch]:
        """The global batches of this epoch, in order, with what kind they are."""
        streams: dict[tuple[str, int, int, int], _Stream] = {}
        names = self.table
        for step in range(self.steps):
            rng = np.random.default_rng((self.seed, self.epoch, step))
            mono = rng.random() < self._alpha(step)
            plan = self._plans.mono if mono else self._plans.other
            stratum = plan.draw(rng)
            key = (plan.kind, *stratum)
            if key not in streams:
                streams[key] = plan.stream(stratum, (self.seed, self.epoch, int(mono), *(part + 1 for part in stratum)))
            queries, passages = streams[key].take(self.pairs * self.processes)
            dataset, x, y = stratum
            yield Batch(
                plan.kind,
                names.datasets[dataset],
                names.languages[x] if x >= 0 else None,
                names.languages[y] if y >= 0 else None,
                queries,
                passages,
            )


def dataset_sampler(
    dataset: Any,
    batch_size: int,
    drop_last: bool = True,
    valid_label_columns: list[str] | None = None,
    generator: Any = None,
    seed: int = 0,
    *,
    sampling: Sampling | None = None,
    steps: int | None = None,
    processes: int = 1,
) -> HybridBatchSampler:
    """A `HybridBatchSampler` over a Hugging Face `Dataset`, for Sentence Transformers' `batch_sampler` argument.

    A module-level function, so that `functools.partial(dataset_sampler, sampling=...)` survives the pickling of
    training arguments in checkpoints. Use it with `isoglot.collate.FoldingCollator`.

    Args:
        dataset: has columns `group`, `lang`, `passage` and, where there are several, `dataset`.
        batch_size: pairs a process sees in one step.
        drop_last: ignored, batches are always full.
        valid_label_columns: ignored.
        generator: ignored, the draw depends on `seed` alone.
        seed: of the draw.
        sampling: the regime; hybrid by default.
        steps: batches to plan; None sees about every row once.
        processes: how many processes deal batches among themselves.
    """
    groups, langs, passages = (list(dataset[name]) for name in ("group", "lang", "passage"))
    datasets = list(dataset["dataset"]) if "dataset" in dataset.column_names else None
    table = RowTable.from_columns(groups, langs, passages, datasets)
    return HybridBatchSampler(table, sampling, batch_size, steps=steps, seed=seed, processes=processes)


Stratum = tuple[int, int, int]  # data set, query language, passage language (-1: mixed)


class _Plan:
    """One kind of batch: its strata that can fill a batch, how to weigh them, and how to walk through one."""

    def __init__(
        self,
        kind: str,
        strata: list[Stratum],
        sizes: list[int],
        sampling: Sampling,
        table: RowTable,
        resolve: Callable[[Stratum, tuple[int, ...]], _Stream],
    ) -> None:
        self.kind = kind
        self.stream = resolve
        rows = np.bincount(np.asarray(table.dataset), minlength=len(table.datasets)).astype(np.float64)
        self._strata: list[list[Stratum]] = []
        self._weights: list[NDArray[np.float64]] = []
        dataset_weights = []
        for dataset in range(len(table.datasets)):
            own = [index for index, stratum in enumerate(strata) if stratum[0] == dataset]
            if own:
                self._strata.append([strata[index] for index in own])
                weights = np.array([float(sizes[index]) for index in own]) ** sampling.language_exponent
                self._weights.append(np.cumsum(weights / weights.sum()))
                dataset_weights.append(rows[dataset] ** sampling.dataset_exponent)
        self._dataset_weights = np.cumsum(np.array(dataset_weights) / sum(dataset_weights))

    def draw(self, rng: np.random.Generator) -> Stratum:
        dataset = _pick(self._dataset_weights, rng)
        return self._strata[dataset][_pick(self._weights[dataset], rng)]


class _Plans(NamedTuple):
    mono: _Plan
    other: _Plan


def _pick(cumulative: NDArray[np.float64], rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(cumulative, rng.random(), side="right")), len(cumulative) - 1)


def _plans(table: RowTable, sampling: Sampling, batch: int) -> _Plans:
    """Choose the kinds of batch that the regime needs."""
    if sampling.regime in ("en-en", "x-x-mono"):
        plan = _mono_plan(table, sampling, batch)
        return _Plans(plan, plan)
    if sampling.regime == "x-x":
        plan = _mixed_plan(table, sampling, batch, same=True)
        return _Plans(plan, plan)
    cross = _pair_plan if sampling.xy == "per-batch" else _mixed_plan
    constant = sampling.alpha_schedule == "constant"
    if sampling.regime == "x-y" or (constant and sampling.alpha == 0.0):
        plan = cross(table, sampling, batch)
        return _Plans(plan, plan)
    if constant and sampling.alpha == 1.0:
        mono = _mono_plan(table, sampling, batch)
        return _Plans(mono, mono)
    plans: list[_Plan] = []
    errors: list[BatchTooLargeError] = []
    for make in (_mono_plan, cross):
        try:
            plans.append(make(table, sampling, batch))
        except BatchTooLargeError as error:
            errors.append(error)
    if errors:
        # The batch that fits both kinds is the one to name.
        raise min(errors, key=lambda error: error.largest)
    return _Plans(*plans)


def _mono_plan(table: RowTable, sampling: Sampling, batch: int) -> _Plan:
    wanted = range(len(table.languages))
    if sampling.regime == "en-en":
        if sampling.pivot not in table.languages:
            raise InputError(f"--pivot {sampling.pivot}: not in the rows; there are: {', '.join(table.languages)}")
        wanted = range(table.languages.index(sampling.pivot), table.languages.index(sampling.pivot) + 1)
    found = [(d, x, x) for d in range(len(table.datasets)) for x in wanted]
    strata = _fitting(table, found, batch, "monolingual batches")

    def stream(stratum: Stratum, key: tuple[int, ...]) -> _Stream:
        rows = _language_rows(table, stratum[0], stratum[1])

        def resolve(items: Rows, _: tuple[int, ...]) -> tuple[Rows, Rows]:
            chosen = np.asarray(rows[items], dtype=np.int64)
            return chosen, chosen

        return _Stream(len(rows), key, resolve, table)

    return _Plan("mono", strata, [int(table.pair_groups[s]) for s in strata], sampling, table, stream)


def _pair_plan(table: RowTable, sampling: Sampling, batch: int) -> _Plan:
    """Whole batches in one ordered language pair."""
    size = len(table.languages)
    found = [
        (d, x, y)
        for d in range(len(table.datasets))
        for x in range(size)
        for y in range(size)
        if x != y or sampling.xy_draw == "independent"
    ]
    strata = _fitting(table, found, batch, "cross-lingual batches in one language pair (--xy per-batch)")

    def stream(stratum: Stratum, key: tuple[int, ...]) -> _Stream:
        dataset, x, y = stratum
        # Walk through the smaller language and look the other up: nothing is stored per pair.
        walk = x if table.pair_groups[dataset, x, x] <= table.pair_groups[dataset, y, y] else y
        rows = _language_rows(table, dataset, walk)

        def resolve(items: Rows, _: tuple[int, ...]) -> tuple[Rows, Rows]:
            groups = table.group[rows[items]]
            queries, passages = table.rows_of_groups(groups, x), table.rows_of_groups(groups, y)
            both = (queries >= 0) & (passages >= 0)
            return queries[both], passages[both]

        return _Stream(len(rows), key, resolve, table)

    return _Plan("cross", strata, [int(table.pair_groups[s]) for s in strata], sampling, table, stream)


def _mixed_plan(table: RowTable, sampling: Sampling, batch: int, *, same: bool = False) -> _Plan:
    """Batches that mix languages: group first, then one language of it (`x-x`) or an ordered pair (`per-example`)."""
    distinct = not same and sampling.xy_draw == "distinct"
    counts = table.parallel_components if distinct else table.dataset_components
    strata = [(d, -1, -1) for d in range(len(table.datasets)) if counts[d] >= batch]
    if not strata:
        what = "cross-lingual batches" if not same else "batches of mixed languages"
        raise BatchTooLargeError(batch, int(max(counts, default=0)), what)
    sizes = np.diag(table.pair_groups.sum(axis=0)).astype(np.float64)
    log_weights = sampling.language_exponent * np.log(np.maximum(sizes, 1.0))

    def stream(stratum: Stratum, key: tuple[int, ...]) -> _Stream:
        start, end = (int(table.group_dataset_offsets[stratum[0] + offset]) for offset in (0, 1))

        def resolve(items: Rows, where: tuple[int, ...]) -> tuple[Rows, Rows]:
            first, count = table.group_ranges(items + start)
            if distinct:
                first, count = first[count > 1], count[count > 1]
            if not len(first):
                return first, first
            slots = np.minimum(np.arange(count.max()), (count - 1)[:, None]) + first[:, None]
            rows = np.asarray(table.key_rows[slots], dtype=np.int64)
            weights = np.where(np.arange(count.max()) < count[:, None], log_weights[table.lang[rows]], -np.inf)
            # The largest of (log weight + Gumbel noise) is a weighted draw; the two largest are one without
            # replacement (Plackett-Luce).
            rng = np.random.default_rng((*key, *where))
            noise = weights + rng.gumbel(size=weights.shape)
            lines = np.arange(len(rows))
            query = noise.argmax(axis=1)
            if same:
                return rows[lines, query], rows[lines, query]
            if distinct:
                noise[lines, query] = -np.inf
            else:
                noise = weights + rng.gumbel(size=weights.shape)
            return rows[lines, query], rows[lines, noise.argmax(axis=1)]

        return _Stream(end - start, key, resolve, table)

    kind = "mixed" if same else "cross"
    return _Plan(kind, strata, [1] * len(strata), sampling, table, stream)


def _language_rows(table: RowTable, dataset: int, lang: int) -> Any:
    at = dataset * len(table.languages) + lang
    return table.lang_rows[table.lang_offsets[at] : table.lang_offsets[at + 1]]


def _fitting(table: RowTable, strata: list[Stratum], batch: int, what: str) -> list[Stratum]:
    sizes = [int(table.pair_components[stratum]) for stratum in strata]
    fitting = [stratum for stratum, size in zip(strata, sizes, strict=True) if size >= batch]
    if not fitting:
        raise BatchTooLargeError(batch, max(sizes, default=0), what)
    return fitting


class BatchTooLargeError(InputError):
    """No stratum can fill a batch; `largest` is the largest that one could fill."""

    def __init__(self, batch: int, largest: int, what: str) -> None:
        self.largest = largest
        super().__init__(
            f"the rows hold no {what}: no two groups with different passages have the languages for it"
            if largest < 2
            else f"a global batch of {batch} pairs is too large for {what}: at most {largest} have different passages; "
            f"give --batch-size {largest} or less (times the number of processes)"
        )


class _Stream:
    """Endless passes through one stratum, each in its own random order, as (query row, passage row) pairs."""

    def __init__(
        self,
        size: int,
        key: tuple[int, ...],
        resolve: Callable[[Rows, tuple[int, ...]], tuple[Rows, Rows]],
        table: RowTable,
    ) -> None:
        self._size, self._key, self._resolve = size, key, resolve
        self._component, self._group = table.component, table.group
        self._pass = self._at = 0
        self._order = keyed_permutation(size, (*key, 0))
        empty = np.empty(0, dtype=np.int64)
        self._queries, self._passages, self._components = empty, empty, empty

    def take(self, count: int) -> tuple[Rows, Rows]:
        """The next `count` pairs whose components all differ; the ones passed over come first next time."""
        while len(self._components) < count:
            self._refill(count)
        if len(np.unique(self._components[:count])) == count:
            # Nearly always: the next pairs as they come.
            queries, passages = self._queries[:count], self._passages[:count]
            self._queries, self._passages = self._queries[count:], self._passages[count:]
            self._components = self._components[count:]
            return queries, passages
        while True:
            _, first = np.unique(self._components, return_index=True)
            if len(first) >= count:
                break
            self._refill(count)
        chosen = np.sort(first)[:count]
        queries, passages = self._queries[chosen], self._passages[chosen]
        keep = np.ones(len(self._queries), dtype=bool)
        keep[chosen] = False
        self._queries, self._passages, self._components = (
            array[keep] for array in (self._queries, self._passages, self._components)
        )
        return queries, passages

    def _refill(self, count: int) -> None:
        end = min(self._size, self._at + max(count, _CHUNK))
        items = self._order(np.arange(self._at, end, dtype=np.int64))
        queries, passages = self._resolve(items, (self._pass, self._at))
        if len(self._queries) > 2 * self._size:
            # One passage of very many groups: they wait longer than a pass takes, and need not queue twice.
            new = ~np.isin(self._group[queries], self._group[self._queries])
            queries, passages = queries[new], passages[new]
        self._queries = np.concatenate([self._queries, queries])
        self._passages = np.concatenate([self._passages, passages])
        self._components = np.concatenate([self._components, np.asarray(self._component[queries], dtype=np.int64)])
        self._at = end
        if end == self._size:
            self._pass, self._at = self._pass + 1, 0
            self._order = keyed_permutation(self._size, (*self._key, self._pass))


def keyed_permutation(size: int, key: tuple[int, ...]) -> Callable[[Rows], Rows]:
    """A random permutation of range(size) as a function, fixed by `key`.

    Up to 2**16 items it is a shuffled array; above, a six-round Feistel network with cycle walking, which needs no
    memory, so that thousands of strata of millions of groups cost nothing to open.

    >>> order = keyed_permutation(5, (0,))
    >>> sorted(order(np.arange(5)).tolist())
    [0, 1, 2, 3, 4]
    """
    rng = np.random.default_rng(key)
    if size <= 1 << 16:
        shuffled = rng.permutation(size)
        return lambda items: shuffled[items]
    bits = math.ceil(math.log2(size))
    low_bits = np.uint64(bits // 2)
    high_bits = np.uint64(bits) - low_bits
    rounds = rng.integers(0, 1 << 63, size=6, dtype=np.uint64)

    def encipher(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left_bits, right_bits = high_bits, low_bits
        left, right = values >> low_bits, values & ((np.uint64(1) << low_bits) - np.uint64(1))
        for salt in rounds:
            mixed = _mix(right + salt) & ((np.uint64(1) << left_bits) - np.uint64(1))
            left, right = right, left ^ mixed
            left_bits, right_bits = right_bits, left_bits
        return (left << right_bits) | right

    def order(items: Rows) -> Rows:
        values = encipher(items.astype(np.uint64))
        while (outside := values >= size).any():
            values[outside] = encipher(values[outside])
        return values.astype(np.int64)

    return order


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014); wraps around on purpose."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
