"""Helpers for tests that push, pull and compare indexes."""

from dataclasses import asdict

from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.manifest import read_manifest
from isoglot.search.replicas.snapshot import RECORD


def embed(texts, role):
    """Encode texts as simple vectors that distinguish some of them."""
    return [[text.count("e"), text.count("a"), 1] for text in texts]


def contents(folder):
    """The bytes of an index's files by path, without the copy's own record and lock."""
    own = (RECORD, ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in own}


def everything(folder):
    """An index's passages and vectors, and its manifest without times."""
    manifest = asdict(read_manifest(folder))
    for version in manifest["versions"]:
        del version["created"]
    return [(passages, vectors.tolist()) for passages, vectors in LanceIndex(folder).batches()], manifest
