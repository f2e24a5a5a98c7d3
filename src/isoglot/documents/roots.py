"""What the ids of documents begin with: each input has a name in the index, and keeps it whatever is given later."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.files import shown


class Root(NamedTuple):
    """A file or folder that was given.

    Attributes:
        path: absolute, links resolved.
        name: what ids of documents below it begin with; empty for a folder that was the only input.
    """

    path: str
    name: str


def extend_roots(inputs: Sequence[Path], known: Sequence[Root], held: Collection[str] = ()) -> list[Root]:
    """The known roots, and new ones for inputs that lie in none of them.

    The only input of a new index, if it is a folder, needs no name. Others get their own name; where that is taken,
    the folders above it are put before it until it is not.

    Args:
        inputs: files and folders.
        known: roots of the index so far.
        held: ids of the documents that are there.
    """
    roots = list(known)
    given = sorted({Path(path).resolve() for path in inputs}, key=lambda path: (len(path.parts), path))
    fresh = [path for path in given if not any(path != other and path.is_relative_to(other) for other in given)]
    # Equal names of two inputs are told apart by the folders above both, not by which one came first.
    alone = not roots and len(fresh) == 1 and fresh[0].is_dir()
    wanted = [path for path in fresh if _deepest(path, roots) is None]
    for path in wanted:
        others = [other for other in wanted if other != path]
        name = "" if alone else _free_name(path, others, roots, held)
        roots.append(Root(shown(path), name))
    return roots


def name_of(path: Path, roots: Sequence[Root]) -> str:
    """Name of a file in an index with these roots; the deepest root that holds it counts.

    >>> name_of(Path("/docs/fr/a.md"), [Root("/docs", ""), Root("/docs/fr", "fr")])
    'fr/a.md'
    """
    place = Path(shown(path.resolve()))
    root = _deepest(path.resolve(), roots)
    if root is None:
        return place.name
    below = place.relative_to(root.path).as_posix()
    if below == ".":
        return root.name or place.name
    if root.name:
        return f"{root.name}/{below}"
    # A folder below the nameless root may be called as another root is.
    return f"./{below}" if any(other.name and _meet(below, other.name) for other in roots if other != root) else below


def path_of(name: str, roots: Sequence[Root]) -> Path | None:
    """Where a file of this name lies in an index with these roots: what `name_of` did, undone; None where none fits.

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
    """Roots after a file or folder was moved; its documents keep their ids.

    Raises:
        InputError: nothing was indexed from `old`.
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
    """Roots as JSON keeps them."""
    return tuple(Root(str(path), str(name)) for path, name in record)


def _deepest(path: Path, roots: Sequence[Root]) -> Root | None:
    place = Path(shown(path))
    holding = [root for root in roots if place.is_relative_to(root.path)]
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
    """Whether one name is the other, or a folder above it."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
