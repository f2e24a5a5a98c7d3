"""What known encoders expect: prompts, lengths and pooling, as their model cards state them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Backbone:
    """Settings of one family of encoders; lengths are in tokens.

    Attributes:
        pattern: which Hub ids (or folder names) it covers.
        query_prompt, passage_prompt: put before texts when the model's own folder names none.
        query_length, passage_length: in training.
        encode_length: of queries and passages when measuring and searching.
    """

    pattern: str
    query_prompt: str = ""
    passage_prompt: str = ""
    query_length: int = 64
    passage_length: int = 192
    encode_length: int = 192


_BACKBONES = (
    Backbone(r"(multilingual-)?e5-(small|base|large)", "query: ", "passage: "),
    # The paper puts prefixes on its XLM-R and LaBSE models too.
    Backbone(r"xlm-roberta-(base|large)", "query: ", "passage: "),
    Backbone(r"LaBSE", "query: ", "passage: "),
    Backbone(r"bge-m3", passage_length=512, encode_length=512),
)


def backbone(name: str) -> Backbone:
    """Preset for a Hub id or folder; an unknown one keeps its own prompts and gets the usual lengths.

    >>> backbone("intfloat/multilingual-e5-small").query_prompt
    'query: '
    """
    for preset in _BACKBONES:
        if re.search(preset.pattern, name, re.IGNORECASE):
            return preset
    return Backbone("")
