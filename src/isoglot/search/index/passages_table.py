"""The tables of an index folder: their columns, and what the search columns hold for a passage."""

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
    """Return the schema of the passages table, with or without a column of token vectors.

    `search_text` is the terms of title and text, separated by spaces, for a full-text index. In older indexes, which
    can still be read and updated, those of the title are in `search_title`, now empty: words that were partly in the
    title and partly in the text counted in one of them only. `hash` is of the whole document, to detect changes and
    duplicates. `about` is JSON with all that a result shows besides its text, as
    fetching ten rows costs a millisecond or more per column, most where few values repeat. The other columns are for
    filters, as are those of the metadata (`columns`), which are added as documents need them.
    """
    texts = ["id", "document", "text", *SEARCHED, "lang", "title", "source", "about", "hash"]
    kept = [(TOKENS, pa.large_binary())] if tokens else []
    return pa.schema([*((name, pa.string()) for name in texts), ("vector", vector_type(dimension, numbers)), *kept])


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def search_text(text: str, *, beginnings: bool = True, signs: bool = True) -> str:
    """Return the terms of a text, separated by spaces; `beginnings` and `signs` as in `search_terms`."""
    return " ".join(search_terms(search_form(text), beginnings=beginnings, signs=signs))


def shown_json(passage: Passage) -> str:
    """Return the value of a passage's column `about`."""
    shown = {"document": passage.document, "lang": passage.lang}
    shown |= {name: value for name in ("title", "source", "metadata") if (value := getattr(passage, name))}
    return json_line(shown)
