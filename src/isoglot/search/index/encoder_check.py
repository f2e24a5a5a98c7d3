"""The encoder of an index: which one it is, how long its passages are, and how their tokens are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.documents.splitting import Spans
from isoglot.encoders.encoding import encode
from isoglot.encoders.presets import backbone
from isoglot.search.index.protocol import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_PROBES = ["The mountain is 5,137 metres high.", "Der Fluss fließt nach Norden.", "北京是中国的首都。"]
_SAME = 0.995  # half and full precision of one encoder agree to .9999


def probe(model: SentenceTransformer, precision: str = "auto") -> Vectors:
    """Vectors (3, d) of fixed passages: the encoder's fingerprint, the same wherever its folder lies."""
    return encode(model, _PROBES, "document", precision=precision).vectors


def refuse_other(vectors: Vectors, recorded: Any, name: str | None, made_with: str) -> None:
    """Stop where an encoder is not the one that an index was made with.

    Args:
        vectors: of `probe`.
        recorded: those of the index's encoder.
        name: of the encoder; None where it came as an object.
        made_with: name of the index's encoder.

    Raises:
        InputError: another dimension, or other vectors for the same texts.
    """
    before = np.asarray(recorded, np.float32)
    given = "the model given" if name is None else f"--model {name}"
    if vectors.shape != before.shape:
        raise InputError(
            f"{given}: gives vectors of {vectors.shape[1]} dimensions, but the index holds "
            f"{before.shape[1]} (made with {made_with}); name that model, or index again with this one"
        )
    if float((vectors * before).sum(axis=1).min()) < _SAME:
        raise InputError(
            f"{given}: not the encoder that the index was made with ({made_with}), its vectors differ; "
            "name that model, or index again with this one"
        )


def passage_length(model: SentenceTransformer, length: int | None) -> int:
    """Tokens of a passage, all included: the given or the backbone's, never over the model's own."""
    limit = length or backbone(str(model.model_card_data.base_model or "")).encode_length
    return min(limit, model.max_seq_length) if model.max_seq_length else limit


def room(model: SentenceTransformer, length: int) -> int:
    """Tokens that are left for title and text.

    Raises:
        InputError: fewer than 8.
    """
    prompt = model.prompts.get("document") or ""
    # What the prompt and the special tokens take; a blank keeps word-piece tokenizers from joining them.
    taken = len(model.tokenizer(prompt + " ")["input_ids"])
    left = length - taken
    if left < 8:
        raise InputError(f"--length {length}: prompt and special tokens take {taken}; expected at least {taken + 8}")
    return left


def token_spans(model: SentenceTransformer) -> Spans:
    """The tokenizer, as places of tokens in a text.

    Raises:
        InputError: the model's tokenizer does not tell places.
    """
    tokenizer = model.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise InputError("this model's tokenizer does not tell where its tokens are; use one with a tokenizer.json")

    def spans(texts: list[str]) -> list[list[tuple[int, int]]]:
        encoded = tokenizer(
            texts, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        found: list[list[tuple[int, int]]] = encoded["offset_mapping"]
        return found

    return spans
