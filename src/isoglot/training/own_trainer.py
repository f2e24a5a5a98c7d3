"""The sampler inside other people's Sentence Transformers scripts."""

from __future__ import annotations

from typing import Any

from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator

from isoglot.data.row_table import RowTable
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.sampling.sampler import HybridBatchSampler


class FoldingCollator(SentenceTransformerDataCollator):  # type: ignore[misc]
    """Folds 2B rows with text columns: the first half gives queries, the second half passages.

    Takes rows with `query`, `passage` and an integer `label` (the row's component), in the order that
    `HybridBatchSampler` yields, and hands (query, passage, label) triples to Sentence Transformers' own collator.
    """

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """Batch for any Sentence Transformers loss over (query, passage) columns."""
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
    """A `HybridBatchSampler` over a Hugging Face `Dataset`, for Sentence Transformers' `batch_sampler` argument.

    A module-level function, so that `functools.partial(dataset_sampler, sampling=...)` survives the pickling of
    training arguments in checkpoints. Use it with `isoglot.training.own_trainer.FoldingCollator`.

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
    queries = list(dataset["query"]) if "query" in dataset.column_names else None
    table = RowTable.from_columns(groups, langs, passages, datasets, queries)
    return HybridBatchSampler(table, sampling, batch_size, steps=steps, seed=seed, processes=processes)
