"""OpenSearch mappings, after its public documentation: which are valid, and which values a field accepts."""

from __future__ import annotations

import math
from typing import Any

from support.opensearch_queries import RefusedError, known_keys

_ANALYZERS = {"standard", "simple", "whitespace", "stop", "keyword", "pattern", "fingerprint"}
_COMMON = {"type", "index", "doc_values", "store", "meta", "copy_to", "null_value"}
_PARAMETERS = {
    "keyword": _COMMON | {"ignore_above", "norms", "index_options", "similarity", "normalizer", "fields"},
    "text": {"type", "index", "store", "analyzer", "search_analyzer", "index_options", "norms", "similarity", "fields"},
    "double": _COMMON | {"coerce", "ignore_malformed"},
    "long": _COMMON | {"coerce", "ignore_malformed"},
    "boolean": _COMMON,
    "object": {"type", "enabled", "dynamic", "properties"},
    "knn_vector": {"type", "dimension", "method", "space_type", "mode", "compression_level", "data_type", "store"},
}
_ROOT = {
    "dynamic",
    "_meta",
    "_source",
    "_routing",
    "properties",
    "date_detection",
    "numeric_detection",
    "dynamic_templates",
}
_SPACES = {"lucene": {"l2", "cosinesimil", "innerproduct"}, "faiss": {"l2", "cosinesimil", "innerproduct", "hamming"}}
_FIELDS, _TERM = 1000, 32_766


def merge(index: dict[str, Any], new: Any, *, knn: bool) -> None:
    """Merge a mapping, or an addition to one, into an index."""
    for key in new:
        if key not in _ROOT:
            raise RefusedError(
                "mapper_parsing_exception", f"Root mapping definition has unsupported parameters:  [{key}]"
            )
    there = index["mappings"]
    properties = dict(there["properties"])
    for name, property in new.get("properties", {}).items():
        _check(name, property, index["settings"], knn=knn)
        if name in properties and properties[name] != property:
            raise RefusedError("illegal_argument_exception", f"mapper [{name}] cannot be changed")
        properties[name] = property
    if len(properties) > _FIELDS:
        raise RefusedError("illegal_argument_exception", f"Limit of total fields [{_FIELDS}] has been exceeded")
    there |= {**new, "properties": properties}


def _check(name: str, property: Any, settings: dict[str, Any], *, knn: bool) -> None:
    kind = property.get("type")
    if kind not in _PARAMETERS or (kind == "knn_vector" and not knn):
        raise RefusedError("mapper_parsing_exception", f"No handler for type [{kind}] declared on field [{name}]")
    for key in property:
        if key not in _PARAMETERS[kind]:
            raise RefusedError(
                "mapper_parsing_exception", f"unknown parameter [{key}] on mapper [{name}] of type [{kind}]"
            )
    if property.get("analyzer", "standard") not in _ANALYZERS:
        raise RefusedError(
            "mapper_parsing_exception", f"analyzer [{property['analyzer']}] has not been configured in mappings"
        )
    similarity = property.get("similarity", "BM25")
    if similarity not in {"BM25", "boolean"} and f"index.similarity.{similarity}.type" not in settings:
        raise RefusedError("mapper_parsing_exception", f"Unknown Similarity type [{similarity}] for field [{name}]")
    if kind == "knn_vector":
        method = known_keys(property["method"], {"name", "engine", "space_type", "parameters"}, "method")
        fits = 0 < property["dimension"] <= 16_000 and method["name"] == "hnsw" and settings.get("index.knn")
        if not fits or method["space_type"] not in _SPACES[method["engine"]]:
            raise RefusedError("mapper_parsing_exception", f"Validation failed for the method of [{name}]")


def parse(name: str, property: dict[str, Any], value: Any) -> None:
    """Reject a value that does not have its field's type."""
    kind, values = property["type"], value if isinstance(value, list) else [value]
    if kind == "object":
        fits = isinstance(value, dict)
    elif kind == "knn_vector":
        fits = isinstance(value, list) and len(value) == property["dimension"]
        fits = fits and all(isinstance(one, (int, float)) and math.isfinite(one) for one in value)
    elif kind in {"keyword", "text"}:
        fits = all(isinstance(one, str) for one in values)
        longest = max((len(one.encode()) for one in values if isinstance(one, str)), default=0)
        if kind == "keyword" and longest > _TERM:
            raise RefusedError(
                "illegal_argument_exception", f'Document contains at least one immense term in field="{name}"'
            )
    elif kind == "boolean":
        fits = all(isinstance(one, bool) for one in values)
    else:
        wanted = int if kind == "long" else (int, float)
        fits = all(isinstance(one, wanted) and not isinstance(one, bool) for one in values)
    if not fits:
        raise RefusedError("mapper_parsing_exception", f"failed to parse field [{name}] of type [{kind}]")
