"""How an index is stored in OpenSearch: its mapping, and passages as documents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.core.files import json_line
from isoglot.encoders.embedder import Vectors
from isoglot.search.filters.sql import field_of
from isoglot.search.filters.values import OWN, Kind
from isoglot.search.index.bm25 import K1, B
from isoglot.search.passage import Passage
from isoglot.search.stores.shared import point_id
from isoglot.search.stores.term_weights import terms_of

VECTOR, TERMS, PASSAGE, KEY, DIGEST = "vector", "terms", "passage", "key", "digest"
ABOUT = "isoglot"  # our key in the mapping's `_meta`
_TYPES: Mapping[Kind, str] = {
    "text": "keyword",
    "number": "double",
    "boolean": "boolean",
    "date": "long",
    "texts": "keyword",
    "numbers": "double",
}
_LONGEST = 32_766  # bytes of a term in Lucene
_BEGINNING = 32_000  # bytes kept of a longer one


def settings() -> dict[str, Any]:
    """Return the settings of an index: k-NN, and BM25 with the same constants as elsewhere."""
    return {"index": {"knn": True, "similarity": {"isoglot_bm25": {"type": "BM25", "k1": K1, "b": B}}}}


def mapping(dimension: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping of an index without metadata; fields not in the mapping are rejected.

    A passage's terms are stored as they are, separated by spaces, so that words are told apart the same way in every
    language. What is returned of a passage is stored as an object that the server does not index.
    """
    # Nothing is excluded from `_source`, though the terms are not needed there: if anything is, the k-NN plugin writes
    # every vector into it a second time.
    vector = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    return {
        "dynamic": "strict",
        "_meta": {ABOUT: dict(about)},
        "properties": {
            **{name: {"type": "keyword"} for name in (KEY, *OWN)},
            DIGEST: {"type": "keyword", "index": False},
            TERMS: {"type": "text", "analyzer": "whitespace", "index_options": "freqs", "similarity": "isoglot_bm25"},
            VECTOR: {"type": "knn_vector", "dimension": dimension, "method": vector},
            PASSAGE: {"type": "object", "enabled": False},
        },
    }


def properties_of(columns: Iterable[str]) -> dict[str, Any]:
    """Return the mapping's properties for columns of metadata."""
    known = {name: found[1] for name in columns if (found := field_of(name)) is not None}
    return {name: {"type": _TYPES[kind]} for name, kind in sorted(known.items())}


def document_of(passage: Passage, digest: str, vector: Vectors, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a passage as an OpenSearch document.

    Args:
        passage: any.
        digest: of the passage.
        vector: its unit vector.
        values: its metadata by column, without missing values.

    Raises:
        InputError: the id is too long to be searched for.
    """
    length = len(passage.id.encode(errors="replace"))
    if length > _LONGEST:
        raise InputError(f"passage {passage.id[:40]}...: its id has {length} bytes; OpenSearch takes {_LONGEST}")
    # An empty title or source is stored as a missing value, which filters can test for.
    own = {name: term_of(value) for name in OWN if (value := getattr(passage, name))}
    return {
        **own,
        **{name: _findable(value) for name, value in values.items()},
        KEY: point_id(passage.id),
        DIGEST: digest,
        TERMS: " ".join(terms_of(passage)),
        VECTOR: np.asarray(vector, np.float32).tolist(),
        PASSAGE: {
            **{name: getattr(passage, name) for name in (*OWN, "text")},
            "metadata": json_line(dict(passage.metadata)),
        },
    }


def passage_of(source: Mapping[str, Any]) -> Passage:
    """Return the passage that a document was made from."""
    kept = source[PASSAGE]
    return Passage(**{**kept, "metadata": json.loads(kept["metadata"])})


def vector_of(source: Mapping[str, Any]) -> Vectors:
    """Return the vector (d,) of a document."""
    return np.asarray(source[VECTOR], np.float32)


def term_of(text: str) -> str:
    """Return a text as an indexed term: one too long for Lucene becomes its beginning and a hash of the whole."""
    written = text.encode(errors="replace")
    if len(written) <= _LONGEST:
        return written.decode()
    digest = hashlib.blake2b(written, digest_size=16).hexdigest()
    return f"{written[:_BEGINNING].decode(errors='ignore')} ... {digest}"


def _findable(value: Any) -> Any:
    if isinstance(value, list):
        # Facets would count a number once for each time that it occurs in a list.
        return list(dict.fromkeys(_findable(one) for one in value))
    return term_of(value) if isinstance(value, str) else value
