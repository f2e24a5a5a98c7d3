"""The output of `isoglot index`: results of a build, versions and problems."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoglot.cli.json_output import json_line

if TYPE_CHECKING:
    from isoglot.core.problems import Problems
    from isoglot.search.index.building import Built
    from isoglot.search.index.manifest import Manifest
    from isoglot.search.index.versions import Pruned

_COUNTS = ("added", "replaced", "deleted", "unchanged", "folded")


def print_built(built: Built, folder: Path, removal: Pruned | None, *, as_json: bool) -> None:
    """Print what a build did."""
    counts = {key: getattr(built, key) for key in _COUNTS}
    version = built.version
    if as_json:
        facts = {"documents": version.documents, "passages": version.passages, "languages": version.languages}
        facts |= {"shards": built.shards, "shards_kept": built.kept}
        told = {"problems": built.problems.count, "unknown": list(built.unknown), "ann": version.ann}
        told |= {"numbers": built.numbers, "recall": version.recall}
        record = {"version": version.number, **counts, **facts, **told}
        print(json_line({**record, **_freed(removal), "seconds": round(built.seconds, 2)}), flush=True)
        return
    done = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to do"
    rate = f", {(built.added + built.replaced) / built.seconds:.0f} documents/s" if built.changed else ""
    langs = ", ".join(f"{code} {count}" for code, count in version.languages.items())
    if built.kept:
        print(f"{built.kept} of {built.shards} shards were finished before")
    print(
        f"documents: {done} ({built.seconds:.1f} s{rate})\n"
        f"version {version.number} of {folder}: {version.passages} passages of {version.documents} documents ({langs})",
        flush=True,
    )
    from isoglot.search.index.stored_vectors import in_words

    shortened = in_words(built.numbers, version.recall)
    if shortened:
        print(shortened, flush=True)
    if removal is not None:
        print(_removal(removal), flush=True)


def print_versions(manifest: Manifest, *, as_json: bool, pruned: Pruned | None = None) -> None:
    """Print the published versions."""
    if as_json:
        record = {"current": manifest.current, "numbers": manifest.numbers}
        record["versions"] = [asdict(version) for version in manifest.versions]
        print(json_line({**record, **_freed(pruned)}))
        return
    from isoglot.search.index.stored_vectors import in_words

    for version in manifest.versions:
        shortened = in_words(manifest.numbers, version.recall)
        mark = "*" if version.number == manifest.current else " "
        print(
            f"{mark} {version.number:>3}  {version.created}  {version.documents} documents, {version.passages} passages"
            + (f"; {shortened}" if shortened else "")
        )
    if pruned is not None:
        print(_removal(pruned))


def problems_in_words(problems: Problems) -> str:
    """Describe what was skipped and what should be checked; empty if there is nothing."""
    if not (problems.count or problems.warned):
        return ""
    counts = [f"{problems.count} skipped"] if problems.count else []
    counts += [f"{problems.warned} to be checked"] if problems.warned else []
    more = [f"... and {problems.unshown} more: {problems.summary()}"] if problems.unshown else []
    return "\n".join([f"isoglot: {', '.join(counts)}:", *problems.shown, *more])


def print_problems(problems: Problems) -> None:
    """Print problems on standard error."""
    said = problems_in_words(problems)
    if said:
        print(said, file=sys.stderr)


def _freed(pruned: Pruned | None) -> dict[str, Any]:
    return {} if pruned is None else {"removed": pruned.removed, "freed_bytes": pruned.freed}


def _removal(pruned: Pruned) -> str:
    numbers = ", ".join(map(str, pruned.removed)) or "none"
    return f"versions removed: {numbers}; {pruned.freed / 2**20:.1f} MiB freed"
