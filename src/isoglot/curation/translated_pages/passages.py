"""Split or truncate texts at sentence boundaries to an encoder's passage length."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from isoglot.core.errors import InputError
from isoglot.languages.sentences import segments

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Cut = Callable[[str, str], str]
"""A function from a text and its language to the beginning of the text that fits."""


def splitter(model: SentenceTransformer, length: int | None = None) -> Callable[[str, str], list[str]]:
    """Return a function that splits texts into passages for this encoder: as many whole sentences as fit, at least one.

    Args:
        model: the encoder, whose tokenizer counts tokens; its prompt and special tokens are included in `length`.
        length: maximum tokens of a passage; the length to which training truncates when None.

    Raises:
        InputError: the tokenizer gives no token offsets, as it is not a fast one, or the length leaves too little room.
    """
    from isoglot.documents.splitting import split
    from isoglot.encoders.loading import preset_of

    tokenizer: Any = model.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise InputError("the model's tokenizer does not give the positions of tokens; use one with a fast tokenizer")
    prompt = model.prompts.get("document") or ""
    room = (length or preset_of(model).passage_length) - len(tokenizer(prompt + " ")["input_ids"])
    if room < 8:
        raise InputError(f"a length of {length} leaves {room} tokens for a text; expected at least 8")

    def spans(texts: list[str]) -> list[list[tuple[int, int]]]:
        encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [[(start, end) for start, end in own if end > start] for own in encoded["offset_mapping"]]

    return lambda text, lang: split(text, lang, spans=spans, tokens=room)


def cutter(model: SentenceTransformer, length: int | None = None) -> Cut:
    """Return a function that truncates texts to the first of the passages that `splitter` makes."""
    parts = splitter(model, length)
    return lambda text, lang: parts(text, lang)[0]


def first_sentence(text: str, lang: str) -> tuple[str, str]:
    """Return the first sentence of a text and the rest (empty if there is none).

    Raises:
        MissingPackageError: sentencex is not installed.
    """
    first, *rest = [sentence for sentence in segments(text, lang) if sentence.strip()]
    return first.strip(), "".join(rest).strip()
