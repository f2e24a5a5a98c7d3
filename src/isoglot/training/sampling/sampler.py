"""The batch sampler behind every regime.

The global batch of a step is a pure function of (seed, epoch, step, global batch size): it is drawn for all ranks
together and then divided among them. So two ranks with batches of B see what one rank with batches of 2B would see,
and replaying from step 0 gives the same batches again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from isoglot.core.arguments import check_kind, check_whole
from isoglot.core.short_repr import brief
from isoglot.data.row_table import RowTable
from isoglot.training.sampling.plans import Plans
from isoglot.training.sampling.regimes import REGIMES, Sampling, check_regime
from isoglot.training.sampling.walks import Rows, Stream

FEW = 50_000


class Batch(NamedTuple):
    """One global batch: `queries[i]` and `passages[i]` are the row numbers of one pair.

    `query_lang` and `passage_lang` are language codes, or None if the batch mixes languages.
    """

    kind: str
    dataset: str
    query_lang: str | None
    passage_lang: str | None
    queries: Rows
    passages: Rows

    def __repr__(self) -> str:
        return brief(self)


class HybridBatchSampler:
    """Yields lists of 2B row numbers: B query rows, then the rows of the B passages that answer them.

    No two pairs of a global batch share a passage component (hence no group either), batches are always full, and
    within one stratum (a language, a language pair, a data set) no group is repeated before all have been drawn.

    Args:
        table: the integer columns of the rows.
        sampling: the regime and its settings; hybrid by default.
        batch_size: pairs per step and process (B).
        steps: number of optimiser steps to plan; None plans enough to see each row about once.
        seed: together with `epoch` and the step, the only source of randomness.
        processes: number of processes (W); consecutive batches go to them in turn, and the global batch is W x B.

    Raises:
        InputError: no stratum can fill a global batch; the message gives the largest possible size.

    Example:
        >>> from isoglot import HybridBatchSampler, prepare
        >>> from isoglot.training import Sampling
        >>> rows = prepare(
        ...     [
        ...         {"group": n, "lang": lang, "query": f"{lang} question {n}", "passage": f"{lang} answer {n}"}
        ...         for n in range(8)
        ...         for lang in ("de", "en")
        ...     ],
        ...     show_progress=False,
        ... )
        >>> sampler = HybridBatchSampler(rows.table, Sampling(regime="x-y"), batch_size=4, steps=2)
        >>> batches = list(sampler)
        >>> len(batches), len(batches[0])
        (2, 8)
        >>> lang = rows.column("lang")
        >>> [lang[query] != lang[passage] for query, passage in zip(batches[0][:4], batches[0][4:], strict=True)]
        [True, True, True, True]
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
        check_kind("table", table, RowTable, "the table of prepared rows, such as prepare(...).table")
        if sampling is not None:
            check_kind("sampling", sampling, Sampling, "a Sampling of isoglot.training")
        check_whole("batch_size", batch_size, 2, "pairs: the others are a query's negatives")
        if steps is not None:
            check_whole("steps", steps, 1)
        check_whole("processes", processes, 1)
        check_whole("seed", seed, 0)
        self.table = table
        self.sampling = sampling or Sampling()
        self.pairs = batch_size
        self.processes = processes
        self.seed = seed
        self.epoch = 0
        self.steps = steps if steps is not None else max(1, len(table) // (batch_size * processes))
        # Each list has 2B indices, and accelerate compares its length with this.
        self.batch_size = 2 * batch_size
        self._plans = self._planned(batch_size * processes)

    def _planned(self, batch: int) -> Plans:
        name = self.sampling.regime
        regime = REGIMES.get(name)
        check_regime(name, regime)
        plans = regime(self.table, self.sampling, batch)
        check_kind(f"regime {name!r}: its plans", plans, Plans, "Plans of mono_plan, pair_plan or mixed_plan")
        return plans  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return self.steps * self.processes

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, so that the next iteration draws other batches."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches():
            for rank in range(self.processes):
                part = slice(rank * self.pairs, (rank + 1) * self.pairs)
                yield [*batch.queries[part].tolist(), *batch.passages[part].tolist()]

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that batches can contain; a language with too few passages to fill a batch is never drawn."""
        found: set[int] = set()
        for plan in self._plans:
            for dataset, x, y in plan.strata:
                found |= {x, y} if x >= 0 else self._mixed(plan.kind, dataset)
        return tuple(self.table.languages[number] for number in sorted(found))

    @property
    def crosses(self) -> bool:
        """Whether any kind of batch pairs queries with passages in other languages."""
        return any(plan.kind == "cross" for plan in self._plans)

    def _mixed(self, kind: str, dataset: int) -> set[int]:
        """Return the languages that mixed batches can contain; if a pair must be in two, only translated ones."""
        groups = np.array(self.table.pair_groups[dataset])
        if kind == "cross" and (self.sampling.xy_draw == "distinct" or not self.table.same_language[dataset]):
            np.fill_diagonal(groups, 0)
        return set(np.flatnonzero(groups.any(axis=1)).tolist())

    def alpha(self, step: int) -> float:
        """Return the probability that the batch of a step (counted from 0) is monolingual."""
        plans = self._plans
        if plans.mono is plans.other:
            return 1.0 if plans.mono.kind == "mono" else 0.0
        return self.sampling.alpha_at(step / max(1, self.steps - 1))

    def rows(self) -> Rows | None:
        """Return the row numbers, ascending, that this epoch draws; None if finding them would not pay off."""
        size, drawn = len(self.table), 2 * self.steps * self.pairs * self.processes
        if size <= FEW or drawn >= size:
            return None
        seen = np.zeros(size, dtype=bool)
        for batch in self.batches():
            seen[batch.queries] = seen[batch.passages] = True
        return np.flatnonzero(seen)

    def batches(self) -> Iterator[Batch]:
        """Yield the global batches of this epoch in order, each with its kind and languages."""
        streams: dict[tuple[str, int, int, int], Stream] = {}
        names = self.table
        for step in range(self.steps):
            rng = np.random.default_rng((self.seed, self.epoch, step))
            mono = rng.random() < self.alpha(step)
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
