"""Encode the shards of a plan with an executor, except those that are already finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from isoglot.core.executors import Executor
from isoglot.search.index.build_progress import Rate
from isoglot.search.index.ledger import Ledger
from isoglot.search.index.rows import Recipe
from isoglot.search.index.shards import Planned, Shard


class Encoding:
    """A plan being carried out.

    Attributes:
        plan: the shards so far, in order.
        kept: number of shards that an earlier run had finished.
        documents, passages: numbers encoded by this run.
    """

    def __init__(self, ledger: Ledger, rate: Rate) -> None:
        self._ledger, self._rate = ledger, rate
        self.plan: list[Planned] = []
        self.kept = self.documents = self.passages = 0

    def run(self, shards: Iterable[Shard], executor: Executor, recipe: Recipe) -> None:
        """Encode all unfinished shards, and write the plan.

        Raises:
            IsoglotError: a shard cannot be encoded or written; finished shards are kept.
        """
        for shard, rows in executor.run(recipe.open, self._missing(shards)):
            self._ledger.put(shard.address, rows)
            self.documents += len(shard.documents)
            self.passages += len(rows)
            self._rate.show(shard.done, self.documents, self.passages)
        self._ledger.write_plan(self.plan)

    def _missing(self, shards: Iterable[Shard]) -> Iterator[Shard]:
        for shard in shards:
            self.plan.append(Planned(shard.address, len(shard.documents)))
            if self._ledger.passages(shard.address) is None:
                yield shard
            else:
                self.kept += 1
                self._rate.show(shard.done, self.documents, self.passages)
