"""Databases that indexes are exported to, as places: those that need no server, and OpenSearch before a stand-in."""

from pathlib import Path

import pytest

from support.opensearch_places import OPENSEARCH, opensearch_place

EMBEDDED = ["milvus", "qdrant"]
DATABASES = [*EMBEDDED, *OPENSEARCH]
_NEEDS = {"milvus": ("pymilvus", "milvus_lite"), "qdrant": ("qdrant_client",)}
_NAMES = {"milvus": "m.db", "qdrant": "q"}


def database_place(kind: str, home: Path) -> str:
    """A place that belongs to a folder; the test is skipped where the database's packages are missing."""
    for package in _NEEDS.get(kind, ("opensearchpy",)):
        pytest.importorskip(package)
    return f"{kind}:{home / _NAMES[kind]}" if kind in EMBEDDED else opensearch_place(kind, home)
