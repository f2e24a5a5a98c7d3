"""Making what was stored the version that readers see, in one atomic step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from isoglot.core.files import atomic_write
from isoglot.core.progress import progress_line
from isoglot.search.index import approximate
from isoglot.search.index.lance import SAMPLES
from isoglot.search.index.manifest import Manifest, Version
from isoglot.search.index.memory import SAMPLED
from isoglot.search.index.store import Store, writing
from isoglot.search.index.stored_vectors import to_matrix
from isoglot.search.index.tags import tag
from isoglot.search.index.upkeep import index_columns, settle


def publish(
    folder: Path, store: Store, manifest: Manifest, *, ann_from: int, recall: dict[str, Any] | None = None
) -> Manifest:
    """Index words and vectors, draw the samples, and make the new version the one that readers see.

    Args:
        folder: of the index.
        store: its tables.
        manifest: to go on from.
        ann_from: passages from which an ANN index is built; vectors of integers are always searched exactly.
        recall: of the numbers that vectors are kept in (see `stored_vectors.recall`).
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
            approximate.build(table)
        settle(table, keep=bool(manifest.versions))
        if with_ann:
            found = approximate.tune(table, passages)
            progress_line(
                f"ANN: recall@10 {found['recall']:.3f} against exact search, {found['probes']} of "
                f"{found['partitions']} partitions probed, {found['milliseconds']:.1f} ms a search"
            )
        _write_samples(folder / SAMPLES / f"{number}.npz", table)
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
        tag(store, version)
    published = replace(manifest, current=number, versions=[*manifest.versions, version])
    published.write(folder)
    return published


def _write_samples(path: Path, table: Any) -> None:
    """Keep the vectors of up to 256 random passages of each language."""
    langs = np.array(
        [lang for batch in table.search().select(["lang"]).to_batches() for lang in batch["lang"].to_pylist()],
        dtype=str,
    )
    rng = np.random.default_rng(0)
    samples = {}
    for lang in np.unique(langs):
        rows = np.flatnonzero(langs == lang)
        if len(rows) > SAMPLED:
            rows = np.sort(rng.choice(rows, SAMPLED, replace=False))
        samples[str(lang)] = to_matrix(table.take_offsets(rows.tolist()).select(["vector"]).to_arrow())
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **samples)
