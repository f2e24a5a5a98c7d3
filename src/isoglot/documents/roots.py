"""Roots: each input of an index has a fixed name, with which the ids of its documents begin."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.files import shown


class Root(NamedTuple):
    """A file or folder that is an input of an index.

    Attributes:
        path: absolute path, with links resolved.
        name: prefix of the ids of documents below it; empty for a folder that was the only input.
    """

    path: str
    name: str


def extend_roots(inputs: Sequence[Path], known: Sequence[Root], held: Collection[str] = ()) -> list[Root]:
    """Return the known roots, and new roots for inputs that are below none of them.

    If a folder is the only input of a new index, its name is empty. Other inputs are named after their last path
    component; if that is taken, parent folders are prepended until the name is free.

    Args:
        inputs: files and folders.
        known: roots of the index so far.
        held: ids of the documents in the index.
    """
    roots = list(known)
    given = sorted({Path(path).resolve() for path in inputs}, key=lambda path: (len(path.parts), path))
    fresh = [path for path in given if not any(path != other and path.is_relative_to(other) for other in given)]
    # If two inputs have the same name, both get parent folders, so that their order does not matter.
    alone = not roots and len(fresh) == 1 and fresh[0].is_dir()
    wanted = [path for path in fresh if _deepest(Path(shown(path)), roots) is None]
    for path in wanted:
        others = [other for other in wanted if other != path]
        name = "" if alone else _free_name(path, others, roots, held)
        roots.append(Root(shown(path), name))
    return roots


def name_of(path: Path, roots: Sequence[Root]) -> str:
    """Return the name of a file in an index with these roots, relative to the deepest root that contains it.

    >>> name_of(Path("/docs/fr/a.md"), [Root("/docs", ""), Root("/docs/fr", "fr")])
    'fr/a.md'
    """
    return name_below(path.resolve(), roots)


def name_below(path: Path, roots: Sequence[Root]) -> str:
    """Return what `name_of` does, for a path that is resolved already."""
    place = Path(shown(path))
    root = _deepest(place, roots)
    if root is None:
        return place.name
    below = place.relative_to(root.path).as_posix()
    if below == ".":
        return root.name or place.name
    if root.name:
        return f"{root.name}/{below}"
    # A folder below the nameless root may have the same name as another root.
    return f"./{below}" if any(other.name and _meet(below, other.name) for other in roots if other != root) else below


def path_of(name: str, roots: Sequence[Root]) -> Path | None:
    """Return the path of a file with this name in an index with these roots (inverse of `name_of`); None if none fits.

    >>> path_of("fr/a.md", [Root("/docs", ""), Root("/docs/fr", "fr")])
    PosixPath('/docs/fr/a.md')
    """
    named = [root for root in roots if root.name and (name == root.name or name.startswith(f"{root.name}/"))]
    if named:
        root = max(named, key=lambda root: len(root.name))
        return Path(root.path) / name[len(root.name) + 1 :]
    nameless = next((root for root in roots if not root.name), None)
    return None if nameless is None else Path(nameless.path) / name.removeprefix("./")


def move_root(roots: Sequence[Root], old: Path, new: Path) -> list[Root]:
    """Return the roots after a file or folder was moved; its documents keep their ids.

    Raises:
        InputError: no root is at or below `old`.
    """
    before, after = Path(shown(old.resolve())), Path(shown(new.resolve()))
    moved = [
        Root(str(after / Path(root.path).relative_to(before)), root.name)
        if Path(root.path).is_relative_to(before)
        else root
        for root in roots
    ]
    if moved == list(roots) and before != after:
        there = ", ".join(root.path for root in roots) or "none"
        raise InputError(f"{old}: nothing in this index came from there; its inputs were: {there}")
    return moved


def to_roots(record: Iterable[Sequence[str]]) -> tuple[Root, ...]:
    """Convert roots as stored in JSON to `Root`s."""
    return tuple(Root(str(path), str(name)) for path, name in record)


def _deepest(path: Path, roots: Sequence[Root]) -> Root | None:
    """Return the deepest root that contains a path, which is resolved and can be encoded (see `shown`)."""
    holding = [root for root in roots if path.is_relative_to(root.path)]
    return max(holding, key=lambda root: len(root.path), default=None)


def _free_name(path: Path, others: Sequence[Path], roots: Sequence[Root], held: Collection[str]) -> str:
    parts = Path(shown(path)).parts[1:]
    for count in range(1, len(parts) + 1):
        name = "/".join(parts[-count:])
        rivals = ["/".join(Path(shown(other)).parts[1:][-count:]) for other in others]
        if not any(_meet(name, rival) for rival in rivals) and _is_free(name, roots, held):
            return name
    number = 2
    while not _is_free(name := f"{'/'.join(parts)}~{number}", roots, held):
        number += 1
    return name


def _is_free(name: str, roots: Sequence[Root], held: Collection[str]) -> bool:
    for root in roots:
        if root.name and _meet(name, root.name):
            return False
        if not root.name and (Path(root.path) / name.partition("/")[0]).exists():
            return False
    return not any(_meet(name, known) for known in held)


def _meet(one: str, other: str) -> bool:
    """Whether two names are equal, or one is a parent folder of the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
