"""Sentence Transformers' Trainer with our batches, exact resumption, and a joint decision of all processes to stop."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformerTrainer
from torch import distributed
from transformers import PrinterCallback

from isoglot.core.errors import IsoglotError, first_line
from isoglot.training.checkpoints import WEIGHTS, keep_newest, load_trainable, mark_complete, save_trainable
from isoglot.training.collator import PairInputs
from isoglot.training.interruption import Interruption
from isoglot.training.log import BatchLog, LossLog, describe_batch
from isoglot.training.losses.batch import Pivots
from isoglot.training.processes import average_over_processes
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.selection import Selection
from isoglot.training.settings import TrainSettings


class HybridTrainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """The Trainer of `isoglot train`.

    Gradients are averaged once after the whole backward pass, not by DDP's hooks during it: a batch is embedded in
    many small forward passes, and with GradCache some of these run during the backward pass.

    Args:
        sampler: plans the batches of all processes.
        settings: how to train.
        facts: settings stored in each checkpoint; a run resumes only from a checkpoint with the same ones.
        interruption: tells when to stop early.
        selection: evaluates the model during the run and keeps the best weights; None if there is no evaluation.
        batch_log: logs every batch; None for no log.
        started: start of the run by `time.perf_counter`, moved back by the time used before a resumption.
    """

    def __init__(
        self,
        *args: Any,
        sampler: HybridBatchSampler,
        settings: TrainSettings,
        facts: dict[str, Any],
        interruption: Interruption,
        selection: Selection | None = None,
        batch_log: BatchLog | None = None,
        started: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self._sampler, self._settings, self._facts = sampler, settings, facts
        self._interruption, self._selection, self._batch_log = interruption, selection, batch_log
        self._losses, self._started = LossLog(sampler.table), started
        self._unread: tuple[int, torch.Tensor, np.ndarray[Any, Any]] | None = None
        self._plain_forward = False
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)
        if selection is not None:
            selection.log = self.log
            self.add_callback(selection)
        self.add_callback(interruption)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add no callback: the standard model card would contain training rows, and show a bar while it picks them."""

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """Return our sampler; the arguments are ignored."""
        return self._sampler

    def get_train_dataloader(self) -> Any:
        """Return a loader that leaves batches on the CPU: splitting them into chunks by length would stall a GPU."""
        self.accelerator.even_batches = False
        loader = self._build_dataloader(self.train_dataset, self.args.train_batch_size, dataset_kind="train")
        return self.accelerator.prepare_data_loader(loader, device_placement=False)

    def _prepare_inputs(self, inputs: PairInputs) -> PairInputs:
        return inputs

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train to the end, then check the loss of the last step, which on a GPU is still unread."""
        result = super().train(*args, **kwargs)
        self._read_agreement()
        return result

    def compute_loss(
        self, model: Any, inputs: PairInputs, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Compute the loss; one autocast region spans all chunks of the step, so each weight is cast only once."""
        if not self._plain_forward:
            # Accelerate's wrapper would copy the token vectors of every chunk to float32.
            self.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
            self._plain_forward = True
        device, table, teacher = self.args.device, self._sampler.table, inputs["teacher"]
        pivots = inputs["pivots"]
        languages = np.asarray(table.lang[inputs["rows"].numpy()], dtype=np.int64)
        with self.accelerator.autocast():
            measured = self.loss.measure(
                inputs["columns"],
                inputs["label"].to(device),
                parallel=inputs["parallel"],
                teacher=None if teacher is None else teacher.to(device),
                languages=torch.from_numpy(languages).to(device),
                names=table.languages,
                pivots=None if pivots is None else Pivots(*(part.to(device) for part in pivots)),
            )
        self._losses.add(inputs["rows"], measured.per_query, measured.terms)
        return (measured.loss, {}) if return_outputs else measured.loss

    def training_step(self, model: Any, inputs: PairInputs, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run one step; dropout depends on (seed, step, process) alone, so that a resumed run repeats it.

        Raises:
            IsoglotError: the loss is not finite (on a GPU: the loss of the previous step).
        """
        self._read_agreement()
        step, rows = self.state.global_step, inputs["rows"].numpy()
        torch.manual_seed(step_seed(self.args.seed, step, self.args.process_index))
        with self.accelerator.no_sync(model):
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        if self._batch_log is not None:
            self._batch_log.add(step + 1, rows)
        # The status is averaged over all processes, so that they stop together.
        signalled = loss.new_tensor(float(self._interruption.signalled), dtype=torch.float32)
        status = torch.stack([loss.detach().float(), signalled])
        if self.args.world_size > 1:
            gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
            if self._settings.gradient_wire == "bf16":
                average_over_processes(gradients, torch.bfloat16)
                average_over_processes([status])
            else:
                average_over_processes([*gradients, status])
        self._unread = (step + 1, status, rows)
        if self.args.device.type == "cpu":
            self._read_agreement()
        return status[0]

    def _read_agreement(self) -> None:
        if self._unread is None:
            return
        (step, status, rows), self._unread = self._unread, None
        loss, signalled = status.tolist()
        self._interruption.agreed |= signalled > 0
        if not math.isfinite(loss):
            raise IsoglotError(
                f"step {step}: the loss is {loss} in the batch {describe_batch(self._sampler.table, rows)}; lower "
                "`lr` or raise `temperature`, or give `precision` fp32; the last complete checkpoint is kept"
            )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, adding the losses by kind of batch and by language pair."""
        if "loss" in logs:
            sampling = self._settings.sampling
            if sampling.regime == "hybrid" and sampling.alpha_schedule != "constant":
                logs = {**logs, "alpha": round(self._sampler.alpha(self.state.global_step - 1), 6)}
            logs = {**logs, **self._losses.drain()}
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save the trainable weights, in one process only: transformers calls this in all of them."""
        if self.args.should_save:
            save_trainable(self.model, Path(output_dir or self.args.output_dir) / WEIGHTS)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        load_trainable(self.model, Path(checkpoint_path) / WEIGHTS)

    def _save_rng_state(self, output_dir: str) -> None:
        """Save nothing: the seed of a step follows from its number."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load nothing, see `_save_rng_state`."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._read_agreement()
        home = Path(self.args.output_dir)
        folder = home / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                best = self._selection.state() if self._selection else None
                seconds = round(time.perf_counter() - self._started, 1)
                mark_complete(folder, self.state.global_step, self._facts, selection=best, seconds=seconds)
                keep_newest(home, 2)
                if self._selection:
                    self._selection.forget_older()
        except (OSError, RuntimeError, SafetensorError, IsoglotError) as error:
            # torch and safetensors report a full disk with their own exception types.
            shutil.rmtree(folder, ignore_errors=True)
            raise IsoglotError(
                f"{folder}: the checkpoint could not be written ({first_line(error)}); is the disk full? "
                "Make room, then `resume` goes on from the last complete checkpoint"
            ) from error
        if self.args.world_size > 1:
            distributed.barrier()


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the dropout seed of one process in one step."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])
