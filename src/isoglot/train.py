"""Fine-tuning one encoder under one regime, through Sentence Transformers' Trainer."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from transformers import PrinterCallback, TrainerCallback, set_seed

from isoglot.backbones import backbone
from isoglot.collate import TokenCollator, tokenize
from isoglot.config import TrainSettings, flat_settings
from isoglot.data.prepare import Prepared
from isoglot.errors import InputError, IsoglotError
from isoglot.files import read_json, write_json
from isoglot.losses import GroupMaskedInfoNCE
from isoglot.model import backbone_of, load, quiet_libraries, resolve_precision
from isoglot.progress import Progress
from isoglot.provenance import device_name, read_run, write_run
from isoglot.sampler import HybridBatchSampler
from isoglot.token_table import prepare_token_table, restore_token_table

COMPLETE = "complete.json"


def train(
    model: str,
    rows: Prepared,
    folder: Path,
    settings: TrainSettings | None = None,
    *,
    resume: bool = False,
) -> Path:
    """Train and save a plain Sentence Transformers folder with `run.json` and `training.jsonl`.

    Args:
        model: what `isoglot.load` takes.
        rows: prepared parallel rows.
        folder: output folder (made by the caller); checkpoints live in its `checkpoints` until the end.
        settings: how to train.
        resume: go on from the last complete checkpoint in `folder`, if there is one.

    Returns:
        The folder.

    Raises:
        InputError: settings that do not fit the rows, or a checkpoint of other settings.
        IsoglotError: the loss became NaN, or the disk is full; the last checkpoint stays.
    """
    settings = settings or TrainSettings()
    started = time.perf_counter()
    quiet_libraries()
    facts = {"model": model, "rows": rows.checksum, **flat_settings(settings)}
    if resume and (record := read_run(folder)) and record.get("settings") == facts:
        return folder
    sampler = HybridBatchSampler(
        rows.table, settings.sampling, settings.batch_size, steps=settings.max_steps, seed=settings.seed
    )
    set_seed(settings.seed)
    encoder = load(model, device=settings.device)
    collator = _collator(encoder, rows, settings, backbone(model).query_length, backbone(model).passage_length)
    device = str(encoder.device)
    half = resolve_precision(settings.precision, device) == "bf16"
    used = torch.from_numpy(
        np.unique(np.concatenate([collator.queries.ids, collator.passages.ids, [collator.pad]])).astype(np.int64)
    )
    prepare_token_table(backbone_of(encoder), settings.embeddings, used)
    checkpoints = folder / "checkpoints"
    last = _last_checkpoint(checkpoints, facts) if resume else None
    trainer = _Trainer(
        model=encoder,
        args=_arguments(checkpoints, settings, half=half, device=device),
        train_dataset=Dataset.from_dict({"row": np.arange(len(rows), dtype=np.int64)}),
        loss=GroupMaskedInfoNCE(encoder, settings.temperature, chunk=settings.chunk or _chunk(device)),
        data_collator=collator,
        callbacks=[_Log(folder / "training.jsonl", settings.max_steps)],
        sampler=sampler,
        facts=facts,
    )
    try:
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except OSError as error:
        raise IsoglotError(
            f"{folder}: cannot be written ({error.strerror or error}); free space, then --resume"
        ) from error
    restore_token_table(backbone_of(encoder))
    _save(encoder, folder, model, settings)
    shutil.rmtree(checkpoints, ignore_errors=True)
    write_run(
        folder,
        "train",
        facts,
        data={"rows": rows.checksum},
        seed=settings.seed,
        device=device_name(device),
        seconds=time.perf_counter() - started,
        precision="bf16" if half else "fp32",
        regime=settings.sampling.name,
        languages=list(rows.table.languages),
    )
    return folder


class _Trainer(SentenceTransformerTrainer):  # type: ignore[misc]
    """The Trainer with our batches, whole-step autocast, and checkpoints that say when they are complete."""

    def __init__(self, *args: Any, sampler: HybridBatchSampler, facts: dict[str, Any], **kwargs: Any) -> None:
        self._sampler = sampler
        self._facts = facts
        super().__init__(*args, **kwargs)
        # Our own card and progress take the place of these: the stock card would embed training rows.
        for callback in (PrinterCallback, self.model_card_callback_class):
            self.remove_callback(callback)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """The loss, in one autocast region over all chunks of a step, which keeps the cast weights."""
        with self.accelerator.autocast():
            return super().compute_loss(*args, **kwargs)

    def get_batch_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """Our own sampler, whatever the arguments say."""
        return self._sampler

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One step; a loss that is not finite stops the run before it can spoil the weights."""
        loss: torch.Tensor = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise IsoglotError(
                f"step {self.state.global_step + 1}: the loss is {float(loss)}; lower --lr or raise --temperature, "
                "or give --precision fp32; the last checkpoint is kept"
            )
        return loss

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        super()._save_checkpoint(*args, **kwargs)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        write_json(folder / COMPLETE, {"step": self.state.global_step, "settings": self._facts})


class _Log(TrainerCallback):  # type: ignore[misc]
    """Losses as JSON lines beside the model, and a progress bar."""

    def __init__(self, path: Path, steps: int) -> None:
        self._path = path
        self._progress = Progress("training", steps)
        self._done = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # A resumed run goes on after its checkpoint: lines from steps that are about to be done again go.
        kept = []
        if self._path.is_file() and state.global_step:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
        self._path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._progress.__enter__()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._progress.advance(state.global_step - self._done)
        self._done = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            with self._path.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"step": state.global_step, **logs}) + "\n")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._progress.__exit__(None, None, None)


def _collator(
    model: SentenceTransformer,
    rows: Prepared,
    settings: TrainSettings,
    query_length: int,
    passage_length: int,
) -> TokenCollator:
    limit = model.max_seq_length or passage_length
    queries = tokenize(
        model,
        rows.column("query"),
        prompt=model.prompts.get("query"),
        length=min(settings.query_length or query_length, limit),
        what="queries",
    )
    passages = tokenize(
        model,
        rows.passages(),
        prompt=model.prompts.get("document"),
        length=min(settings.passage_length or passage_length, limit),
        what="passages",
    )
    pad = getattr(model.tokenizer, "pad_token_id", None) or 0
    return TokenCollator(queries, passages, np.asarray(rows.table.component), pad)


def _arguments(
    folder: Path, settings: TrainSettings, *, half: bool, device: str
) -> SentenceTransformerTrainingArguments:
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.lr,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type="linear",
        max_grad_norm=settings.clip,
        seed=settings.seed,
        bf16=half,
        use_cpu=device.startswith("cpu"),
        save_strategy="steps" if settings.save_steps else "no",
        save_steps=settings.save_steps or 500,
        save_total_limit=2,
        logging_steps=10,
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=device.startswith("cuda"),
    )


def _chunk(device: str) -> int | None:
    """Small chunks save padding where arithmetic is the limit; a GPU wants wide ones."""
    return 8 if device.startswith("cpu") else None


def _last_checkpoint(folder: Path, facts: dict[str, Any]) -> Path | None:
    """The newest checkpoint that was written to its end.

    Raises:
        InputError: it belongs to a run with other settings.
    """
    if not folder.is_dir():
        return None
    complete = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    if not complete:
        return None
    newest = max(complete, key=lambda path: int(path.name.rpartition("-")[2]))
    saved = read_json(newest / COMPLETE)["settings"]
    different = sorted(key for key in {*saved, *facts} if saved.get(key) != facts.get(key))
    if different:
        raise InputError(
            f"{newest}: made with another {', '.join(different)}; give the same settings, or --overwrite to start anew"
        )
    return newest


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
    (folder / "README.md").write_text(card, encoding="utf-8")
