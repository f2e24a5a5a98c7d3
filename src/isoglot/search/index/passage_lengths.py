"""Passage lengths of an index, in tokens of its encoder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from isoglot.core.errors import InputError
from isoglot.documents.splitting import Spans
from isoglot.encoders.embedder import Encoder, Model, is_transformer
from isoglot.encoders.encoding import ModelEmbedder, as_encoder, encoding_length
from isoglot.encoders.loading import prompt_of
from isoglot.encoders.presets import Preset

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Tokens, if there is no tokenizer: each Han, kana or Hangul character, each mark, up to four letters of other words.
_PIECES = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,4}|[^\w\s]"
)


def passage_encoder(model: Model, length: int, precision: str) -> Encoder:
    """Return the encoder of an index's passages, limited to `length` tokens each."""
    inner = _transformer_of(model)
    if isinstance(model, ModelEmbedder) or (inner is not None and is_transformer(model)):
        return ModelEmbedder(inner, length=length, precision=precision)
    return as_encoder(model)


def _transformer_of(model: Model) -> SentenceTransformer | None:
    """Return the Sentence Transformer that a model is or wraps; None for functions and endpoints."""
    inner = model if is_transformer(model) else getattr(model, "model", None)
    return inner if is_transformer(inner) else None


def passage_length(model: Model, length: int | None) -> int:
    """Return the tokens per passage, all included: as given, else the preset's, at most what the model allows."""
    inner = _transformer_of(model)
    own = getattr(model, "length", None)
    if inner is not None:
        return encoding_length(inner, length or own)
    return length or own or Preset("").encode_length


def room(model: Model, length: int) -> int:
    """Return the tokens that are left for title and text.

    Raises:
        InputError: fewer than 8.
    """
    inner = _transformer_of(model)
    # Tokens of the prompt and the special tokens; the space keeps word-piece tokenizers from merging them.
    taken = 0 if inner is None else len(inner.tokenizer(prompt_of(inner, "passage") + " ")["input_ids"])
    left = length - taken
    if left < 8:
        raise InputError(f"length {length}: prompt and special tokens take {taken}; expected at least {taken + 8}")
    return left


def token_spans(model: Model) -> Spans:
    """Return a function from texts to the spans of their tokens, estimated if the model has no local tokenizer.

    Raises:
        InputError: the model's tokenizer gives no offsets.
    """
    inner = _transformer_of(model)
    if inner is None:
        return lambda texts: [[piece.span() for piece in _PIECES.finditer(text)] for text in texts]
    tokenizer = inner.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise InputError("this model's tokenizer gives no token offsets; use one with a tokenizer.json")

    def spans(texts: list[str]) -> list[list[tuple[int, int]]]:
        encoded = tokenizer(
            texts, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        found: list[list[tuple[int, int]]] = encoded["offset_mapping"]
        return found

    return spans
