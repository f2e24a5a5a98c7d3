"""Arguments for Sentence Transformers' Trainer: how a run computes, where it writes, on which device."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformerTrainingArguments

from isoglot.core.errors import InputError, MissingPackageError
from isoglot.encoders.devices import require_device, resolve_precision
from isoglot.training.checkpoints import CHECKPOINTS
from isoglot.training.processes import world_size
from isoglot.training.settings import TrainSettings


def training_arguments(folder: Path, settings: TrainSettings) -> SentenceTransformerTrainingArguments:
    """Return the Trainer's arguments, with checkpoints in the folder's `checkpoints`; joins other processes, if any.

    Raises:
        InputError: the device is not available, or training would run on another one.
        MissingPackageError: TensorBoard logging is requested but TensorBoard is not installed.
    """
    require_device(settings.device)
    device = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if settings.tensorboard:
        if importlib.util.find_spec("tensorboard") is None:
            raise MissingPackageError("tensorboard: needs the package tensorboard: pip install 'isoglot[tensorboard]'")
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / CHECKPOINTS),
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
    # With more GPUs than processes the Trainer would split batches with DataParallel, which does not gather passages.
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    if settings.device and not str(arguments.device).startswith(settings.device):
        raise InputError(
            f"device {settings.device}: training runs on {arguments.device} here; choose a GPU with "
            "CUDA_VISIBLE_DEVICES"
        )
    return arguments
