"""Publish what was stored as the version that readers see, in one atomic step."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from isoglot.core.executors import Executor, Here
from isoglot.core.files import atomic_write, put_on_disk
from isoglot.core.progress import progress_line
from isoglot.search.index import approximate
from isoglot.search.index.lance_tables import PASSAGES, table_uri
from isoglot.search.index.ledger import Ledger
from isoglot.search.index.maintenance import index_columns, refuse_truncated, settle
from isoglot.search.index.manifest import FILE, Manifest, Version
from isoglot.search.index.passages_table import SAMPLES
from isoglot.search.index.protocol import SAMPLED
from isoglot.search.index.store import Store, writing
from isoglot.search.index.stored_vectors import to_matrix
from isoglot.search.index.tags import tag


def publish(
    folder: Path,
    store: Store,
    manifest: Manifest,
    *,
    ann_from: int,
    recall: dict[str, Any] | None = None,
    executor: Executor | None = None,
    ledger: Ledger | None = None,
) -> Manifest:
    """Index words and vectors, draw the samples, and publish the new version.

    Args:
        folder: of the index.
        store: its tables.
        manifest: the one to extend.
        ann_from: number of passages from which an ANN index is built; int8 vectors are always searched exactly.
        recall: recall of the vectors' number format (see `stored_vectors.recall`).
        executor: where the ANN index is built; in this process when None.
        ledger: of the build; its folder keeps the finished parts of the ANN index if the build is killed. When None,
            nothing is kept.
    """
    table = store.passages
    languages, documents, folded = store.counts()
    passages = sum(languages.values())
    with_ann = passages >= ann_from and manifest.numbers != "int8"
    number = max((version.number for version in manifest.versions), default=0) + 1
    found: dict[str, Any] | None = None
    with writing(folder):
        indexed = {column for index in table.list_indices() for column in index.columns}
        if passages >= approximate.PAYS_FROM:
            progress_line(f"indexing the words of {passages} passages")
        if passages and "text" not in indexed:
            index_columns(table)
        if with_ann and "vector" not in indexed:
            progress_line(f"building the ANN index over {passages} passages")
            settle(table, keep=bool(manifest.versions))  # compact first, as every file becomes a segment
            with _kept(ledger) as kept:
                key = f"{manifest.current} {ledger.plan_digest() if ledger else ''}"
                approximate.build(folder, table, executor or Here(), kept, key)
        settle(table, keep=bool(manifest.versions))
        if with_ann:
            found = approximate.tune(table, passages)
            progress_line(
                f"ANN: recall@10 {found['recall']:.3f} against exact search, {found['probes']} of "
                f"{found['partitions']} partitions probed, {found['milliseconds']:.1f} ms a search"
            )
        _write_samples(folder / SAMPLES / f"{number}.npz", table, languages)
    version = Version(
        number=number,
        passages_at=table.version,
        folded_at=store.folded.version,
        documents=documents,
        passages=passages,
        folded=folded,
        languages=languages,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        ann=found,
        recall=recall,
    )
    with writing(folder):
        refuse_truncated(table_uri(folder, PASSAGES), version.passages_at)
        tag(store, version)
        # The version may be all that is left of the index once older ones are pruned.
        put_on_disk(_since_published(folder))
        put_on_disk([folder / SAMPLES / f"{number}.npz"])
    published = replace(manifest, current=number, versions=[*manifest.versions, version])
    published.write(folder)
    return published


def _since_published(folder: Path) -> Iterator[Path]:
    """Yield the tables' files that changed since a version was published; the others are on disk since then.

    An index that is updated often has tens of thousands of files. Times of change are compared, which copies and links
    do not keep.
    """
    manifest = folder / FILE
    published = manifest.stat().st_ctime_ns if manifest.is_file() else 0
    for home, _, names in os.walk(folder / "lance"):
        for name in names:
            path = f"{home}{os.sep}{name}"
            if os.stat(path).st_ctime_ns >= published:
                yield Path(path)


@contextmanager
def _kept(ledger: Ledger | None) -> Iterator[Path]:
    if ledger is not None:
        yield ledger.approximate
        return
    with TemporaryDirectory(prefix="isoglot-approximate-") as scratch:
        yield Path(scratch)


def _write_samples(path: Path, table: Any, languages: Mapping[str, int]) -> None:
    """Save the vectors of up to 256 random passages of each language."""
    rng = np.random.default_rng(0)
    drawn = {
        lang: np.sort(rng.choice(count, SAMPLED, replace=False)) if count > SAMPLED else np.arange(count)
        for lang, count in sorted(languages.items())
    }
    samples = {
        lang: to_matrix(table.take_offsets(rows).select(["vector"]).to_arrow())
        for lang, rows in _rows_of(table, drawn).items()
    }
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **samples)


def _rows_of(table: Any, drawn: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]]) -> dict[str, list[int]]:
    """Turn positions among the passages of each language into row numbers of the table, in ascending order."""
    found: dict[str, list[int]] = {lang: [] for lang in drawn}
    before = dict.fromkeys(drawn, 0)
    start = 0
    for batch in table.search().select(["lang"]).to_batches():
        langs = batch["lang"].dictionary_encode()
        codes = langs.indices.to_numpy()
        for code, lang in enumerate(langs.dictionary.to_pylist()):
            rows, first = np.flatnonzero(codes == code), before[lang]
            before[lang] += len(rows)
            own = drawn[lang][slice(*np.searchsorted(drawn[lang], (first, before[lang])))] - first
            found[lang] += (start + rows[own]).tolist()
        start += len(batch)
    return found
