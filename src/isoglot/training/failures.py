"""Clear error messages for external causes that end a training run: memory, the disk, another process that died."""

from __future__ import annotations

import errno
from pathlib import Path

import torch
from torch import distributed

from isoglot.core.errors import IsoglotError, first_line
from isoglot.training.processes import world_size
from isoglot.training.settings import TrainSettings
from isoglot.training.trainer import HybridTrainer


def run_steps(trainer: HybridTrainer, last: Path | None, folder: Path, settings: TrainSettings) -> None:
    """Train to the end, or until a signal.

    Args:
        trainer: the trainer of the run.
        last: checkpoint to resume from; None starts from the beginning.
        folder: output folder, named in messages.
        settings: settings of the run, for the advice in messages.

    Raises:
        IsoglotError: memory ran out, the disk is full or cannot be written, or another process died; the last
            checkpoint is kept.
    """
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except torch.cuda.OutOfMemoryError as error:
        raise _out_of_memory(settings) from error
    except MemoryError as error:
        raise _out_of_memory(settings) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error) or "not enough memory" in str(error):
            raise _out_of_memory(settings) from error
        if world_size() > 1 and (isinstance(error, distributed.DistError) or "gloo" in str(error)):
            raise IsoglotError(
                f"another process of this training died or does not answer ({first_line(error)}); look at "
                "what it wrote, then start all again with `resume`"
            ) from error
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            raise
        raise IsoglotError(
            f"{folder}: cannot be written ({error.strerror or error}); make room, then go on with `resume`"
        ) from error


def _out_of_memory(settings: TrainSettings) -> IsoglotError:
    if settings.grad_cache:
        advice = f"give a smaller `grad_cache` (now {settings.grad_cache}) or shorter `passage_length`"
    else:
        advice = "`grad_cache` 16 keeps the same batch in a fraction of the memory; or give a smaller `batch_size`"
    return IsoglotError(
        f"out of memory with `batch_size` {settings.batch_size}; {advice}; `resume` goes on from the last checkpoint"
    )
