"""The tables of an index folder: their columns, and what a passage is in those that are made for searching."""

from __future__ import annotations

import pyarrow as pa

from isoglot.core.files import json_line
from isoglot.languages.normal_form import search_form
from isoglot.languages.words import search_terms
from isoglot.search.index.stored_vectors import vector_type
from isoglot.search.passage import Passage

SAMPLES = "samples"
SHOWN = ["id", "text", "about"]
SEARCHED = ["search_text", "search_title"]
TOKENS = "tokens"
FOLDED_SCHEMA = pa.schema([(name, pa.string()) for name in ("document", "same_as", "source", "metadata", "hash")])


def schema(dimension: int, numbers: str = "float32", *, tokens: bool = False) -> pa.Schema:
    """Columns of the passages table, with or without the vectors of the passages' tokens.

    `search_text` and `search_title` are terms between blanks, which the full-text indexes are made of. `hash` is of the
    whole document, to tell changed ones and duplicates. `about` is JSON with all that a result shows
    beside its text: fetching ten rows costs a millisecond or more a column, most where few values repeat. Filters look
    at the others, and at the columns of the metadata (`columns`), which come as the documents bring them.
    """
    texts = ["id", "document", "text", *SEARCHED, "lang", "title", "source", "about", "hash"]
    kept = [(TOKENS, pa.large_binary())] if tokens else []
    return pa.schema([*((name, pa.string()) for name in texts), ("vector", vector_type(dimension, numbers)), *kept])


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def search_text(text: str) -> str:
    """The terms of a text or a query, between blanks."""
    return " ".join(search_terms(search_form(text)))


def shown_json(passage: Passage) -> str:
    """What the column `about` holds."""
    shown = {"document": passage.document, "lang": passage.lang}
    shown |= {name: value for name in ("title", "source", "metadata") if (value := getattr(passage, name))}
    return json_line(shown)
