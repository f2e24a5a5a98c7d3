"""Texts as token ids: tokenised once, stored in files that all processes map, read in batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_folder
from isoglot.core.progress import Progress, progress_line
from isoglot.data.big_arrays import Ints, parts
from isoglot.data.prepared import Prepared
from isoglot.encoders.embedder import Role, readable
from isoglot.encoders.model_locks import turn

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_TEXTS = 1024
_TASKS: dict[Role, str] = {"query": "query", "passage": "document"}  # Sentence Transformers' names
CHARACTERS_A_TOKEN = 256  # on average; far more than any natural text has


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids of many texts, concatenated: text i is `ids[offsets[i]:offsets[i + 1]]`.

    Attributes:
        ids: of all texts.
        offsets: (texts + 1,).
        numbers: (texts,) ascending, the number by which `batch` refers to each text; its position when None.
        cut: (texts,) whether each text was truncated; None if this was not requested.
        more: the model's other inputs: the prompt's length if pooling excludes the prompt, the task if the model
            routes queries and passages differently.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    numbers: Ints | None = None
    cut: NDArray[np.bool_] | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def batch(self, texts: NDArray[np.int64], pad: int) -> dict[str, Any]:
        """Return right-padded `input_ids`, `attention_mask` (n, longest), int64, with `more`; text -1 is padding."""
        absent = texts < 0
        if self.numbers is not None:
            texts = np.searchsorted(self.numbers, texts)
        starts = self.offsets[texts]
        lengths = np.where(absent, 1, self.offsets[texts + 1] - starts)
        columns = np.arange(int(lengths.max()))
        mask = columns < lengths[:, None]
        at = np.minimum(starts[:, None] + columns, len(self.ids) - 1)
        ids = np.where(mask & ~absent[:, None], self.ids[at], pad)
        return {
            "input_ids": torch.from_numpy(ids.astype(np.int64)),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
            **self.more,
        }

    def used(self) -> NDArray[np.int64]:
        """Return the ids that occur, ascending."""
        seen = np.zeros(1, dtype=bool)
        for part in parts(len(self.ids)):
            own = np.bincount(self.ids[part], minlength=len(seen)) > 0
            own[: len(seen)] |= seen
            seen = own
        return np.flatnonzero(seen)


def tokenize(
    model: SentenceTransformer,
    texts: list[str],
    *,
    prompt: str | None,
    length: int,
    role: Role | None = None,
    what: str = "texts",
    notice: bool = False,
) -> Tokens:
    """Tokenise texts with the model's own preprocessing, in memory.

    Args:
        model: a Sentence Transformer that takes token ids.
        texts: any number of texts.
        prompt: prepended to each text.
        length: truncate to this many tokens, special ones included, and to at most 256 times as many characters.
        role: of the texts, for models that route queries and passages differently.
        what: name of the progress bar.
        notice: report which texts were truncated; this tokenises the texts of full length a second time.

    Raises:
        InputError: the model does not take token ids.
    """
    pieces = list(_pieces(model, [texts], len(texts), prompt, length, role, what, notice))
    ids = np.concatenate([piece.ids for piece in pieces]) if pieces else np.empty(0, np.int32)
    lengths = np.concatenate([np.zeros(1, np.int64), *(piece.lengths for piece in pieces)])
    cut = np.concatenate([np.zeros(0, np.bool_), *(piece.cut for piece in pieces)]) if notice else None
    more = beside_ids(model, prompt, length, role) if pieces else {}
    return Tokens(ids, np.cumsum(lengths, dtype=np.int64), cut=cut, more=more)


def tokenize_rows(
    model: SentenceTransformer,
    rows: Prepared,
    side: Literal["query", "passage"],
    *,
    prompt: str | None,
    length: int,
    home: Path,
    numbers: Ints | None = None,
) -> Tokens:
    """Return token ids of the rows' queries or passages, mapped from files; tokenise if an earlier run has not.

    Args:
        model: a Sentence Transformer that takes token ids.
        rows: prepared rows.
        side: `query` or `passage`.
        prompt: prepended to each text.
        length: truncate to this many tokens, special ones included.
        home: folder in which token files are stored.
        numbers: ascending numbers of the wanted rows; all when None.

    Raises:
        InputError: the model does not take token ids.
        IsoglotError: `home` cannot be written or the disk is full.
    """
    folder = home / f"{side}-{_key(model, rows, prompt, length, numbers)}"
    if not folder.is_dir():
        blocks = rows.query_blocks(numbers) if side == "query" else rows.passage_blocks(numbers)
        count = len(rows) if numbers is None else len(numbers)
        what = "queries" if side == "query" else "passages"
        with (
            atomic_folder(folder, replaces=False) as temporary,
            (temporary / "ids").open("wb") as ids_file,
            (temporary / "offsets").open("wb") as offsets_file,
        ):
            end = np.zeros(1, np.int64)
            end.tofile(offsets_file)
            for piece in _pieces(model, blocks, count, prompt, length, side, what):
                piece.ids.tofile(ids_file)
                offsets = end + np.cumsum(piece.lengths, dtype=np.int64)
                offsets.tofile(offsets_file)
                end = offsets[-1:]
    ids, offsets = np.memmap(folder / "ids", np.int32, mode="r"), np.memmap(folder / "offsets", np.int64, mode="r")
    return Tokens(ids, offsets, numbers, more=beside_ids(model, prompt, length, side))


class _Piece(NamedTuple):
    """Some texts: their token ids, concatenated, the length of each, and whether it was truncated."""

    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]
    cut: NDArray[np.bool_]


def _pieces(
    model: SentenceTransformer,
    blocks: Iterable[list[str]],
    count: int,
    prompt: str | None,
    length: int,
    role: Role | None,
    what: str,
    notice: bool = False,
) -> Iterator[_Piece]:
    """Yield about a thousand texts at a time; all tokenisation for training, measuring and search happens here."""
    nothing = 0
    most = length * CHARACTERS_A_TOKEN
    with Progress(f"tokenising {what}", count) as progress:
        for texts in blocks:
            for start in range(0, len(texts), _TEXTS):
                whole = texts[start : start + _TEXTS]
                # Tokenizers process the whole text before truncating: one of 100 MB would take gigabytes.
                part = [readable(text[:most]) for text in whole]
                features, mask = _features(model, part, prompt, length, role)
                cut = np.array([len(text) > most for text in whole], np.bool_)
                full = np.flatnonzero(notice & (mask.sum(axis=1) >= length))
                if len(full):
                    _, longer = _features(model, [part[text] for text in full], prompt, length + 1, role)
                    cut[full] |= longer.sum(axis=1) > length
                empty = np.flatnonzero(~mask.any(axis=1))
                if len(empty):
                    # A text without tokens has no meaning, but its group must keep its row: use one unknown token.
                    features["input_ids"][torch.from_numpy(empty), 0] = _unknown(model)
                    mask[empty, 0] = True
                    nothing += len(empty)
                ids = features["input_ids"].numpy().astype(np.int32)[mask]
                yield _Piece(ids, mask.sum(axis=1), cut)
                progress.advance(len(part))
    if nothing:
        progress_line(f"{nothing} {what} contain nothing that the tokenizer knows; each became one unknown token")


def _features(
    model: SentenceTransformer, texts: list[str], prompt: str | None, length: int, role: Role | None
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Return the model's preprocessed texts, and a mask (texts, longest) of the positions that hold a token."""
    with turn(model):
        features: dict[str, Any] = model.preprocess(
            texts, prompt=prompt or None, max_length=length, **({"task": _TASKS[role]} if role else {})
        )
    if not {"input_ids", "attention_mask"} <= features.keys():
        names = ", ".join(type(module).__name__ for module in model)
        raise InputError(
            f"this model ({names}) takes no token ids with a mask; isoglot trains and encodes with transformers. "
            "To evaluate, index or search with it from Python, give the function `lambda texts, role: "
            "model.encode(texts)` as the model"
        )
    return features, features["attention_mask"].numpy().astype(bool)


def beside_ids(model: SentenceTransformer, prompt: str | None, length: int, role: Role | None) -> dict[str, Any]:
    """Return the inputs that the model's modules need besides ids (see `Tokens`)."""
    from sentence_transformers.base.modules import Router

    # Only a router's own modules are walked: all layers of an encoder would cost each query a tenth of a millisecond.
    kinds = [part for module in model for part in (module.modules() if isinstance(module, Router) else (module,))]
    wanted = {"prompt_length"} if any(getattr(part, "include_prompt", True) is False for part in kinds) else set()
    found = {"task": _TASKS[role]} if role and any(isinstance(part, Router) for part in kinds) else {}
    if not wanted and not found:
        return {}
    features, _ = _features(model, [""], prompt, length, role)
    wanted |= {"modality"} if found else set()
    return found | {name: features[name] for name in sorted(wanted) if name in features}


def _unknown(model: SentenceTransformer) -> int:
    tokenizer = model.tokenizer
    for name in ("unk_token_id", "eos_token_id", "pad_token_id"):
        if (number := getattr(tokenizer, name, None)) is not None:
            return int(number)
    return 0


def reset_tokenizer(model: SentenceTransformer) -> Any:
    """Return the model's fast tokenizer, without the truncation and padding of the last call; None if it has none.

    Every call sets these two anew; everything else about the tokenizer is constant.
    """
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()
    return backend


def _key(model: SentenceTransformer, rows: Prepared, prompt: str | None, length: int, numbers: Ints | None) -> str:
    """Return a hash of all that the tokens depend on: the texts, the tokenizer, the prompt and the length."""
    digest = hashlib.blake2b(digest_size=12)
    config = model[0].get_config_dict() if hasattr(model[0], "get_config_dict") else None
    backend = reset_tokenizer(model)
    if backend is None:
        tokenizer = json.dumps(model.tokenizer.get_vocab() if hasattr(model.tokenizer, "get_vocab") else None)
    else:
        tokenizer = backend.to_str()
    kind = type(model.tokenizer).__qualname__
    for part in (rows.checksum, kind, tokenizer, json.dumps(config, default=str, sort_keys=True), prompt, length):
        digest.update(f"{part}\0".encode())
    if numbers is not None:
        digest.update(numbers.astype(np.int64).tobytes())
    return digest.hexdigest()
