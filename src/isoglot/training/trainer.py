"""Sentence Transformers' Trainer with our batches, exact resumption, and one agreement of all processes a step."""

from __future__ import annotations

import math
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from torch import distributed
from transformers import PrinterCallback, TrainerCallback

from isoglot.core.errors import IsoglotError
from isoglot.training.checkpoints import WEIGHTS, keep_newest, load_trainable, mark_complete, save_trainable
from isoglot.training.log import BatchLog, LossLog, describe_batch
from isoglot.training.processes import average_over_processes
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.settings import TrainSettings

Scorer = Callable[[SentenceTransformer], dict[str, float]]


class HybridTrainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """The Trainer of `isoglot train`.

    Gradients are averaged once after the whole backward pass, not by DDP's hooks while it runs: a batch embeds its
    texts in many small forward passes, and with GradCache some of them happen within backward.

    Args:
        sampler: plans the batches of all processes.
        settings: how to train.
        facts: what a checkpoint must have been made with to be resumed.
        selection: the best-so-far of a run that measures itself on held-out rows.
        batch_log: notes every batch.
    """

    def __init__(
        self,
        *args: Any,
        sampler: HybridBatchSampler,
        settings: TrainSettings,
        facts: dict[str, Any],
        selection: Selection | None = None,
        batch_log: BatchLog | None = None,
        **kwargs: Any,
    ) -> None:
        self._sampler, self._settings, self._facts = sampler, settings, facts
        self._selection, self._batch_log = selection, batch_log
        self._losses = LossLog(sampler.table)
        self._unread: tuple[int, torch.Tensor, np.ndarray[Any, Any]] | None = None
        self._plain_forward = False
        self.interrupted = False
        self._signalled = False
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)
        self.add_callback(_StopWhenInterrupted(self))

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the stock card would embed training rows, and show a bar while it picks them."""

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """Our own sampler, whatever the arguments say."""
        return self._sampler

    def get_train_dataloader(self) -> Any:
        """Batches stay on the CPU: chunks are cut by length there, which would make a GPU wait."""
        self.accelerator.even_batches = False
        loader = self._build_dataloader(self.train_dataset, self.args.train_batch_size, dataset_kind="train")
        return self.accelerator.prepare_data_loader(loader, device_placement=False)

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss, in one autocast region over all chunks of a step, which casts every weight once."""
        if not self._plain_forward:
            # Accelerate's own wrapper would copy every chunk's token vectors to float32.
            self.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
            self._plain_forward = True
        device = self.args.device
        features, labels = self.collect_features(inputs)
        teacher = inputs.get("teacher")
        with self.accelerator.autocast():
            loss = self.loss(
                features,
                labels.to(device),
                None if teacher is None else teacher.to(device),
                parallel="parallel_query_input_ids" in inputs,
            )
        return (loss, {}) if return_outputs else loss

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One step; dropout is a function of (seed, step, process), so that a resumed run repeats it.

        Raises:
            IsoglotError: the loss is not finite (on a GPU: was not, one step ago).
        """
        self._read_agreement()
        step, rows = self.state.global_step, inputs["rows"].numpy()
        torch.manual_seed(step_seed(self.args.seed, step, self.args.process_index))
        with self.accelerator.no_sync(model):
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._losses.add(inputs["rows"], self.loss.per_query, self.loss.terms)
        if self._batch_log is not None:
            self._batch_log.add(step + 1, rows)
        # One number of all processes decides whether all stop: none may go on alone.
        status = torch.stack([loss.detach().float(), loss.new_tensor(float(self._signalled), dtype=torch.float32)])
        if self.args.world_size > 1:
            average_over_processes([p.grad for p in self.model.parameters() if p.grad is not None] + [status])
        self._unread = (step + 1, status, rows)
        if self.args.device.type == "cpu":
            self._read_agreement()
        return status[0]

    def _read_agreement(self) -> None:
        if self._unread is None:
            return
        (step, status, rows), self._unread = self._unread, None
        loss, signalled = status.tolist()
        self.interrupted |= signalled > 0
        if not math.isfinite(loss):
            raise IsoglotError(
                f"step {step}: the loss is {loss} in the batch {describe_batch(self._sampler.table, rows)}; lower "
                "--lr or raise --temperature, or give --precision fp32; the last complete checkpoint is kept"
            )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the losses by kind of batch and language pair."""
        if "loss" in logs:
            sampling, done = self._settings.sampling, self.state.global_step / self.state.max_steps
            if sampling.regime == "hybrid" and sampling.alpha_schedule != "constant":
                logs = {**logs, "alpha": round(sampling.alpha_at(done), 6)}
            logs = {**logs, **self._losses.drain()}
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        save_trainable(self.model, Path(output_dir or self.args.output_dir) / WEIGHTS)

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        load_trainable(self.model, Path(checkpoint_path) / WEIGHTS)

    def _save_rng_state(self, output_dir: str) -> None:
        """Nothing to keep: the randomness of a step follows from its number."""

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Nothing to read, see `_save_rng_state`."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._read_agreement()
        home = Path(self.args.output_dir)
        folder = home / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            if self.args.should_save:
                best = self._selection.state() if self._selection else None
                mark_complete(folder, self.state.global_step, self._facts, selection=best)
                keep_newest(home, 2)
                if self._selection:
                    self._selection.forget_older()
        except (OSError, RuntimeError, SafetensorError, IsoglotError) as error:
            # torch and safetensors report a full disk as errors of their own.
            shutil.rmtree(folder, ignore_errors=True)
            raise IsoglotError(
                f"{folder}: the checkpoint could not be written ({str(error).splitlines()[0]}); is the disk full? "
                "Make room, then --resume goes on from the last complete checkpoint"
            ) from error
        if self.args.world_size > 1:
            distributed.barrier()

    @contextmanager
    def checkpoint_on_signal(self) -> Iterator[None]:
        """Turn Ctrl-C and SIGTERM into: finish the step, write a checkpoint, stop. A second one stops at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def note(number: int, frame: Any) -> None:
            if self._signalled:
                raise KeyboardInterrupt
            self._signalled = True

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _StopWhenInterrupted(TrainerCallback):  # type: ignore[misc]
    def __init__(self, trainer: HybridTrainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._trainer.interrupted and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
        # A line of the log never spans a checkpoint, so a resumed run writes the same lines.
        control.should_log |= control.should_save


class Selection(TrainerCallback):  # type: ignore[misc]
    """Keeps the weights that scored best on held-out rows, and stops when they no longer improve.

    Args:
        score: measures a model; the entry `score` decides, larger is better.
        folder: where the best weights are kept.
        every: steps between measurements.
        patience: measurements without a better score before the run stops; 0 never stops it.
        first: whether this process measures (the others are told the result).
    """

    def __init__(self, score: Scorer, folder: Path, every: int, patience: int, *, first: bool) -> None:
        self._score, self._folder, self._every, self._patience, self._first = score, folder, every, patience, first
        self.trainer: HybridTrainer | None = None
        self.best_step, self.best_score, self._worse = 0, -math.inf, 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"step": self.best_step, "score": self.best_score if self.best_step else None, "worse": self._worse}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go on from what a checkpoint kept."""
        if state and state["step"]:
            self.best_step, self.best_score, self._worse = state["step"], state["score"], state["worse"]

    @property
    def best_weights(self) -> Path:
        """File of the best weights so far."""
        return self._folder / f"best-{self.best_step}.safetensors"

    def forget_older(self) -> None:
        """Remove weights that are no longer the best (once a checkpoint says so)."""
        for path in self._folder.glob("best-*.safetensors"):
            if path != self.best_weights:
                path.unlink()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure, where it is time to."""
        step = state.global_step
        if step % self._every and step != state.max_steps:
            return
        trainer = self.trainer
        if trainer is None:
            raise IsoglotError("a selection was used without its trainer")
        told: list[Any] = [self._score(trainer.model) if self._first else None]
        if args.world_size > 1:
            distributed.broadcast_object_list(told, src=0)
        measured: dict[str, float] = told[0]
        if measured["score"] > self.best_score:
            self.best_step, self.best_score, self._worse = step, measured["score"], 0
            if self._first:
                save_trainable(trainer.model, self.best_weights)
        else:
            self._worse += 1
        trainer.log({f"select_{name}": value for name, value in measured.items()})
        if self._patience and self._worse >= self._patience:
            control.should_training_stop = True


def step_seed(seed: int, step: int, rank: int) -> int:
    """Seed of one process's dropout in one step."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])
