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
from isoglot.search.index.lance import SAMPLES, index_columns, settle
from isoglot.search.index.manifest import Manifest, Version
from isoglot.search.index.memory import SAMPLED
from isoglot.search.index.store import Store, writing
from isoglot.search.index.tags import tag


def publish(folder: Path, store: Store, manifest: Manifest, *, ann_from: int) -> Manifest:
    """Index words and vectors, draw the samples, and make the new version the one that readers see."""
    table = store.passages
    languages, documents, folded = store.counts()
    passages = sum(languages.values())
    number = max((version.number for version in manifest.versions), default=0) + 1
    found: dict[str, Any] | None = None
    with writing(folder):
        indexed = {column for index in table.list_indices() for column in index.columns}
        if passages >= approximate.PAYS_FROM:
            progress_line(f"indexing the words of {passages} passages")
        if passages and "text" not in indexed:
            index_columns(table)
        if passages >= ann_from and "vector" not in indexed:
            progress_line(f"building the ANN index over {passages} passages")
            approximate.build(table)
        settle(table, keep=bool(manifest.versions))
        if passages >= ann_from:
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
        samples[str(lang)] = approximate.to_matrix(table.take_offsets(rows.tolist()).select(["vector"]).to_arrow())
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **samples)
