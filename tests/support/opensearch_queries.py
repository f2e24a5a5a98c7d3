"""OpenSearch's query evaluation, after its public documentation; rejects what the server would reject.

Stricter than the server: unmapped fields are an error here, where the server finds nothing.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from typing import Any

import numpy as np

WINDOW, CLAUSES, TERMS, BUCKETS = 10_000, 1024, 65_536, 65_535
K1, B = 1.2, 0.75


class RefusedError(Exception):
    """An error response of the server."""

    def __init__(self, kind: str, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.status = kind, reason, status


def known_keys(body: Any, keys: set[str], what: str) -> dict[str, Any]:
    """Check that a body is an object with no other keys than these, and return it."""
    if not isinstance(body, dict):
        raise RefusedError("parsing_exception", f"[{what}] expected an object but found [{body!r}]")
    for key in body:
        if key not in keys:
            raise RefusedError("parsing_exception", f"[{what}] unknown field [{key}]")
    return body


class Searched:
    """The documents of an index that a refresh has made searchable.

    Args:
        properties: of the mapping.
        documents: unchanged sources by id.
        legacy: whether BM25 scores have the constant factor (k1 + 1), as before version 3.
    """

    def __init__(self, properties: dict[str, Any], documents: dict[str, dict[str, Any]], *, legacy: bool) -> None:
        self.properties, self.documents, self.legacy = properties, documents, legacy
        self._words = {
            name: {key: Counter(source[name].split()) for key, source in documents.items() if source.get(name)}
            for name, property in properties.items()
            if property["type"] == "text"
        }

    def search(self, body: Any) -> dict[str, Any]:
        known_keys(
            body,
            {"query", "sort", "size", "from", "_source", "docvalue_fields", "search_after", "track_total_hits", "aggs"},
            "search",
        )
        size = body.get("size", 10)
        if size < 0 or size + body.get("from", 0) > WINDOW:
            raise RefusedError(
                "illegal_argument_exception",
                f"Result window is too large, from + size must be less than or equal to: [{WINDOW}] but was [{size}]. "
                "See the scroll api for a more efficient way to request large data sets.",
            )
        scores = self.scores(body.get("query", {"match_all": {}}))
        sort = [self._sort_key(part) for part in body.get("sort", [{"_score": "desc"}])]
        rows = sorted(
            ((self._sort_values(key, score, sort), key) for key, score in scores.items()),
            key=functools.cmp_to_key(lambda one, other: _compared(one[0], other[0], sort)),
        )
        after = body.get("search_after")
        if after is not None:
            if len(after) != len(sort) or "sort" not in body:
                raise RefusedError(
                    "illegal_argument_exception", f"search_after has {len(after)} value(s) but sort has ..."
                )
            rows = [row for row in rows if _compared(row[0], after, sort) > 0]
        rows = rows[body.get("from", 0) :][:size]
        scored = any(name == "_score" for name, _ in sort)
        hits = [self._hit(key, scores[key] if scored else None, values, body) for values, key in rows]
        answer: dict[str, Any] = {
            "took": 1,
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {"max_score": None, "hits": hits},
        }
        if body.get("track_total_hits") is not False:
            answer["hits"]["total"] = {"value": len(scores), "relation": "eq"}
        if "aggs" in body:
            answer["aggregations"] = {name: self._composite(asked, scores) for name, asked in body["aggs"].items()}
        return answer

    def scores(self, query: Any) -> dict[str, float]:
        """Documents that match a query, with their scores (0 for queries that do not score)."""
        if not isinstance(query, dict) or len(query) != 1:
            raise RefusedError("parsing_exception", "[query] malformed query, expected one clause")
        ((name, asked),) = query.items()
        find = getattr(self, f"_query_{name}", None)
        if find is None:
            raise RefusedError("parsing_exception", f"unknown query [{name}]")
        return find(asked)

    def _query_match_all(self, asked: Any) -> dict[str, float]:
        known_keys(asked, {"boost"}, "match_all")
        return dict.fromkeys(self.documents, 1.0)

    def _query_bool(self, asked: Any) -> dict[str, float]:
        known_keys(asked, {"must", "filter", "should", "must_not", "minimum_should_match", "boost"}, "bool")
        parts = {name: _listed(asked.get(name, [])) for name in ("must", "filter", "should", "must_not")}
        if sum(map(len, parts.values())) > CLAUSES:
            raise RefusedError("too_many_clauses", f"maxClauseCount is set to {CLAUSES}")
        found = {name: [self.scores(query) for query in queries] for name, queries in parts.items()}
        least = asked.get("minimum_should_match", 0 if parts["must"] or parts["filter"] or not parts["should"] else 1)
        scores = {}
        for key in self.documents:
            needed = all(key in some for some in (*found["must"], *found["filter"]))
            should = [some[key] for some in found["should"] if key in some]
            if needed and len(should) >= least and not any(key in some for some in found["must_not"]):
                scores[key] = sum(some[key] for some in found["must"]) + sum(should)
        return scores

    def _query_term(self, asked: Any) -> dict[str, float]:
        field, value = _one_field(asked, "term")
        value = known_keys(value, {"value", "boost"}, "term")["value"] if isinstance(value, dict) else value
        return self._query_terms({field: [value]})

    def _query_terms(self, asked: Any) -> dict[str, float]:
        field, values = _one_field({key: value for key, value in asked.items() if key != "boost"}, "terms")
        if len(values) > TERMS:
            raise RefusedError(
                "illegal_argument_exception", f"The number of terms [{len(values)}] used in the Terms Query"
            )
        wanted = {self._read(field, value) for value in values}
        return {key: 1.0 for key in self.documents if wanted.intersection(self._held(key, field))}

    def _query_ids(self, asked: Any) -> dict[str, float]:
        wanted = known_keys(asked, {"values", "boost"}, "ids")["values"]
        return {key: 1.0 for key in self.documents if key in wanted}

    def _query_exists(self, asked: Any) -> dict[str, float]:
        field = known_keys(asked, {"field", "boost"}, "exists")["field"]
        self._mapped(field)
        return {key: 1.0 for key in self.documents if self._held(key, field)}

    def _query_range(self, asked: Any) -> dict[str, float]:
        field, limits = _one_field(asked, "range")
        known_keys(limits, {"gt", "gte", "lt", "lte", "boost", "format"}, "range")
        tests = {
            "gt": lambda a, b: a > b,
            "gte": lambda a, b: a >= b,
            "lt": lambda a, b: a < b,
            "lte": lambda a, b: a <= b,
        }
        read = {name: self._read(field, limits[name]) for name in tests if name in limits}
        return {
            key: 1.0
            for key in self.documents
            if any(all(tests[name](held, limit) for name, limit in read.items()) for held in self._held(key, field))
        }

    def _query_wildcard(self, asked: Any) -> dict[str, float]:
        field, value = _one_field(asked, "wildcard")
        pattern = known_keys(value, {"value", "boost", "case_insensitive", "rewrite"}, "wildcard")["value"]
        if self._mapped(field)["type"] != "keyword":
            raise RefusedError(
                "query_shard_exception",
                f"Can only use wildcard queries on keyword, text and wildcard fields - not on [{field}]",
            )
        written = re.sub(
            r"\\(.)|.",
            lambda found: ".*" if found[0] == "*" else "." if found[0] == "?" else re.escape(found[1] or found[0]),
            pattern,
            flags=re.DOTALL,
        )
        fits = re.compile(written, re.DOTALL).fullmatch
        return {key: 1.0 for key in self.documents if any(fits(held) for held in self._held(key, field))}

    def _query_match(self, asked: Any) -> dict[str, float]:
        """Lucene's BM25: field lengths stored in a byte, idf over all documents that have the field."""
        field, value = _one_field(asked, "match")
        text = known_keys(value, {"query", "operator", "boost"}, "match")["query"] if isinstance(value, dict) else value
        if self._mapped(field)["type"] != "text":
            raise RefusedError("query_shard_exception", f"this stand-in matches texts only, not [{field}]")
        words, terms = self._words[field], text.split()
        if len(terms) > CLAUSES:
            raise RefusedError("too_many_clauses", f"maxClauseCount is set to {CLAUSES}")
        mean = sum(counts.total() for counts in words.values()) / max(len(words), 1)
        scores: dict[str, float] = {}
        for term in terms:
            having = sum(term in counts for counts in words.values())
            idf = math.log(1 + (len(words) - having + 0.5) / (having + 0.5))
            for key, counts in words.items():
                if term in counts:
                    length = in_a_byte(counts.total())
                    share = counts[term] / (counts[term] + K1 * (1 - B + B * length / mean))
                    scores[key] = scores.get(key, 0.0) + idf * share * (K1 + 1 if self.legacy else 1)
        return {key: float(np.float32(score)) for key, score in scores.items()}

    def _query_knn(self, asked: Any) -> dict[str, float]:
        field, value = _one_field(asked, "knn")
        known_keys(value, {"vector", "k", "filter", "method_parameters", "boost", "rescore"}, "knn")
        if not 1 <= value["k"] <= WINDOW:
            raise RefusedError("illegal_argument_exception", f"[knn] requires k to be in the range (0, {WINDOW}]")
        among = self.scores(value["filter"]) if "filter" in value else self.documents
        scores = self._products(field, value["vector"], among)
        return dict(sorted(scores.items(), key=lambda item: -item[1])[: value["k"]])

    def _query_script_score(self, asked: Any) -> dict[str, float]:
        known_keys(asked, {"query", "script", "min_score", "boost"}, "script_score")
        script = known_keys(asked["script"], {"lang", "source", "params"}, "script")
        if (script.get("lang"), script.get("source")) != ("knn", "knn_score"):
            raise RefusedError("illegal_argument_exception", f"unknown script {script}")
        params = known_keys(script["params"], {"field", "query_value", "space_type"}, "params")
        if params["space_type"] != "innerproduct":
            raise RefusedError("illegal_argument_exception", f"this stand-in has no space {params['space_type']}")
        return self._products(params["field"], params["query_value"], self.scores(asked["query"]))

    def _products(self, field: str, vector: list[float], among: Any) -> dict[str, float]:
        property = self._mapped(field)
        if property["type"] != "knn_vector" or len(vector) != property["dimension"]:
            raise RefusedError("illegal_argument_exception", f"Query vector has invalid dimension: {len(vector)}")
        asked, scores = np.asarray(vector, np.float32), {}
        for key in among:
            product = np.float32(np.dot(asked, np.asarray(self.documents[key][field], np.float32)))
            scores[key] = (
                float(product + np.float32(1)) if product > 0 else float(np.float32(1) / (np.float32(1) - product))
            )
        return scores

    def _composite(self, asked: Any, found: dict[str, float]) -> dict[str, Any]:
        known_keys(asked, {"composite"}, "aggregation")
        composite = known_keys(asked["composite"], {"size", "sources", "after"}, "composite")
        if composite.get("size", 10) > BUCKETS or len(composite["sources"]) != 1:
            raise RefusedError("too_many_buckets_exception", "Trying to create too many buckets.", 503)
        ((name, source),) = composite["sources"][0].items()
        field = known_keys(known_keys(source, {"terms"}, "source")["terms"], {"field", "order"}, "terms")["field"]
        property = self._mapped(field)
        if property["type"] in {"text", "knn_vector", "object"} or not property.get("doc_values", True):
            raise RefusedError("illegal_argument_exception", f"field [{field}] has no doc values to aggregate on")
        counts: Counter[Any] = Counter()
        for key in found:
            held = self._held(key, field)
            counts.update(set(held) if property["type"] == "keyword" else held)
        after = composite.get("after")
        values = [value for value in sorted(counts) if after is None or value > after[name]][
            : composite.get("size", 10)
        ]
        told: dict[str, Any] = {"buckets": [{"key": {name: value}, "doc_count": counts[value]} for value in values]}
        return {**told, "after_key": {name: values[-1]}} if values else told

    def _hit(self, key: str, score: float | None, values: list[Any], body: dict[str, Any]) -> dict[str, Any]:
        hit: dict[str, Any] = {"_index": "i", "_id": key, "_score": score}
        if "sort" in body:
            hit["sort"] = values
        wanted = body.get("_source", True)
        if wanted:
            source = self.documents[key]
            hit["_source"] = {name: source[name] for name in source if wanted is True or name in wanted}
        for name in body.get("docvalue_fields", []):
            if self._mapped(name).get("doc_values", True) and self._held(key, name):
                hit.setdefault("fields", {})[name] = self._held(key, name)
        return hit

    def _sort_key(self, part: Any) -> tuple[str, bool]:
        ((name, how),) = part.items()
        how = known_keys(how, {"order"}, "sort")["order"] if isinstance(how, dict) else how
        if how not in {"asc", "desc"}:
            raise RefusedError("illegal_argument_exception", f"Unknown SortOrder [{how}]")
        if name != "_score" and self._mapped(name)["type"] == "text":
            raise RefusedError(
                "illegal_argument_exception",
                f"Text fields are not optimised for operations that require per-document field data: [{name}]",
            )
        return name, how == "desc"

    def _sort_values(self, key: str, score: float, sort: list[tuple[str, bool]]) -> list[Any]:
        return [score if name == "_score" else min(self._held(key, name)) for name, _ in sort]

    def _mapped(self, field: str) -> dict[str, Any]:
        if field not in self.properties:
            raise RefusedError("query_shard_exception", f"No mapping found for [{field}]")
        return self.properties[field]

    def _held(self, key: str, field: str) -> list[Any]:
        value = self.documents[key].get(field)
        return [] if value is None else value if isinstance(value, list) else [value]

    def _read(self, field: str, value: Any) -> Any:
        """Parse a query's value by the field's type."""
        property = self._mapped(field)
        if not property.get("index", True):
            raise RefusedError("query_shard_exception", f"Cannot search on field [{field}] since it is not indexed.")
        fits = {"keyword": str, "boolean": bool, "double": (int, float), "long": int}.get(property["type"])
        if fits is None or not isinstance(value, fits) or (property["type"] != "boolean" and isinstance(value, bool)):
            raise RefusedError("query_shard_exception", f"failed to create query: [{value!r}] on [{field}]")
        return value


def in_a_byte(length: int) -> int:
    """A length as stored by Lucene: exact up to 39, then with four significant bits (SmallFloat.intToByte4)."""
    if length < 24:
        return length
    rest = length - 24
    shift = max(0, rest.bit_length() - 4)
    return 24 + (rest >> shift << shift)


def _compared(one: list[Any], other: list[Any], sort: list[tuple[str, bool]]) -> int:
    for mine, theirs, (_, down) in zip(one, other, sort, strict=True):
        if mine != theirs:
            return -1 if (mine < theirs) != down else 1
    return 0


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _one_field(asked: Any, what: str) -> tuple[str, Any]:
    if not isinstance(asked, dict) or len(asked) != 1:
        raise RefusedError("parsing_exception", f"[{what}] query doesn't support multiple fields")
    ((field, value),) = asked.items()
    return field, value
