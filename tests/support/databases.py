"""Places of databases that indexes are exported to: embedded ones, and others with a stand-in for the server."""

from pathlib import Path

import pytest

from support.milvus_server import MILVUS, milvus_place
from support.opensearch_places import OPENSEARCH, opensearch_place

EMBEDDED = ["milvus", "qdrant"]
DATABASES = [*EMBEDDED, *MILVUS, *OPENSEARCH]
_NEEDS = {"milvus": ("pymilvus", "milvus_lite.adapter"), "qdrant": ("qdrant_client",)}
_NAMES = {"milvus": "m.db", "qdrant": "q"}


def database_place(kind: str, home: Path) -> str:
    """The place of a database for a folder; skips the test if the database's packages are missing."""
    for package in _NEEDS.get(kind.partition(" ")[0], ("opensearchpy",)):
        pytest.importorskip(package)
    if kind in EMBEDDED:
        return f"{kind}:{home / _NAMES[kind]}"
    return milvus_place(kind, home) if kind in MILVUS else opensearch_place(kind, home)
