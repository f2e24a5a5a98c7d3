"""What a training learns, and from what: settled before a model is opened, and the same in all processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments

from isoglot.core.progress import progress_line
from isoglot.core.run_record import read_run, require_same
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.prepared import Prepared
from isoglot.encoders.options import LoadOptions
from isoglot.languages.table import given_codes
from isoglot.training.arguments import training_arguments
from isoglot.training.checkpoints import CHECKPOINTS, complete_checkpoints
from isoglot.training.facts import fixed_facts, run_facts
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
    """A training before its first step.

    Attributes:
        folder, settings: as `train` was given them.
        rows: to train on.
        select_on: what the model is selected on; None where it is not.
        terms: of the loss, each with its weight, by name.
        arguments: of Sentence Transformers' Trainer.
        facts: every setting, as `run.json` records it.
        inputs: where the rows lie, and their languages, as they were given.
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
        """Where they are, and what else is kept until the end."""
        return self.folder / CHECKPOINTS

    @property
    def fixed(self) -> dict[str, Any]:
        """The facts that a resumed run must have, too."""
        return fixed_facts(self.facts)

    @property
    def losses(self) -> list[LossTerm]:
        """The terms without their weights."""
        return [term for term, _ in self.terms.values()]

    @property
    def device(self) -> str:
        """Where it computes."""
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
    """Settle what arguments of `train` leave open, join the other processes, if any, and prepare the rows.

    Raises:
        InputError: rows, a device, a teacher or a held-out share that cannot be.
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
    """Whether a run that is resumed has nothing left to do.

    Raises:
        InputError: it is of other settings, or the processes are not of one run.
    """
    record = read_run(setup.folder) if resume else None
    newest = complete_checkpoints(setup.checkpoints)[-1:] if resume else []
    progress = {"finished": record is not None, "checkpoint": newest[0].name if newest else None}
    require_one_run(setup.fixed | progress)
    if record is not None:
        require_same(setup.folder, fixed_facts(record["settings"]), setup.fixed)
    return record is not None


def batch_sampler(setup: RunSetup) -> HybridBatchSampler:
    """The batches of all processes; what they leave out is said once.

    Raises:
        InputError: the rows do not fill a batch.
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
    """Name the languages of the rows that nothing is learnt from, and losses that no batch has anything for."""
    left_out = [code for code in sampler.table.languages if code not in sampler.languages]
    if left_out:
        progress_line(
            f"not trained on: {', '.join(left_out)}; no batch of {sampler.pairs * sampler.processes} pairs under "
            f"{sampler.sampling.name} can hold them"
        )
    if parallel and not sampler.crosses:
        progress_line(
            f"not used: loss {', '.join(parallel)}; compares language versions in cross-lingual batches, which "
            f"{sampler.sampling.name} does not draw"
        )
