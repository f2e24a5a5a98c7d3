"""Stores on this machine: an index folder, and one read into memory as a whole."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from isoglot.encoders.debias import load_debias
from isoglot.search.index.about import About
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.manifest import Manifest, read_manifest
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.index.protocol import Index
from isoglot.search.index.resume import DEBIAS
from isoglot.search.passage import Passage
from isoglot.search.stores.protocol import Opened, StoreKind


def open_lance(place: str) -> Opened:
    """Open the published version of an index folder.

    Raises:
        InputError: there is no index, or it has another format.
    """
    folder = Path(place)
    index = LanceIndex(folder)
    return _opened(folder, index, index.manifest, in_memory=False)


def open_memory(place: str) -> Opened:
    """Read the published version of an index folder into memory, for exact search without the disk.

    Raises:
        InputError: there is no index, or it has another format.
    """
    folder = Path(place)
    stored = LanceIndex(folder)
    passages: list[Passage] = []
    vectors = [np.empty((0, stored.dimension), np.float32)]
    for some, rows in stored.batches():
        passages += some
        vectors.append(rows)
    manifest = stored.manifest
    stored.close()
    return _opened(folder, MemoryIndex(passages, np.concatenate(vectors)), manifest, in_memory=True)


LANCE, MEMORY = StoreKind(open_lance), StoreKind(open_memory)


def about_folder(folder: Path, manifest: Manifest) -> About:
    """Return what an index folder records about itself."""
    return About(
        manifest.model,
        manifest.dimension,
        manifest.length,
        manifest.probe,
        manifest.options,
        load_debias(folder / DEBIAS) if manifest.debias else None,
        manifest.version.number,
        in_context=manifest.in_context,
    )


def _opened(folder: Path, index: Index, manifest: Manifest, *, in_memory: bool) -> Opened:
    renew = partial(_renewed, folder, manifest, in_memory)
    return Opened(index, about_folder(folder, manifest), manifest.version.number, renew)


def _searched(manifest: Manifest) -> Manifest:
    """Return the manifest without versions that searches do not see; `--prune` and the like may change those."""
    return replace(manifest, versions=[manifest.version])


def _renewed(folder: Path, manifest: Manifest, in_memory: bool) -> Opened | None:
    if _searched(read_manifest(folder)) == _searched(manifest):
        return None
    return (open_memory if in_memory else open_lance)(str(folder))
