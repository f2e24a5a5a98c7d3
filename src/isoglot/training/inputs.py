"""The inputs of a training run: tokens of its rows and hard negatives, in a collator."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError
from isoglot.data.big_arrays import Ints
from isoglot.data.prepared import Prepared
from isoglot.encoders.loading import preset_of, prompt_of
from isoglot.encoders.presets import Preset
from isoglot.encoders.tokens import tokenize, tokenize_rows
from isoglot.training.collator import Negatives, TokenCollator
from isoglot.training.losses.named import LossTerm
from isoglot.training.pivots import run_pivots
from isoglot.training.processes import in_turn
from isoglot.training.settings import TrainSettings


def tokenized(
    model: SentenceTransformer,
    rows: Prepared,
    settings: TrainSettings,
    home: Path,
    numbers: Ints | None,
    terms: Sequence[LossTerm],
) -> TokenCollator:
    """Return the collator of a run; token ids and pivot vectors are computed first, by one process at a time.

    Args:
        model: the model, for its tokenizer and prompts.
        rows: rows of the run.
        settings: settings of the run.
        home: folder for files that only this run needs.
        numbers: numbers of the rows that are drawn, ascending; all when None.
        terms: terms of the loss, which declare what they need of a batch.
    """
    with in_turn():
        parallel = any(term.parallel for term in terms)
        made = run_collator(model, rows, settings, preset_of(model), home / "tokens", numbers, parallel=parallel)
    if any(term.pivots for term in terms):
        with in_turn():
            made.pivots = run_pivots(model, rows, settings, home / "pivots", numbers)
    return made


def run_collator(
    model: SentenceTransformer,
    rows: Prepared,
    settings: TrainSettings,
    preset: Preset,
    scratch: Path,
    numbers: Ints | None,
    *,
    parallel: bool = False,
) -> TokenCollator:
    """Tokenise the rows that are drawn and return their collator.

    The tokens of all rows are cached in the folder of the rows, for other runs; those of a subset (or if that folder
    is read-only) in `scratch`.

    Args:
        model: the model, for its tokenizer and prompts.
        rows: rows of the run.
        settings: settings of the run.
        preset: lengths to truncate to where the settings give none.
        scratch: folder for files that only this run needs.
        numbers: numbers of the rows that are drawn, ascending; all when None.
        parallel: add parallel versions, see `TokenCollator`.
    """
    limit = model.max_seq_length or settings.passage_length or preset.passage_length
    home = rows.folder / "tokens" if numbers is None and os.access(rows.folder, os.W_OK) else scratch
    passage_length = min(settings.passage_length or preset.passage_length, limit)
    queries = tokenize_rows(
        model,
        rows,
        "query",
        prompt=prompt_of(model, "query"),
        length=min(settings.query_length or preset.query_length, limit),
        home=home,
        numbers=numbers,
    )
    passages = tokenize_rows(
        model,
        rows,
        "passage",
        prompt=prompt_of(model, "passage"),
        length=passage_length,
        home=home,
        numbers=numbers,
    )
    return TokenCollator(
        queries,
        passages,
        rows.table.component,
        getattr(model.tokenizer, "pad_token_id", None) or 0,
        negatives=_negatives(model, rows, settings.negatives, passage_length, numbers),
        parallel=parallel,
    )


def _negatives(
    model: SentenceTransformer, rows: Prepared, columns: int, length: int, numbers: Ints | None
) -> Negatives | None:
    """Return the hard negatives, at most `columns` per row; None if there are none or `columns` is 0."""
    if not columns or rows.texts.column("negatives").null_count == len(rows.texts):
        return None
    texts: list[str] = []
    counts = np.zeros(len(rows), dtype=np.int64)
    scores = np.full((len(rows), 1 + columns), np.nan, dtype=np.float32)
    chosen = np.arange(len(rows)) if numbers is None else numbers
    given = (
        (record["negatives"], record["scores"])
        for batch in rows.batches(["negatives", "scores"], numbers)
        for record in batch.to_pylist()
    )
    held = _held_out(rows)
    for row, (negatives, own_scores) in zip(chosen.tolist(), given, strict=True):
        kept = [place for place, text in enumerate(negatives or ()) if not held or _digest(text) not in held][:columns]
        counts[row] = len(kept)
        texts += [negatives[place] for place in kept]
        if own_scores:
            scores[row, : 1 + len(kept)] = [own_scores[place] for place in (0, *(1 + place for place in kept))]
    if not texts:
        return None
    tokens = tokenize(model, texts, prompt=prompt_of(model, "passage"), length=length, role="passage", what="negatives")
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Negatives(tokens, offsets, _components_of(texts, rows), scores, columns)


def _held_out(rows: Prepared) -> set[int]:
    """Return digests of the passages that only rows outside this subset have: held-out ones must not be negatives."""
    if rows.numbers is None:
        return set()
    own, everyone = (
        {_digest(text) for blocks in _spellings(part) for block in blocks for text in block}
        for part in (rows, replace(rows, numbers=None))
    )
    return everyone - own


def _components_of(texts: list[str], rows: Prepared) -> NDArray[np.int64]:
    """Return the passage component of each text that is also the passage of some row, otherwise -1."""
    wanted = np.array([_digest(text) for text in texts], dtype=np.uint64)
    known, inverse = np.unique(wanted, return_inverse=True)
    component = np.full(len(known), -1, dtype=np.int64)
    for blocks in _spellings(rows):
        done = 0
        for block in blocks:
            passages = np.array([_digest(text) for text in block], dtype=np.uint64)
            place = np.minimum(np.searchsorted(known, passages), len(known) - 1)
            found = np.flatnonzero(known[place] == passages)
            component[place[found]] = rows.table.component[done + found]
            done += len(passages)
    return component[inverse]


def _spellings(rows: Prepared) -> Iterator[Iterator[list[str]]]:
    """The passages as a negative may spell them: without their titles, if any has one, then as they are encoded."""
    if rows.texts.column("title").null_count < len(rows.texts):
        yield ([str(text) for text in batch.column(0).to_pylist()] for batch in rows.batches(["passage"]))
    yield rows.passage_blocks()


def _digest(text: str) -> int:
    composed = unicodedata.normalize("NFC", text)  # as passages are compared for their component
    return int.from_bytes(hashlib.blake2b(composed.encode(), digest_size=8).digest(), "little")


def require_scores(collator: TokenCollator, settings: TrainSettings) -> None:
    """Check that there are teacher scores to distil.

    Raises:
        InputError: no row that is drawn has scores of its passage and of a hard negative used in training.
    """
    scores = None if collator.negatives is None else collator.negatives.scores
    if scores is None or not ((~np.isnan(scores)).sum(axis=1) >= 2).any():
        raise InputError(
            f"loss_distill {settings.loss_weights['distill']:g}: no row has a teacher's scores for its passage and a "
            f"hard negative (`negatives` {settings.negatives}); `isoglot data score` adds them"
        )


def used_tokens(collator: TokenCollator) -> torch.Tensor:
    """Return every token id that a batch can contain, sorted."""
    parts = [collator.queries.used(), collator.passages.used(), np.array([collator.pad])]
    if collator.negatives is not None:
        parts.append(collator.negatives.tokens.used())
    return torch.from_numpy(np.unique(np.concatenate(parts)))
