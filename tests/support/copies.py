"""Helpers for tests that push, pull and compare indexes."""

from isoglot.search.replicas.snapshot import RECORD


def embed(texts, role):
    """Encode texts as simple vectors that distinguish some of them."""
    return [[text.count("e"), text.count("a"), 1] for text in texts]


def contents(folder):
    """The bytes of an index's files by path, without the copy's own record and lock."""
    own = (RECORD, ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in own}
