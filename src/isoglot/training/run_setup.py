"""The setup of a run (rows, losses, settings), completed before the model is loaded and equal in all processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments

from isoglot.core.progress import progress_line
from isoglot.core.run_record import read_run
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.prepared import Prepared
from isoglot.encoders.options import LoadOptions
from isoglot.languages.table import given_codes
from isoglot.training.arguments import training_arguments
from isoglot.training.checkpoints import CHECKPOINTS, complete_checkpoints
from isoglot.training.facts import fixed_facts, require_same_facts, run_facts
from isoglot.training.launch import require_one_run
from isoglot.training.losses.named import LossFunction, LossTerm, loss_term, weighted_terms
from isoglot.training.pivots import require_teacher
from isoglot.training.processes import in_turn, rank, world_size
from isoglot.training.rows import places_of, run_rows
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.selection import Scorer, hold_out
from isoglot.training.settings import TrainSettings


@dataclass(frozen=True)
class RunSetup:
    """Everything about a run that is known before its first step.

    Attributes:
        folder, settings: as given to `train`.
        rows: rows to train on.
        select_on: data or function for model selection; None without selection.
        terms: terms of the loss with their weights, by name.
        arguments: arguments of Sentence Transformers' Trainer.
        facts: every setting, as recorded in `run.json`.
        inputs: paths of the rows and the languages, as given.
    """

    folder: Path
    settings: TrainSettings
    rows: Prepared
    select_on: Prepared | Benchmark | Scorer | None
    terms: Mapping[str, tuple[LossTerm, float]]
    arguments: SentenceTransformerTrainingArguments
    facts: dict[str, Any]
    inputs: dict[str, Any]

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints and of other files that are kept until the run ends."""
        return self.folder / CHECKPOINTS

    @property
    def fixed(self) -> dict[str, Any]:
        """The facts that must be the same in a resumed run."""
        return fixed_facts(self.facts)

    @property
    def losses(self) -> list[LossTerm]:
        """The terms of the loss without their weights."""
        return [term for term, _ in self.terms.values()]

    @property
    def device(self) -> str:
        """The device to train on."""
        return str(self.arguments.device)


def set_up_run(
    model: str | SentenceTransformer,
    rows: Any,
    folder: Path,
    settings: TrainSettings,
    *,
    langs: str | Iterable[str] | None,
    loss: LossFunction | LossTerm | None,
    select_on: Prepared | Benchmark | Scorer | None,
    options: LoadOptions,
) -> RunSetup:
    """Resolve the arguments of `train`, join the other processes, if any, and prepare the rows.

    Raises:
        InputError: the rows, the device, the teacher or the held-out share are not valid.
    """
    own = None if loss is None else loss_term(loss)
    terms = weighted_terms(settings.loss_weights) if own is None else {"loss": (own, 1.0)}
    if settings.align_teacher is not None:
        require_teacher(settings.align_teacher, any(term.pivots for term, _ in terms.values()))
    arguments = training_arguments(folder, settings)
    codes = given_codes(langs)
    inputs = {"rows": places_of(rows), "langs": codes}
    with in_turn():
        rows = run_rows(rows, folder / CHECKPOINTS / "rows", codes)
    given = select_on
    if settings.holdout:
        rows, select_on = hold_out(rows, settings.holdout, settings.seed)
    facts = run_facts(model, rows, settings, world_size(), loss=own, select_on=given)
    return RunSetup(folder, settings, rows, select_on, terms, arguments, facts | options.record(), inputs)


def is_finished(setup: RunSetup, *, resume: bool) -> bool:
    """Return whether a run to be resumed is already finished.

    Raises:
        InputError: the finished run has other settings, or the processes do not agree on the run.
    """
    record = read_run(setup.folder) if resume else None
    newest = complete_checkpoints(setup.checkpoints)[-1:] if resume else []
    progress = {"finished": record is not None, "checkpoint": newest[0].name if newest else None}
    require_one_run(setup.fixed | progress)
    if record is not None:
        require_same_facts(setup.folder, fixed_facts(record["settings"]), setup.fixed)
    return record is not None


def batch_sampler(setup: RunSetup) -> HybridBatchSampler:
    """Return the batch sampler of all processes; the first one reports what the batches leave out.

    Raises:
        InputError: the rows cannot fill a batch.
    """
    settings = setup.settings
    sampler = HybridBatchSampler(
        setup.rows.table,
        settings.sampling,
        settings.batch_size,
        steps=settings.max_steps,
        seed=settings.seed,
        processes=world_size(),
    )
    if rank() == 0:
        _say_left_out(sampler, [name for name, (term, _) in setup.terms.items() if term.parallel])
    return sampler


def _say_left_out(sampler: HybridBatchSampler, parallel: list[str]) -> None:
    """Report the languages that no batch contains, and the losses that do not apply to any batch."""
    left_out = [code for code in sampler.table.languages if code not in sampler.languages]
    if left_out:
        progress_line(
            f"not trained on: {', '.join(left_out)}; no batch of {sampler.pairs * sampler.processes} pairs under "
            f"{sampler.sampling.name} can hold them"
        )
    if parallel and not sampler.crosses:
        progress_line(
            f"not used: loss {', '.join(parallel)}; it compares language versions in cross-lingual batches, which "
            f"{sampler.sampling.name} does not draw"
        )
