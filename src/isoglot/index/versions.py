"""The published versions of an index: going back to one."""

from __future__ import annotations

from pathlib import Path

from isoglot.index.manifest import Manifest, read_manifest


def roll_back(folder: Path, number: int) -> Manifest:
    """Make an earlier (or later) published version the one that readers see.

    Raises:
        InputError: no index, or no such version.
    """
    manifest = read_manifest(folder).at(number)
    manifest.write(folder)
    return manifest
