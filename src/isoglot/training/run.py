"""Fine-tune one encoder under one regime, with Sentence Transformers' Trainer."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from torch import distributed
from transformers import TrainerCallback, set_seed

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import put_on_disk
from isoglot.core.output_folders import claimed_folder
from isoglot.core.run_record import RECORD, device_name, read_run, write_run
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.prepared import Prepared
from isoglot.encoders.loading import backbone_of, load, quiet_libraries
from isoglot.encoders.model_names import EMBEDDED
from isoglot.encoders.options import LoadOptions
from isoglot.encoders.packing import can_pack
from isoglot.measuring.evaluating import trained_languages
from isoglot.training.argument_checks import check_selection, check_training, settings_of
from isoglot.training.checkpoints import (
    CHECKPOINTS,
    complete_checkpoints,
    last_checkpoint,
    remove_incomplete,
    seconds_until,
)
from isoglot.training.collator import TokenCollator
from isoglot.training.facts import weights_checksum
from isoglot.training.failures import run_steps
from isoglot.training.inputs import require_scores, tokenized, used_tokens
from isoglot.training.interruption import Interruption
from isoglot.training.launch import require_known_launch, require_one_run
from isoglot.training.log import BatchLog, StepLog
from isoglot.training.lora import add_lora
from isoglot.training.losses.named import LossFunction, LossTerm
from isoglot.training.losses.weighted import GroupMaskedInfoNCE
from isoglot.training.master_weights import widen_weights
from isoglot.training.processes import in_turn, rank, world_size
from isoglot.training.run_setup import RunSetup, batch_sampler, is_finished, set_up_run
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.saving import name_after, save_model, set_place, take_result, undone_on_error
from isoglot.training.selection import Scorer, Selection, selection_of
from isoglot.training.settings import LoraSettings, TrainSettings
from isoglot.training.speed.packing import lean
from isoglot.training.speed.token_table import prepare_token_table
from isoglot.training.trainer import HybridTrainer


def train(
    model: str | Path | SentenceTransformer,
    rows: Any,
    folder: Path | str,
    settings: TrainSettings | None = None,
    *,
    lora: LoraSettings | None = None,
    langs: str | Iterable[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    loss: LossFunction | LossTerm | None = None,
    select_on: Prepared | Benchmark | Scorer | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    options: LoadOptions | None = None,
) -> Path:
    """Train a model and save it as a Sentence Transformers folder with `run.json` and `training.jsonl`.

    With `lora` or `settings.lora`, and without `merge`, the folder holds the adapter instead of the model's weights.

    Under `torchrun` or `accelerate launch` every process calls this function; only the one with rank 0 writes.

    Args:
        model: anything that `isoglot.load` takes, or a loaded model, which is trained in place and
            named after the folder.
        rows: parallel rows, prepared or anything that `isoglot.prepare` takes; row files are prepared once, by the
            first process, into the output folder. `settings.holdout` holds a share out to select the model on.
        folder: output folder, created if missing; checkpoints are kept in its `checkpoints` until the run ends.
        settings: how to train; the batch size is per process.
        lora: train adapters instead of the weights; the same as `settings.lora`.
        langs: train on these languages only: a list of codes, or one comma-separated string.
        resume: continue from the last complete checkpoint in `folder`, if any; a finished run is left unchanged.
        overwrite: replace the contents of the folder once training has begun.
        loss: a function from a `PairBatch` to a scalar, used instead of the weighted losses of the settings.
        select_on: rows, a benchmark, or a function from the model to a dict of numbers with the key `score`, evaluated
            every `settings.eval_steps` instead of a held-out share; the weights with the highest score are kept.
        callbacks: additional callbacks for transformers' Trainer.
        options: how to load a model given by name: data type of the weights, prompts, revision and so on.

    Returns:
        The folder.

    Raises:
        InputError: an argument has the wrong type, the folder is not empty and neither `resume` nor `overwrite` is
            given, the settings do not fit the rows, or a checkpoint or finished run has other settings.
        IsoglotError: the loss became NaN, memory ran out, or the disk is full; the last checkpoint is kept.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, once a checkpoint is written.

    Example:
        With `model` as a Sentence Transformer (or its name) and `folder` as a `pathlib.Path`:

        >>> from isoglot import train
        >>> from isoglot.training import TrainSettings
        >>> rows = [
        ...     {"group": n, "lang": lang, "query": f"{lang} question {n}", "passage": f"{lang} answer {n}"}
        ...     for n in range(8)
        ...     for lang in ("de", "en")
        ... ]
        >>> settings = TrainSettings(batch_size=4, max_steps=2, warmup_steps=1, precision="fp32", device="cpu")
        >>> trained = train(model, rows, folder / "trained", settings)
        >>> sorted(path.name for path in trained.iterdir() if path.name in ("run.json", "training.jsonl"))
        ['run.json', 'training.jsonl']
    """
    check_training(model, folder, loss, callbacks, options)
    folder, settings = Path(folder), settings_of(settings, lora)
    model = str(model) if isinstance(model, Path) else model
    check_selection(settings, select_on)
    require_known_launch()
    if overwrite and isinstance(model, str) and Path(model).resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder}: `overwrite` would remove the model to train, {model}; give another `folder`")
    if resume:
        _require_training(folder)
    with _claimed(folder, overwrite=overwrite, resume=resume):
        try:
            return _train(
                model,
                rows,
                folder,
                settings,
                langs,
                resume,
                loss,
                select_on,
                callbacks,
                options or LoadOptions(),
            )
        except InputError:
            # Without a complete checkpoint, leftover files would only block the next attempt.
            checkpoints = folder / CHECKPOINTS
            if rank() == 0 and not complete_checkpoints(checkpoints):
                shutil.rmtree(checkpoints, ignore_errors=True)
                finished = (folder / RECORD).is_file()
                for log in () if finished else (folder / "training.jsonl", *folder.glob("batches-*.jsonl")):
                    log.unlink(missing_ok=True)
            raise
        finally:
            if rank() == 0:
                with suppress(OSError):  # kept if it is not empty
                    (folder / CHECKPOINTS).rmdir()


def _require_training(folder: Path) -> None:
    """Raise InputError if the folder holds the finished output of another command, such as an evaluation."""
    record = read_run(folder)
    if record is not None and record.get("verb") != "train":
        raise InputError(
            f"{folder}: holds what `isoglot {record.get('verb')}` made, not a training run to `resume`; give another "
            "`folder`"
        )


@contextmanager
def _claimed(folder: Path, *, overwrite: bool, resume: bool) -> Iterator[None]:
    """Claim the output folder in the process with rank 0, the only one that writes there."""
    if rank():
        yield
        return
    if not (overwrite or resume) and complete_checkpoints(folder / CHECKPOINTS):
        raise InputError(
            f"{folder}: holds an unfinished training run; give `resume` to continue it, `overwrite` to start "
            "again, or another `folder`"
        )
    with claimed_folder(folder, overwrite=overwrite, resume=resume):
        yield


def _train(
    model: str | SentenceTransformer,
    rows: Any,
    folder: Path,
    settings: TrainSettings,
    langs: str | Iterable[str] | None,
    resume: bool,
    loss: LossFunction | LossTerm | None,
    select_on: Prepared | Benchmark | Scorer | None,
    callbacks: Sequence[TrainerCallback],
    opening: LoadOptions,
) -> Path:
    started = time.perf_counter()
    quiet_libraries()
    setup = set_up_run(model, rows, folder, settings, langs=langs, loss=loss, select_on=select_on, options=opening)
    if is_finished(setup, resume=resume):
        return _without_checkpoints(setup)
    sampler = batch_sampler(setup)
    set_seed(settings.seed)
    encoder, last = _opened(model, setup, opening, resume=resume)
    started -= seconds_until(last)
    languages = {*sampler.languages, *(trained_languages(getattr(encoder, "isoglot_name", EMBEDDED)) or ())}
    trainable = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    with undone_on_error(encoder, trainable):
        collator = _made_ready(encoder, setup, sampler)
        selection = (
            None if setup.select_on is None else selection_of(setup.select_on, settings, setup.checkpoints, last)
        )
        interruption = Interruption()
        trainer = _trainer(encoder, setup, sampler, collator, selection, interruption, callbacks, started)
        if settings.lora is None:
            set_place(encoder, None)
        way = lean(backbone_of(encoder)) if setup.device.startswith("cpu") else nullcontext()
        with interruption.on_signals(), way:
            run_steps(trainer, last, folder, settings)
        if interruption.agreed and trainer.state.global_step < settings.max_steps:
            interruption.stop()
    best = selection.best_weights if rank() == 0 and selection is not None and selection.best_step else None
    take_result(encoder, settings, best, trainable)
    if rank() == 0:
        save_model(encoder, folder, setup.facts["model"], settings)
        _write_record(setup, trainer, selection, languages, started)
    if world_size() > 1:
        distributed.barrier()
    name_after(encoder, folder)
    return _without_checkpoints(setup)


def _opened(
    model: str | SentenceTransformer, setup: RunSetup, opening: LoadOptions, *, resume: bool
) -> tuple[SentenceTransformer, Path | None]:
    """Return the model on its training device and the checkpoint to resume from, loaded by one process at a time."""
    with in_turn():
        if rank() == 0:
            remove_incomplete(setup.checkpoints)
        last = last_checkpoint(setup.checkpoints, setup.fixed) if resume else None
        if isinstance(model, str):
            encoder = load(model, device=setup.device, **opening.arguments())
        else:
            encoder = model.to(setup.device)
    if world_size() > 1:
        # The same name may refer to different folders on different machines.
        require_one_run({"weights": weights_checksum(encoder)})
    return encoder, last


def _made_ready(encoder: SentenceTransformer, setup: RunSetup, sampler: HybridBatchSampler) -> TokenCollator:
    """Tokenise the rows that the sampler draws, and set the model up with its adapters and token table."""
    settings = setup.settings
    widen_weights(encoder, settings.lora)
    collator = tokenized(encoder, setup.rows, settings, setup.checkpoints, sampler.rows(), setup.losses)
    if "distill" in setup.terms:
        require_scores(collator, settings)
    if settings.lora is not None:
        add_lora(encoder, settings.lora)
    prepare_token_table(backbone_of(encoder), settings.token_table, used_tokens(collator))
    return collator


def _trainer(
    encoder: SentenceTransformer,
    setup: RunSetup,
    sampler: HybridBatchSampler,
    collator: TokenCollator,
    selection: Selection | None,
    interruption: Interruption,
    callbacks: Sequence[TrainerCallback],
    started: float,
) -> HybridTrainer:
    settings = setup.settings
    batch_log = BatchLog(setup.folder, setup.rows.table, rank()) if settings.log_batches else None
    return HybridTrainer(
        model=encoder,
        args=setup.arguments,
        train_dataset=Dataset.from_dict({"row": np.arange(len(setup.rows), dtype=np.int64)}),
        loss=GroupMaskedInfoNCE(
            encoder,
            settings.temperature,
            chunk=settings.grad_cache or settings.chunk or _chunk(encoder, setup.device),
            gather_across_devices=world_size() > 1,
            recompute=settings.grad_cache is not None,
            terms=setup.terms,
        ),
        data_collator=collator,
        callbacks=[StepLog(setup.folder / "training.jsonl", settings.max_steps, batch_log), *callbacks],
        sampler=sampler,
        settings=settings,
        facts=setup.fixed,
        interruption=interruption,
        selection=selection,
        batch_log=batch_log,
        started=started,
    )


def _chunk(encoder: SentenceTransformer, device: str) -> int | None:
    """Return the chunk size: small on a CPU, to save padding, unless texts are packed; None (no chunks) on a GPU."""
    return 8 if device.startswith("cpu") and not can_pack(backbone_of(encoder)) else None


def _without_checkpoints(setup: RunSetup) -> Path:
    """Remove the checkpoints of a finished run and return its folder."""
    if rank() == 0 and setup.checkpoints.is_dir():
        try:
            put_on_disk(path for path in setup.folder.rglob("*") if setup.checkpoints not in path.parents)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):  # as in the folder of an earlier run
                # Some file systems report a full or broken disk only now; what they lost must be written again.
                (setup.folder / RECORD).unlink(missing_ok=True)
                raise IsoglotError(
                    f"{setup.folder}: the model could not be put on disk ({error.strerror or error}); its checkpoints "
                    "are kept: make room, then `resume`"
                ) from error
        shutil.rmtree(setup.checkpoints, ignore_errors=True)
    return setup.folder


def _write_record(
    setup: RunSetup, trainer: HybridTrainer, selection: Selection | None, languages: Collection[str], started: float
) -> None:
    """Write `run.json`, which marks the run as complete."""
    selected = {"selected_step": selection.best_step, "selected_score": selection.best_score} if selection else {}
    write_run(
        setup.folder,
        "train",
        setup.facts,
        data={"rows": setup.rows.checksum},
        seed=setup.settings.seed,
        device=device_name(setup.device),
        seconds=time.perf_counter() - started,
        precision="bf16" if setup.arguments.bf16 else "fp32",
        regime=setup.settings.sampling.name,
        steps=trainer.state.global_step,
        inputs=setup.inputs,
        languages=sorted(languages),
        **selected,
    )
