"""Use the sampler in your own Sentence Transformers training script."""

from __future__ import annotations

from typing import Any

from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator

from isoglot.data.row_table import RowTable
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.sampling.sampler import HybridBatchSampler


class FoldingCollator(SentenceTransformerDataCollator):  # type: ignore[misc]
    """Folds 2B rows with text columns: the first half provides the queries, the second half the passages.

    Takes rows with `query`, `passage` and an integer `label` (the row's component), in the order in which
    `HybridBatchSampler` yields them, and passes (query, passage, label) triples to Sentence Transformers' collator.
    """

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch for any Sentence Transformers loss on (query, passage) columns."""
        half = len(features) // 2
        pairs = [
            {"query": query["query"], "passage": passage["passage"], "label": query["label"]}
            for query, passage in zip(features[:half], features[half:], strict=True)
        ]
        batch: dict[str, Any] = super().__call__(pairs)
        return batch


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
    """Return a `HybridBatchSampler` over a `datasets.Dataset`, for Sentence Transformers' argument `batch_sampler`.

    A module-level function, so that `functools.partial(dataset_sampler, sampling=...)` can be pickled with the
    training arguments in checkpoints. Use it with `isoglot.training.own_trainer.FoldingCollator`.

    Args:
        dataset: has the columns `group`, `lang`, `passage` and, optionally, `query` and `dataset`.
        batch_size: pairs per step and process.
        drop_last: ignored, batches are always full.
        valid_label_columns: ignored.
        generator: ignored, batches depend on `seed` alone.
        seed: seed of the sampler.
        sampling: the regime; hybrid by default.
        steps: number of optimiser steps to plan; None plans enough to see each row about once.
        processes: number of processes that share the global batches.
    """
    groups, langs, passages = (list(dataset[name]) for name in ("group", "lang", "passage"))
    datasets = list(dataset["dataset"]) if "dataset" in dataset.column_names else None
    queries = list(dataset["query"]) if "query" in dataset.column_names else None
    table = RowTable.from_columns(groups, langs, passages, datasets, queries)
    return HybridBatchSampler(table, sampling, batch_size, steps=steps, seed=seed, processes=processes)
