"""Find the files to read among the given files and folders, and give each a unique name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.files import shown
from isoglot.core.problems import Problems
from isoglot.documents.document import Source
from isoglot.documents.kinds import kind_of, kinds
from isoglot.documents.roots import Root, extend_roots, name_below

_NOTHING = "nothing to index; name files or folders"


def find_sources(
    inputs: Path | str | Sequence[Path | str],
    problems: Problems | None = None,
    roots: Sequence[Root] | None = None,
    *,
    unlisted: list[Path] | None = None,
    may_be_empty: bool = False,
) -> list[Source]:
    """Return the files of the inputs in a fixed order: the corpus of a BEIR folder, all known kinds of other folders.

    Hidden files and folders are skipped, and links that lead out of the inputs are not followed, nor any to folders. A
    file in two inputs is read once.

    Args:
        inputs: one or several files and folders.
        problems: collects what is not read: files of other kinds (counted), links, unreadable folders.
        roots: roots of the index that the files go into; those of a new index if None.
        unlisted: receives the folders that cannot be listed.
        may_be_empty: whether inputs without any file to index are allowed.

    Raises:
        InputError: an input does not exist, is of an unknown kind, or contains nothing to index.
    """
    problems = Problems() if problems is None else problems
    paths = [Path(given) for given in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    unlisted = [] if unlisted is None else unlisted
    found: dict[Path, Path] = {}
    resolved = cache(Path.resolve)
    for given in paths:
        for path in _files(given, paths, problems, unlisted, may_be_empty=may_be_empty):
            # Resolving reads every folder on the way, so once for each folder, not for each of its files.
            whole = path.resolve() if path == given or path.is_symlink() else resolved(path.parent) / path.name
            found.setdefault(whole, path)
    if not found and not may_be_empty:
        raise InputError(_NOTHING)
    roots = extend_roots(paths, ()) if roots is None else roots
    sources, start = [], 0
    names: set[str] = set()
    for place, path in found.items():
        name = whole = name_below(place, roots)
        number = 1
        while name in names:  # two names that differ only in undecodable bytes
            number += 1
            name = f"{whole}~{number}"
        names.add(name)
        try:
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            problems.add(shown(path), None, "cannot be read (it was removed a moment ago)")
            continue
        sources.append(Source(path, name, start, size))
        start += size
    return sources


def refuse_nothing(inputs: Sequence[Path], *, may_be_empty: bool = False) -> None:
    """Raise the errors of `find_sources`, without looking at more files than it takes to know that there is one."""
    for given in inputs:
        next(_files(given, inputs, Problems(), [], may_be_empty=may_be_empty), None)
    if not inputs and not may_be_empty:
        raise InputError(_NOTHING)


def _files(
    given: Path, inputs: Sequence[Path], problems: Problems, unlisted: list[Path], *, may_be_empty: bool
) -> Iterator[Path]:
    """Yield the files of one input."""
    if not given.exists():
        raise InputError(f"{shown(given)}: no such file or folder")
    if not given.is_dir():
        if kind_of(given) is None:
            raise InputError(
                f"{shown(given)}: not a kind of file that can be indexed; the kinds are {', '.join(kinds())}"
            )
        yield given
        return
    empty = not may_be_empty
    for path in _folder(given, inputs, problems, unlisted):
        empty = False
        yield path
    if empty:
        raise InputError(f"{shown(given)}: no file to index in this folder; the kinds are {', '.join(kinds())}")


def _leads_out(path: Path, inputs: Sequence[Path]) -> bool:
    """Return whether a path is a link to a place outside of the inputs.

    Folders of others may hold links to this machine's private files, such as those of a cloned repository.
    """
    if not path.is_symlink():
        return False
    leads = os.path.realpath(path)  # unlike `Path.resolve`, this takes a loop of links, which leads nowhere
    return not any(Path(leads).is_relative_to(given.resolve()) for given in inputs)


def _folder(folder: Path, inputs: Sequence[Path], problems: Problems, unlisted: list[Path]) -> Iterator[Path]:
    for name in ("corpus.jsonl", "corpus.jsonl.gz"):
        if (folder / name).is_file():
            yield folder / name
            return
    others: Counter[str] = Counter()

    def unreadable(error: OSError) -> None:
        unlisted.append(Path(error.filename or folder))
        problems.add(shown(error.filename or folder), None, f"cannot be read ({error.strerror})")

    for root, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(root) / name for name in folders):
            if _leads_out(path, inputs):
                leads = f"a link to the folder {shown(path.resolve())}, which is not followed; name that folder as well"
                problems.add(shown(path), None, leads)
        for name in sorted(names):
            path = Path(root) / name
            if name.startswith("."):
                continue
            if _leads_out(path, inputs):
                leads = f"a link to {shown(path.resolve())}, outside of what is indexed, so not read; name it as well"
                problems.add(shown(path), None, leads)
            elif not path.is_file():
                problems.add(shown(path), None, "cannot be read (a broken link, or not a regular file)")
            elif kind_of(path) is None:
                others[shown(path.suffix.lower()) or "without an ending"] += 1
            else:
                yield path
    if others:
        kinds_seen = ", ".join(f"{kind} {count}" for kind, count in others.most_common())
        total = others.total()
        of_kinds = "file of another kind was" if total == 1 else "files of other kinds were"
        problems.add(shown(folder), None, f"{total} {of_kinds} not read: {kinds_seen}")
