"""Training that keeps some groups out and selects the model on them, never on a benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import from_rows
from isoglot.data.big_arrays import Room
from isoglot.data.prepared import Prepared
from isoglot.data.row_table import RowTable
from isoglot.measuring.evaluating import evaluate
from isoglot.training.run import train
from isoglot.training.settings import TrainSettings
from isoglot.training.trainer import Scorer


def fit(
    model: str, rows: Prepared, folder: Path, settings: TrainSettings | None = None, *, resume: bool = False
) -> Path:
    """Train as `isoglot.train` does; with `holdout`, on the rest of the rows and selecting on the held-out ones.

    Args:
        model: what `isoglot.load` takes.
        rows: prepared parallel rows.
        folder: output folder (made by the caller).
        settings: how to train.
        resume: go on from the last complete checkpoint.

    Returns:
        The folder.
    """
    settings = settings or TrainSettings()
    if not settings.holdout:
        return train(model, rows, folder, settings, resume=resume)
    kept, held = hold_out(rows, settings.holdout, settings.seed)
    return train(model, kept, folder, settings, resume=resume, scorer=scorer(held, settings))


def hold_out(rows: Prepared, share: float, seed: int) -> tuple[Prepared, Prepared]:
    """Split rows by passage component, so that no version of a held-out passage is trained on.

    Args:
        rows: prepared rows.
        share: of the components to hold out.
        seed: chooses them.

    Returns:
        The rows to train on and the held-out ones.

    Raises:
        InputError: nothing would be left on one side, or no held-out passage has two languages.
    """
    component = np.asarray(rows.table.component)
    count = int(component.max()) + 1
    chosen = np.zeros(count, dtype=bool)
    number = round(share * count)
    chosen[np.random.default_rng((seed, 0x5E1EC7)).permutation(count)[:number]] = True
    out = chosen[component]
    if not out.any() or out.all():
        raise InputError(
            f"--holdout {share:g}: would hold out {number} of {count} passages; "
            "give a share that leaves some on each side"
        )
    held = _subset(rows, np.flatnonzero(out), f"{rows.checksum}-held-out-{share:g}-{seed}")
    if not held.table.parallel_components.any():
        raise InputError(f"--holdout {share:g}: no held-out passage has two languages; give a larger share")
    return _subset(rows, np.flatnonzero(~out), f"{rows.checksum}-without-{share:g}-{seed}"), held


def scorer(held: Prepared, settings: TrainSettings) -> Scorer:
    """Measure a model on held-out rows: `score` is pooled mAP minus the normalised rank distance.

    Rank distance is low too where all versions are ranked equally badly, so it counts only beside mAP.
    """
    benchmark = from_rows(held, "held out")
    versions = len(benchmark.gold) / len(benchmark.queries.texts)

    def score(model: SentenceTransformer) -> dict[str, float]:
        result = evaluate(model, benchmark, precision=settings.precision)
        precision, distance = (result.macro("multilingual", name) for name in ("map", "rank_distance"))
        # Of the mean query: from n - 1, all versions together, to N - 1.
        spread = (distance - (versions - 1)) / max(1.0, len(benchmark.candidates.texts) - versions)
        return {"map": precision, "rank_distance": distance, "score": precision - spread}

    return score


def _subset(rows: Prepared, chosen: NDArray[np.int64], checksum: str) -> Prepared:
    table = rows.table
    component = np.asarray(table.component)[chosen]
    part = RowTable.from_numbers(
        table.languages,
        table.datasets,
        np.asarray(table.lang)[chosen],
        np.asarray(table.dataset)[chosen],
        np.asarray(table.group)[chosen],
        # A component is on one side as a whole, so equal numbers join what equal texts joined.
        component,
        check=False,
        room=Room(),
    )
    numbers = chosen if rows.numbers is None else rows.numbers[chosen]
    return replace(rows, table=part, numbers=numbers, checksum=checksum)
