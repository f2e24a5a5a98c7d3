"""How an index lies in OpenSearch: its mapping, and a passage as a document and back."""

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
from isoglot.search.stores.kept import point_id
from isoglot.search.stores.term_weights import terms_of

VECTOR, TERMS, PASSAGE, KEY, DIGEST = "vector", "terms", "passage", "key", "digest"
ABOUT = "isoglot"  # the key of the mapping's `_meta` that is ours
_TYPES: Mapping[Kind, str] = {
    "text": "keyword",
    "number": "double",
    "boolean": "boolean",
    "date": "long",
    "texts": "keyword",
    "numbers": "double",
}
_LONGEST = 32_766  # bytes of a term in Lucene
_BEGINNING = 32_000


def settings() -> dict[str, Any]:
    """Settings of an index: k-NN, and BM25 as everywhere."""
    return {"index": {"knn": True, "similarity": {"isoglot_bm25": {"type": "BM25", "k1": K1, "b": B}}}}


def mapping(dimension: int, about: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping of an index without metadata; what is not in it is refused.

    The terms of a passage are put in as they are, with blanks between: words of all languages are told apart alike.
    What comes back of a passage is kept beside, unread by the server.
    """
    # Nothing is left out of `_source`, though the terms need not be there: where something is, the k-NN plugin writes
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
    """Properties of a mapping for columns of metadata."""
    known = {name: found[1] for name in columns if (found := field_of(name)) is not None}
    return {name: {"type": _TYPES[kind]} for name, kind in sorted(known.items())}


def document_of(passage: Passage, digest: str, vector: Vectors, values: Mapping[str, Any]) -> dict[str, Any]:
    """A passage as a document.

    Args:
        passage: any.
        digest: of it.
        vector: its unit vector.
        values: by column, those that it has.

    Raises:
        InputError: an id that is too long to be found by.
    """
    length = len(passage.id.encode(errors="replace"))
    if length > _LONGEST:
        raise InputError(f"passage {passage.id[:40]}...: its id has {length} bytes; OpenSearch takes {_LONGEST}")
    # An empty title or source is no value, which filters can ask for.
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
    """The passage that a document was made of."""
    kept = source[PASSAGE]
    return Passage(**{**kept, "metadata": json.loads(kept["metadata"])})


def vector_of(source: Mapping[str, Any]) -> Vectors:
    """The vector (d,) of a document."""
    return np.asarray(source[VECTOR], np.float32)


def term_of(text: str) -> str:
    """A text as it is compared: of one that Lucene takes for no term, the beginning and a hash of the whole."""
    written = text.encode(errors="replace")
    if len(written) <= _LONGEST:
        return written.decode()
    digest = hashlib.blake2b(written, digest_size=16).hexdigest()
    return f"{written[:_BEGINNING].decode(errors='ignore')} ... {digest}"


def _findable(value: Any) -> Any:
    if isinstance(value, list):
        # A facet counts a number once for each time that it stands in a list.
        return list(dict.fromkeys(_findable(one) for one in value))
    return term_of(value) if isinstance(value, str) else value
