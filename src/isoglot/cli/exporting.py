"""`isoglot export`: copy an index into a store."""

from __future__ import annotations

from pathlib import Path

from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json, Switch


def export(
    folder: Path,
    place: str,
    /,
    *,
    overwrite: Switch = False,
    batch: int = 256,
    as_json: Json = False,
) -> None:
    """Copy an index into a store, or bring the store up to date; if stopped, the same command continues.

    Args:
        folder: Folder made by isoglot index.
        place: The store and the place in it, such as qdrant://localhost:6333/docs; isoglot list stores lists them.
        overwrite: Delete what is at the place first.
        batch: Passages copied at a time.
        as_json: Print the counts as JSON.
    """
    from dataclasses import asdict

    from isoglot.search.stores.export import export_index

    done = export_index(folder, place, overwrite=overwrite, batch=batch)
    if as_json:
        print(json_line({"place": place, **asdict(done)}))
        return
    counts = {"added": done.added, "replaced": done.replaced, "unchanged": done.unchanged, "removed": done.removed}
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none"
    print(f"passages: {said} ({done.seconds:.1f} s)")
    print(f"{place}: {done.passages} passages, as in version {done.version} of {folder}")
