"""Fine-tuning one encoder under one regime, through Sentence Transformers' Trainer."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments
from torch import distributed
from transformers import set_seed

from isoglot.core.errors import InputError, IsoglotError, MissingPackageError
from isoglot.core.files import read_json, write_text
from isoglot.core.run_record import device_name, read_run, write_run
from isoglot.data.prepared import Prepared
from isoglot.encoders.devices import require_device, resolve_precision
from isoglot.encoders.loading import backbone_of, load, quiet_libraries
from isoglot.encoders.presets import backbone
from isoglot.training.checkpoints import last_checkpoint, load_trainable, remove_incomplete, require_same
from isoglot.training.inputs import run_collator, used_tokens
from isoglot.training.log import BatchLog, StepLog
from isoglot.training.losses.info_nce import GroupMaskedInfoNCE, LossWeights
from isoglot.training.processes import rank, world_size
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.settings import TrainSettings, flat_settings
from isoglot.training.speed.packing import can_pack, lean
from isoglot.training.speed.token_table import prepare_token_table, restore_token_table
from isoglot.training.trainer import HybridTrainer, Scorer, Selection

# Settings that may change when a run is resumed: the batches and the loss stay what they were.
_FREE = ("batch_size", "chunk", "device", "grad_cache", "log_batches", "log_steps", "save_steps", "tensorboard")


def train(
    model: str,
    rows: Prepared,
    folder: Path | str,
    settings: TrainSettings | None = None,
    *,
    resume: bool = False,
    scorer: Scorer | None = None,
) -> Path:
    """Train and save a plain Sentence Transformers folder with `run.json` and `training.jsonl`.

    Under `torchrun` or `accelerate launch` every process calls this; the first one writes.

    Args:
        model: what `isoglot.load` takes.
        rows: prepared parallel rows.
        folder: output folder, made where it is missing; checkpoints live in its `checkpoints` until the end.
        settings: how to train; its batch size is one process's.
        resume: go on from the last complete checkpoint in `folder`, if there is one.
        scorer: measures the model every `eval_steps`; the weights with the largest `score` are the result (see
            `isoglot.training.selection`).

    Returns:
        The folder.

    Raises:
        InputError: settings that do not fit the rows, or a checkpoint or a finished run of other settings.
        IsoglotError: the loss became NaN, memory ran out, or the disk is full; the last checkpoint stays.
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written.
    """
    folder, settings = Path(folder), settings or TrainSettings()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    quiet_libraries()
    processes, first = world_size(), rank() == 0
    facts = {"model": model, "rows": rows.checksum, **flat_settings(settings), "processes": processes}
    fixed = _fixed(facts)
    if resume and (record := read_run(folder)):
        require_same(folder, _fixed(record["settings"]), fixed)
        return folder
    sampler = HybridBatchSampler(
        rows.table,
        settings.sampling,
        settings.batch_size,
        steps=settings.max_steps,
        seed=settings.seed,
        processes=processes,
    )
    require_device(settings.device)
    checkpoints = folder / "checkpoints"
    arguments = _arguments(checkpoints, folder, settings)
    device = str(arguments.device)
    if settings.device and not device.startswith(settings.device):
        raise InputError(
            f"--device {settings.device}: training runs on {device} here; choose a GPU with CUDA_VISIBLE_DEVICES"
        )
    set_seed(settings.seed)
    with arguments.main_process_first(desc="opening the model"):
        if first:
            remove_incomplete(checkpoints)
        last = last_checkpoint(checkpoints, fixed) if resume else None
        encoder = load(model, device=device)
    preset = backbone(model)
    numbers = sampler.rows()
    with arguments.main_process_first(desc="tokenising"):
        collator = run_collator(encoder, rows, settings, preset, checkpoints / "tokens", numbers)
    prepare_token_table(backbone_of(encoder), settings.embeddings, used_tokens(collator))
    selection = None
    if scorer is not None:
        selection = Selection(scorer, checkpoints, settings.eval_steps, settings.patience, first=first)
        if last is not None:
            selection.restore(read_json(last / "complete.json").get("selection"))
    batch_log = BatchLog(folder, rows.table, rank()) if settings.log_batches else None
    callbacks: list[Any] = [StepLog(folder / "training.jsonl", settings.max_steps, batch_log)]
    trainer = HybridTrainer(
        model=encoder,
        args=arguments,
        train_dataset=Dataset.from_dict({"row": np.arange(len(rows), dtype=np.int64)}),
        loss=_loss(encoder, settings, device, gather=processes > 1),
        data_collator=collator,
        callbacks=[*callbacks, *([selection] if selection else [])],
        sampler=sampler,
        settings=settings,
        facts=fixed,
        selection=selection,
        batch_log=batch_log,
    )
    if selection is not None:
        selection.trainer = trainer
    way = lean(backbone_of(encoder)) if device.startswith("cpu") else nullcontext()
    with trainer.checkpoint_on_signal(), way:
        _run(trainer, last, folder, settings)
    if trainer.interrupted and trainer.state.global_step < settings.max_steps:
        raise KeyboardInterrupt
    if first:
        if selection is not None and selection.best_step:
            load_trainable(encoder, selection.best_weights)
        restore_token_table(backbone_of(encoder))
        try:
            _save(encoder, folder, model, settings)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise IsoglotError(
                f"{folder}: the model could not be written ({str(error).splitlines()[0]}); is the disk full? "
                "Make room, then --resume"
            ) from error
        more = {"selected_step": selection.best_step, "selected_score": selection.best_score} if selection else {}
        write_run(
            folder,
            "train",
            facts,
            data={"rows": rows.checksum},
            seed=settings.seed,
            device=device_name(device),
            seconds=time.perf_counter() - started,
            precision="bf16" if arguments.bf16 else "fp32",
            regime=settings.sampling.name,
            languages=list(rows.table.languages),
            steps=trainer.state.global_step,
            **more,
        )
        shutil.rmtree(checkpoints, ignore_errors=True)
    if processes > 1:
        distributed.barrier()
    return folder


def _run(trainer: HybridTrainer, last: Path | None, folder: Path, settings: TrainSettings) -> None:
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        # On a GPU the last step's loss has not been looked at yet.
        trainer._read_agreement()
    except torch.cuda.OutOfMemoryError as error:
        raise _out_of_memory(settings) from error
    except MemoryError as error:
        raise _out_of_memory(settings) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise _out_of_memory(settings) from error
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise
        raise IsoglotError(
            f"{folder}: cannot be written ({error.strerror or error}); make room, then --resume"
        ) from error


def _out_of_memory(settings: TrainSettings) -> IsoglotError:
    if settings.grad_cache:
        advice = f"give a smaller --grad-cache (now {settings.grad_cache}) or shorter --passage-length"
    else:
        advice = "--grad-cache 16 keeps the same batch in a fraction of the memory; or give a smaller --batch-size"
    return IsoglotError(
        f"out of memory with --batch-size {settings.batch_size}; {advice}; --resume goes on from the last checkpoint"
    )


def _loss(model: SentenceTransformer, settings: TrainSettings, device: str, *, gather: bool) -> GroupMaskedInfoNCE:
    return GroupMaskedInfoNCE(
        model,
        settings.temperature,
        chunk=settings.grad_cache or settings.chunk or _chunk(model, device),
        gather_across_devices=gather,
        recompute=settings.grad_cache is not None,
        weights=LossWeights(
            settings.loss_info_nce,
            settings.loss_symmetric,
            settings.loss_jsd,
            settings.loss_kl,
            settings.loss_distill,
        ),
    )


def _arguments(checkpoints: Path, folder: Path, settings: TrainSettings) -> SentenceTransformerTrainingArguments:
    device = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if settings.tensorboard:
        if importlib.util.find_spec("tensorboard") is None:
            raise MissingPackageError("--tensorboard needs the package tensorboard: pip install 'isoglot[tensorboard]'")
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(checkpoints),
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.lr,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        max_grad_norm=settings.clip,
        seed=settings.seed,
        bf16=resolve_precision(settings.precision, device) == "bf16",
        use_cpu=device.startswith("cpu"),
        save_strategy="steps" if settings.save_steps else "no",
        save_steps=settings.save_steps or 500,
        logging_steps=settings.log_steps,
        logging_nan_inf_filter=False,
        report_to=["tensorboard"] if settings.tensorboard else [],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        dataloader_drop_last=True,
        ddp_backend="gloo" if device.startswith("cpu") and world_size() > 1 else None,
    )
    # More GPUs than processes would make the Trainer split batches by DataParallel, which gathers nothing.
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def _fixed(facts: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide what comes out: how a global batch is spread over processes and memory does not."""
    fixed = {key: value for key, value in facts.items() if key not in (*_FREE, "processes")}
    return {**fixed, "global_batch_size": facts["batch_size"] * facts["processes"]}


def _chunk(model: SentenceTransformer, device: str) -> int | None:
    """On a CPU small chunks save padding, where it is not left out anyway; a GPU wants wide ones."""
    return 8 if device.startswith("cpu") and not can_pack(backbone_of(model)) else None


def _save(model: SentenceTransformer, folder: Path, base: str, settings: TrainSettings) -> None:
    """Write the model with a card that states every setting and holds no training rows."""
    model.save_pretrained(str(folder), create_model_card=False)
    table = "\n".join(f"| {key} | {value} |" for key, value in sorted(flat_settings(settings).items()))
    card = (
        "---\nlibrary_name: sentence-transformers\ntags:\n- sentence-transformers\n- sentence-similarity\n"
        "- multilingual\n- isoglot\n---\n\n"
        f"# {base} trained with isoglot: {settings.sampling.name}\n\n"
        "A dual encoder for monolingual, cross-lingual and multilingual retrieval. Use the prompts `query` and "
        "`document`; compare with cosine similarity.\n\n"
        f"| setting | value |\n|---|---|\n{table}\n"
    )
    write_text(folder / "README.md", card)
