"""What known encoders expect, according to their model cards: prompts, lengths and pooling."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from isoglot.core.run_record import read_run

Pooling = Literal["mean", "cls", "pooler", "last"]


@dataclass(frozen=True)
class Preset:
    """Settings of one family of encoders; lengths are in tokens.

    Attributes:
        pattern: names it applies to: the last part of a Hub id or folder, ignoring case.
        query_prompt, passage_prompt: prepended to texts when the model's folder has no prompts.
        query_length, passage_length: in training.
        encode_length: of queries and passages when measuring and searching.
        pooling: for plain transformers folders, which do not state it: the mean over tokens; the first token; the
            first token through the encoder's own pooler (dense and tanh); or the last token, an end-of-text token. None
            means the last token for decoders and Sentence Transformers' default for others. Vectors are normalised.
        max_length: the encoder's maximum length; None leaves it to the folder.
    """

    pattern: str
    query_prompt: str = ""
    passage_prompt: str = ""
    query_length: int = 64
    passage_length: int = 192
    encode_length: int = 192
    pooling: Pooling | None = None
    max_length: int | None = None


_TASK = "Given a web search query, retrieve relevant passages that answer the query"
_ASK = f"Instruct: {_TASK}\nQuery: "
_PRESETS = (
    Preset(
        r"multilingual-e5-large-instruct",
        _ASK,
        query_length=96,
        pooling="mean",
        max_length=512,
    ),
    Preset(r"(multilingual-)?e5-(small|base|large)(-v2)?", "query: ", "passage: ", pooling="mean", max_length=512),
    # The paper uses these prefixes with XLM-R and LaBSE, too.
    Preset(r"xlm-roberta-(base|large)", "query: ", "passage: ", pooling="mean", max_length=512),
    Preset(r"LaBSE", "query: ", "passage: ", pooling="pooler", max_length=256),
    Preset(r"bge-m3", passage_length=512, encode_length=512, pooling="cls", max_length=8192),
    Preset(r"gte-multilingual-base", passage_length=512, encode_length=512, pooling="cls", max_length=8192),
    Preset(
        r"snowflake-arctic-embed-[lm]-v2\.0",
        "query: ",
        passage_length=512,
        encode_length=512,
        pooling="cls",
        max_length=8192,
    ),
    # Decoders: only queries get the instruction. Qwen's `Query:` is not followed by a space.
    Preset(
        r"qwen3-embedding-[\d.]+b",
        _ASK.rstrip(),
        query_length=96,
        passage_length=512,
        encode_length=512,
        pooling="last",
    ),
    Preset(
        r"(harrier-oss-v1-[\d.]+[mb]|gte-qwen2-[\d.]+b-instruct|e5-mistral-7b-instruct)",
        _ASK,
        query_length=96,
        passage_length=512,
        encode_length=512,
        pooling="last",
    ),
    Preset(
        r"embeddinggemma-300m",
        "task: search result | query: ",
        "title: none | text: ",
        passage_length=512,
        encode_length=512,
        pooling="mean",
        max_length=2048,
    ),
)


def preset_named(name: str) -> Preset:
    """Return the preset of a Hub id or folder; unknown models keep their own prompts and get the default lengths.

    For a folder that isoglot trained, the lengths used in training apply (from its `run.json`).

    >>> preset_named("intfloat/multilingual-e5-small").query_prompt
    'query: '
    """
    trained = _trained(name)
    if trained is not None:
        return trained
    last = _last_part(name)
    for preset in _PRESETS:
        if re.fullmatch(preset.pattern, last, re.IGNORECASE):
            return preset
    return Preset("")


def _last_part(name: str) -> str:
    """Return the model's own name: the last part of `org/name@revision`, a folder, or a snapshot in the Hub's cache."""
    parts = Path(name).parts
    if len(parts) > 2 and parts[-2] == "snapshots":
        return parts[-3].rpartition("--")[2]
    hub_id = name if Path(name).exists() else name.partition("@")[0]
    return Path(hub_id).name


def _trained(name: str) -> Preset | None:
    """Return the base's preset with the lengths of the training run that wrote this folder; None for anything else."""
    record = read_run(Path(name))
    if record is None or record.get("verb") != "train":
        return None
    settings = record.get("settings") or {}
    base = settings.get("model")
    preset = preset_named(base) if isinstance(base, str) and base != name else Preset("")
    query, passage = settings.get("query_length"), settings.get("passage_length")
    return replace(
        preset,
        query_length=query or preset.query_length,
        passage_length=passage or preset.passage_length,
        encode_length=max(preset.encode_length, query or 0, passage or 0),
    )
