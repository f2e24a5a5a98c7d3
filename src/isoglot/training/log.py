"""Logs of a run in progress: losses by kind of batch and language pair, and the batches themselves."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, distributed
from transformers import TrainerCallback

from isoglot.core.progress import Progress, progress_line
from isoglot.data.row_table import RowTable

_SAID = {"loss": "loss", "select_score": "score"}


class LossLog:
    """Collects the loss of every query between two log lines and averages by kind of batch and by language pair."""

    def __init__(self, table: RowTable) -> None:
        self._table = table
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._terms: list[dict[str, Tensor]] = []

    def add(self, rows: Tensor, per_query: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Add one batch.

        Args:
            rows: (2, B) row numbers of queries and passages.
            per_query: (B,) InfoNCE of each query.
            terms: value of each term of the loss.
        """
        # Left on their device, as reading them now would stall a GPU.
        self._seen.append((rows, per_query))
        self._terms.append(dict(terms))

    def drain(self) -> dict[str, float]:
        """Return means over all processes since the last call: `loss_mono`, `loss_pair/de>en`, `loss_term/jsd` etc."""
        sums: dict[str, list[float]] = {}

        def note(key: str, total: float, count: float) -> None:
            entry = sums.setdefault(key, [0.0, 0.0])
            entry[0] += total
            entry[1] += count

        lang, names = self._table.lang, self._table.languages
        for rows, per_query in self._seen:
            losses = per_query.float().cpu().numpy().astype(np.float64)
            asked, answered = (np.asarray(lang[part]) for part in rows.cpu().numpy())
            note(f"loss_{kind_of(asked, answered)}", float(losses.sum()), len(losses))
            pairs, at = np.unique(asked.astype(np.int64) * len(names) + answered, return_inverse=True)
            totals, counts = np.bincount(at, weights=losses), np.bincount(at)
            for pair, total, count in zip(pairs.tolist(), totals.tolist(), counts.tolist(), strict=True):
                note(f"loss_pair/{names[pair // len(names)]}>{names[pair % len(names)]}", total, count)
        for terms in self._terms:
            if len(terms) > 1 or "info_nce" not in terms:
                for name, value in terms.items():
                    note(f"loss_term/{name}", float(value), 1.0)
        self._seen, self._terms = [], []
        for other in _of_other_processes(sums):
            for key, (total, count) in other.items():
                note(key, total, count)
        return {key: round(total / count, 6) for key, (total, count) in sorted(sums.items())}


def kind_of(query_langs: np.ndarray[Any, Any], passage_langs: np.ndarray[Any, Any]) -> str:
    """Return the kind of a batch: `mono` (one language), `mixed` (same-language pairs in several) or `cross`."""
    if (query_langs != passage_langs).any():
        return "cross"
    return "mono" if (query_langs == query_langs[0]).all() else "mixed"


def describe_batch(table: RowTable, rows: np.ndarray[Any, Any]) -> str:
    """Describe a batch in one phrase, for messages: its kind, languages and first rows."""
    asked, answered = (np.asarray(table.lang[part]) for part in rows)

    def langs(numbers: np.ndarray[Any, Any]) -> str:
        return "+".join(table.languages[number] for number in np.unique(numbers))

    shown = ", ".join(str(row) for row in rows[0][:8])
    return (
        f"{kind_of(asked, answered)} {langs(asked)}>{langs(answered)}, rows {shown}{', …' if rows.shape[1] > 8 else ''}"
    )


class BatchLog:
    """Writes `batches-RANK.jsonl`: step, kind, languages and row numbers of every batch of one process."""

    def __init__(self, folder: Path, table: RowTable, rank: int) -> None:
        self._path = folder / f"batches-{rank}.jsonl"
        self._table = table

    def start(self, step: int) -> None:
        """Drop the lines after `step`, as these steps are about to be repeated."""
        keep_lines(self._path, step)

    def add(self, step: int, rows: np.ndarray[Any, Any]) -> None:
        """Write the line of a step, given its batch's row numbers (2, B)."""
        asked, answered = (np.asarray(self._table.lang[part]) for part in rows)
        names = self._table.languages
        record = {
            "step": step,
            "kind": kind_of(asked, answered),
            "query_langs": [names[number] for number in np.unique(asked)],
            "passage_langs": [names[number] for number in np.unique(answered)],
            "queries": rows[0].tolist(),
            "passages": rows[1].tolist(),
            "components": np.asarray(self._table.component[rows[0]]).tolist(),
        }
        with self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")


def keep_lines(path: Path, step: int) -> None:
    """Keep only the complete lines of a log up to a step; a line truncated by a crash is dropped."""
    kept = []
    if path.is_file() and step:
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if record["step"] <= step:
                kept.append(f"{line}\n")
    path.write_text("".join(kept), encoding="utf-8")


def _of_other_processes(sums: dict[str, list[float]]) -> list[dict[str, list[float]]]:
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return []
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, sums)
    return [other for number, other in enumerate(everyone) if number != distributed.get_rank()]


class StepLog(TrainerCallback):  # type: ignore[misc]
    """Writes losses as JSON lines to the model's folder and shows a progress bar, in the first process only.

    If stderr is not a terminal but, say, a log file, a line for each logged step is printed there instead of the bar.
    """

    def __init__(self, path: Path, steps: int, batch_log: BatchLog | None = None) -> None:
        self._path, self._batch_log = path, batch_log
        self._progress = Progress("training", steps)
        self._steps, self._done = steps, 0
        self._started = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop the lines of steps that are about to be repeated, and show the bar."""
        if self._batch_log is not None:
            self._batch_log.start(state.global_step)
        if state.is_world_process_zero:
            keep_lines(self._path, state.global_step)
            self._started = time.monotonic()
            self._progress.__enter__()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance the bar."""
        self._progress.advance(state.global_step - self._done)
        self._done = state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Write a line of losses or selection scores."""
        if logs and state.is_world_process_zero and ("loss" in logs or "select_score" in logs):
            with self._path.open("a", encoding="utf-8") as out:
                out.write(json.dumps({"step": state.global_step, **logs}) + "\n")
            if not sys.stderr.isatty():
                figures = [f"{name} {logs[key]:.4f}" for key, name in _SAID.items() if key in logs]
                seconds = time.monotonic() - self._started
                progress_line(f"step {state.global_step} of {self._steps}: {', '.join(figures)}, {seconds:.0f} s")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Remove the bar."""
        self._progress.__exit__(None, None, None)
