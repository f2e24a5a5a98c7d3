"""Model selection: on held-out groups, or on data that the user gives; never on a benchmark by default."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from torch import distributed
from transformers import TrainerCallback

from isoglot.core.errors import InputError, IsoglotError, first_line
from isoglot.core.files import read_json
from isoglot.data.benchmarks.benchmark import Benchmark, from_rows
from isoglot.data.big_arrays import Room
from isoglot.data.prepared import Prepared
from isoglot.data.row_table import RowTable
from isoglot.measuring.evaluating import evaluate
from isoglot.training.checkpoints import save_trainable
from isoglot.training.processes import rank
from isoglot.training.settings import TrainSettings

Scorer = Callable[[SentenceTransformer], dict[str, float]]


def hold_out(rows: Prepared, share: float, seed: int) -> tuple[Prepared, Prepared]:
    """Split rows by passage component, so that no version of a held-out passage is trained on.

    Args:
        rows: prepared rows.
        share: share of the components to hold out.
        seed: determines which components are chosen.

    Returns:
        The rows to train on and the held-out rows; bitext is never held out, as it has no questions to evaluate on.

    Raises:
        InputError: there is only bitext, one side would be empty, or no held-out passage has versions in two languages
            although some of the rows do.
    """
    component = np.asarray(rows.table.component)
    asking = np.zeros(int(component.max()) + 1, dtype=bool)
    asking[component[rows.table.same_language[np.asarray(rows.table.dataset)]]] = True
    asking[component[~rows.table.same_language[np.asarray(rows.table.dataset)]]] = False
    candidates = np.flatnonzero(asking)
    count = len(candidates)
    if not count:
        raise InputError(f"holdout {share:g}: bitext has no questions to select a model on; add rows with questions")
    chosen = np.zeros(len(asking), dtype=bool)
    number = round(share * count)
    chosen[candidates[np.random.default_rng((seed, 0x5E1EC7)).permutation(count)[:number]]] = True
    out = chosen[component]
    if not out.any() or out.all():
        raise InputError(
            f"holdout {share:g}: would hold out {number} of {count} passages; "
            "give a share that leaves some on each side"
        )
    held = _subset(rows, np.flatnonzero(out), f"{rows.checksum}-held-out-{share:g}-{seed}")
    # If no row has a translation at all, the model is evaluated within each language.
    parallel = rows.table.parallel_components[rows.table.same_language]
    if parallel.any() and not held.table.parallel_components.any():
        raise InputError(f"holdout {share:g}: no held-out passage has two languages; give a larger share")
    return _subset(rows, np.flatnonzero(~out), f"{rows.checksum}-without-{share:g}-{seed}"), held


def scorer(held: Prepared | Benchmark, settings: TrainSettings) -> Scorer:
    """Return a function that evaluates a model; its `score` is mAP in the pool minus the normalised rank distance.

    Rank distance is also low if all versions are ranked equally badly, so it is only used together with mAP. If no
    query has answers in two languages, the score is mAP alone.

    Args:
        held: rows or benchmark to evaluate on.
        settings: training settings, for the precision.
    """
    benchmark = held if isinstance(held, Benchmark) else from_rows(held, "held out")
    versions = len(benchmark.gold) / len(benchmark.queries.texts)

    def score(model: SentenceTransformer) -> dict[str, float]:
        result = evaluate(model, benchmark, precision=settings.precision)
        precision, distance = (result.macro("multilingual", name) for name in ("map", "rank_distance"))
        if math.isnan(distance):
            return {"map": precision, "score": precision}
        # For n versions in a pool of N, rank distance ranges from n - 1 (all adjacent) to N - 1; n is the mean.
        spread = (distance - (versions - 1)) / max(1.0, len(benchmark.candidates.texts) - versions)
        return {"map": precision, "rank_distance": distance, "score": precision - spread}

    return score


class Selection(TrainerCallback):  # type: ignore[misc]
    """Keeps the weights with the best score, and stops the run when the score no longer improves.

    Args:
        score: evaluates a model; the entry `score` decides, higher is better.
        folder: where the best weights are saved.
        every: steps between evaluations.
        patience: stop after this many evaluations without a better score; 0 never stops early.
        first: whether this process evaluates; it broadcasts the result to the others.
    """

    def __init__(self, score: Scorer, folder: Path, every: int, patience: int, *, first: bool) -> None:
        self._score, self._folder, self._every, self._patience, self._first = score, folder, every, patience, first
        self.best_step, self.best_score, self._worse = 0, -math.inf, 0
        self.log: Callable[[dict[str, float]], None] = lambda values: None

    def state(self) -> dict[str, Any]:
        """Return the state to save in a checkpoint."""
        return {"step": self.best_step, "score": self.best_score if self.best_step else None, "worse": self._worse}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Restore the state saved in a checkpoint."""
        if state and state["step"]:
            self.best_step, self.best_score, self._worse = state["step"], state["score"], state["worse"]

    @property
    def best_weights(self) -> Path:
        """File of the best weights so far."""
        return self._folder / f"best-{self.best_step}.safetensors"

    def forget_older(self) -> None:
        """Remove weights that are no longer the best; call this after a checkpoint has recorded the new best."""
        for path in self._folder.glob("best-*.safetensors"):
            if path != self.best_weights:
                path.unlink()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Evaluate the model if this step is due."""
        step = state.global_step
        if step % self._every and step != state.max_steps:
            return
        told: list[Any] = [self._measure(model) if self._first else None]
        if args.world_size > 1:
            distributed.broadcast_object_list(told, src=0)
        measured: dict[str, float] = told[0]
        if measured["score"] > self.best_score:
            self.best_step, self.best_score, self._worse = step, measured["score"], 0
            if self._first:
                self._keep(model)
                if args.save_strategy == "no":  # no checkpoint refers to them
                    self.forget_older()
        else:
            self._worse += 1
        due = control.should_log
        self.log({f"select_{name}": value for name, value in measured.items()})
        control.should_log = due  # the Trainer clears it when logging
        if self._patience and self._worse >= self._patience:
            control.should_training_stop = True

    def _keep(self, model: Any) -> None:
        try:
            save_trainable(model, self.best_weights)
        except (OSError, SafetensorError, IsoglotError) as error:
            raise IsoglotError(
                f"{self.best_weights}: the best weights could not be written ({first_line(error)}); is the "
                "disk full? Make room, then `resume` goes on from the last complete checkpoint"
            ) from error

    def _measure(self, model: Any) -> dict[str, float]:
        training = model.training
        try:
            measured = self._score(model)
        finally:
            model.train(training)
        if not isinstance(measured, dict) or not isinstance(measured.get("score"), Real):
            raise InputError(f"select_on gave {measured!r}; expected numbers by name, among them `score`")
        if math.isnan(measured["score"]):
            raise InputError("select_on gave a `score` of NaN, which cannot be compared; expected a number")
        return {name: float(value) for name, value in measured.items()}


def selection_of(
    select_on: Prepared | Benchmark | Scorer, settings: TrainSettings, folder: Path, last: Path | None
) -> Selection:
    """Return the `Selection` of a run, restored from the last checkpoint if there is one.

    Args:
        select_on: rows, a benchmark, or a function that evaluates the model.
        settings: training settings, for the interval between evaluations and the patience.
        folder: where the best weights are saved.
        last: checkpoint to resume from; None at the start.
    """
    score = scorer(select_on, settings) if isinstance(select_on, (Prepared, Benchmark)) else select_on
    selection = Selection(score, folder, settings.eval_steps, settings.patience, first=rank() == 0)
    if last is not None:
        selection.restore(read_json(last / "complete.json").get("selection"))
    return selection


def _subset(rows: Prepared, chosen: NDArray[np.int64], checksum: str) -> Prepared:
    table = rows.table
    component = np.asarray(table.component)[chosen]
    part = RowTable.from_numbers(
        table.languages,
        table.datasets,
        np.asarray(table.lang)[chosen],
        np.asarray(table.dataset)[chosen],
        np.asarray(table.group)[chosen],
        # Each component is entirely on one side, so its number can serve as the text's identity.
        component,
        cross_only=table.cross_only,
        check=False,
        room=Room(),
    )
    numbers = chosen if rows.numbers is None else rows.numbers[chosen]
    return replace(rows, table=part, numbers=numbers, checksum=checksum)
