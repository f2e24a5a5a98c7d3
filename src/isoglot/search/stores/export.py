"""Export an index to a store: add new and changed passages, remove those that are gone, and compare the counts."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import json_line
from isoglot.core.progress import Progress
from isoglot.encoders.embedder import Vectors
from isoglot.search.index.lance import LanceIndex
from isoglot.search.passage import Passage
from isoglot.search.stores.folders import about_folder
from isoglot.search.stores.named import write_place
from isoglot.search.stores.protocol import Weighing, Writer
from isoglot.search.stores.term_weights import term_number, terms_of

BATCH = 256
_REMOVED = 1000  # ids per request
_TERMS = 3  # version of the terms that stores find a passage by; with a new one, every passage is sent again


@dataclass(frozen=True)
class Exported:
    """Summary of an export, in passages.

    Attributes:
        version: of the exported index.
        added, replaced, unchanged, removed: compared with what the store held before.
        passages: number in the store now.
        seconds: wall time.
    """

    version: int
    added: int
    replaced: int
    unchanged: int
    removed: int
    passages: int
    seconds: float


def export_index(folder: Path | str, place: str, *, overwrite: bool = False, batch: int = BATCH) -> Exported:
    """Make a store hold the published version of an index folder.

    Passages that the store already holds, identical to the byte, are skipped: an interrupted export continues, and one
    after an update sends only what changed. Memory holds one batch, and id and digest of every passage in the store;
    for stores that do not count terms themselves, also each term's document frequency.

    Args:
        folder: of the index.
        place: `NAME:rest` with the name of a writable store, such as `qdrant://localhost:6333/docs`.
        overwrite: delete what the store holds at this place first.
        batch: passages per request.

    Raises:
        InputError: no index, no such store, the place holds another encoder's vectors, or batch below 1.
        IsoglotError: the store does not answer, or holds something else at the end.
    """
    started = time.perf_counter()
    if batch < 1:
        raise InputError(f"batch {batch}: expected at least 1, passages moved at a time")
    index = LanceIndex(Path(folder))
    version = index.manifest.version
    about = about_folder(Path(folder), index.manifest)
    writer = write_place(place, replace(about, mean_terms=_mean_terms(index)), overwrite=overwrite)
    try:
        added, replaced, unchanged, gone, total = _move(index, writer, batch, version.passages)
        for start in range(0, len(gone), _REMOVED):
            writer.remove(gone[start : start + _REMOVED])
        if (added or replaced or gone) and _sum(writer.held().values()) != total:
            raise IsoglotError(f"{place}: another export wrote there meanwhile; run again when it is done")
        if isinstance(writer, Weighing):
            writer.weigh(_frequencies(index))
        there = writer.finish()
    finally:
        writer.close()
        index.close()
    if there != version.passages:
        raise IsoglotError(
            f"{place}: {there} passages are there, but the index has {version.passages}; if nobody else writes to it, "
            "run the same command again"
        )
    return Exported(version.number, added, replaced, unchanged, len(gone), there, time.perf_counter() - started)


def _move(index: LanceIndex, writer: Writer, batch: int, total: int) -> tuple[int, int, int, list[str], int]:
    """Send new and changed passages.

    Returns:
        The numbers of new, changed and unchanged ones, ids no longer used, and the sum of all digests.
    """
    held = dict(writer.held())
    added = replaced = unchanged = summed = 0
    with Progress("passages", total=total) as progress:
        for passages, vectors in index.batches(batch):
            digests = [digest_of(passage, vector) for passage, vector in zip(passages, vectors, strict=True)]
            summed += _sum(digests)
            before = [held.pop(passage.id, None) for passage in passages]
            rows = [row for row, digest in enumerate(digests) if before[row] != digest]
            if rows:
                writer.put([passages[row] for row in rows], [digests[row] for row in rows], vectors[rows])
            new = sum(before[row] is None for row in rows)
            added, replaced, unchanged = added + new, replaced + len(rows) - new, unchanged + len(passages) - len(rows)
            progress.advance(len(passages))
    return added, replaced, unchanged, list(held), summed


def _sum(digests: Iterable[str]) -> int:
    """Return a sum over digests by which two sets of them, in any order, can be compared within this process."""
    return sum(map(hash, digests))


def digest_of(passage: Passage, vector: Vectors) -> str:
    """Return a hash of everything that a store holds of a passage, and of how its terms are made."""
    said = [_TERMS, passage.id, passage.document, passage.text, passage.lang, passage.title, passage.source]
    hashed = hashlib.blake2b(json_line([*said, dict(passage.metadata)]).encode(errors="replace"), digest_size=16)
    hashed.update(np.ascontiguousarray(vector, "<f4").tobytes())
    return hashed.hexdigest()


def _mean_terms(index: LanceIndex) -> float:
    lengths = np.fromiter((len(terms_of(passage)) for passage in index.passages()), np.int64)
    return float(lengths.mean()) if lengths.size else 0.0


def _frequencies(index: LanceIndex) -> Counter[int]:
    return Counter(number for passage in index.passages() for number in set(map(term_number, terms_of(passage))))
