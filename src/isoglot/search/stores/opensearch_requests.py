"""Requests to OpenSearch with complete answers: all pages, from all shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isoglot.core.errors import IsoglotError
from isoglot.search.stores.opensearch_place import reason_of

Body = Mapping[str, Any]
BY_ID: Sequence[Body] = ({"id": "asc"},)
_ALL = {"allow_partial_search_results": "false"}
_BUCKETS = 1000


def search(client: Any, index: str, body: Body, *, words: bool = False) -> dict[str, Any]:
    """Return the answer to one search.

    Args:
        client: of opensearch-py.
        index: to search.
        body: of the request.
        words: compute document frequencies over all shards, not in each separately.

    Raises:
        IsoglotError: part of the index did not answer in time.
    """
    params = {**_ALL, "search_type": "dfs_query_then_fetch"} if words else dict(_ALL)
    answer: dict[str, Any] = client.search(index=index, body=dict(body), params=params)
    return _whole(index, answer)


def together(client: Any, index: str, bodies: Sequence[Body]) -> list[dict[str, Any]]:
    """Return the answers to several searches sent as one request.

    Raises:
        IsoglotError: one of them failed, or part of the index did not answer in time.
    """
    answers = client.msearch(index=index, body=[line for body in bodies for line in ({}, dict(body))])["responses"]
    for answer in answers:
        if "error" in answer:
            raise IsoglotError(f"index {index}: the server answers {answer.get('status')} ({reason_of(answer)[1]})")
    return [_whole(index, answer) for answer in answers]


def hits(
    client: Any,
    index: str,
    body: Body,
    page: int,
    *,
    sort: Sequence[Body] = BY_ID,
    most: int | None = None,
    words: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield the results of a search, page by page; each page starts after the last one's end, at any depth.

    Args:
        client: of opensearch-py.
        index: to search.
        body: of the request, without size and sort order.
        page: results per request, up to 10,000.
        sort: sort order; its last key must be unique to each document.
        most: number of results at most; all when None.
        words: see `search`.
    """
    asked, left = {**body, "sort": list(sort)}, most
    while left is None or left > 0:
        size = page if left is None else min(page, left)
        found = search(client, index, {**asked, "size": size}, words=words)["hits"]["hits"]
        yield from found
        if len(found) < size:
            return
        asked["search_after"] = found[-1]["sort"]
        left = None if left is None else left - size


def values(client: Any, index: str, query: Body, field: str) -> Iterator[tuple[Any, int]]:
    """Yield each value of a field among the results of a query, with the number of documents that have it."""
    composite: dict[str, Any] = {"size": _BUCKETS, "sources": [{"value": {"terms": {"field": field}}}]}
    while True:
        body = {"query": query, "size": 0, "track_total_hits": False, "aggs": {"values": {"composite": composite}}}
        told = search(client, index, body)["aggregations"]["values"]
        for bucket in told["buckets"]:
            yield bucket["key"]["value"], int(bucket["doc_count"])
        if len(told["buckets"]) < _BUCKETS:
            return
        composite["after"] = told["after_key"]


def count(client: Any, index: str, query: Body) -> int:
    """Return the number of documents that match a query."""
    return int(_whole(index, client.count(index=index, body={"query": query}))["count"])


def _whole(index: str, answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("timed_out") or answer.get("_shards", {}).get("failed"):
        raise IsoglotError(f"index {index}: some of its shards did not answer; check the state of the server")
    return answer
