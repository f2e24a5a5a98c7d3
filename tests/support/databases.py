"""Vector databases that need no server, as places for `isoglot export`."""

from pathlib import Path

import pytest

EMBEDDED = ["milvus", "qdrant"]
_NEEDS = {"milvus": ("pymilvus", "milvus_lite"), "qdrant": ("qdrant_client",)}
_NAMES = {"milvus": "m.db", "qdrant": "q"}


def embedded_place(kind: str, home: Path) -> str:
    """A place within a folder; the test is skipped where the database's packages are missing."""
    for package in _NEEDS[kind]:
        pytest.importorskip(package)
    return f"{kind}:{home / _NAMES[kind]}"
