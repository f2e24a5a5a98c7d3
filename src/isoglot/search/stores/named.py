"""Stores by name: built in, registered from Python, or provided by an installed package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isoglot.core.arguments import check_function, check_kind
from isoglot.core.errors import InputError
from isoglot.core.registry import Registry
from isoglot.core.suggestions import near_name
from isoglot.search.index.about import About
from isoglot.search.stores.protocol import Open, Opened, StoreKind, Write, Writer

FOLDER = "lance"  # the store of a place without a name
_OPENER = "a function from the text after the colon to an Index, or a StoreKind"
STORES: Registry[Any] = Registry(
    "isoglot.stores",
    "store",
    {
        FOLDER: "isoglot.search.stores.folders:LANCE",
        "memory": "isoglot.search.stores.folders:MEMORY",
        "milvus": "isoglot.search.stores.milvus:MILVUS",
        "qdrant": "isoglot.search.stores.qdrant:QDRANT",
        "opensearch": "isoglot.search.stores.opensearch:OPENSEARCH",
        "s3": "isoglot.search.replicas.opening:S3",
        "gs": "isoglot.search.replicas.opening:GS",
        "az": "isoglot.search.replicas.opening:AZ",
    },
)


def register_store(name: str, open: Open, *, write: Write | None = None) -> Open:
    """Register a store under a name in this process: `Searcher.open("NAME:rest")` then opens indexes with it.

    An installed package can provide one, also for the command line, through the entry point group `isoglot.stores`: a
    function, or a `StoreKind`.

    Args:
        name: without spaces, commas, `=` and `:`.
        open: function from what follows `NAME:` to an `Index`, or to an `Opened`, which also describes the encoder.
        write: writes an index for `isoglot export`, see `StoreKind`.

    Returns:
        The function `open`.

    Raises:
        InputError: an invalid name.

    Example:
        >>> from isoglot.search.index.memory import MemoryIndex
        >>> import numpy as np
        >>> _ = register_store("nothing", lambda rest: MemoryIndex([], np.zeros((0, 3), np.float32)))
        >>> open_place("nothing:at-all").index.languages()
        {}
    """
    check_function(f"store {name!r}", open, 1, _OPENER)
    STORES.register(name, StoreKind(open, write))
    return open


def open_place(place: Path | str | Opened) -> Opened:
    """Open an index in whichever store it is.

    Args:
        place: a folder made by `isoglot index`, or `NAME:rest` with the name of a store; an `Opened` is returned as is.

    Raises:
        InputError: an unknown store, or what the store raises if it finds no index that it can read.
    """
    if isinstance(place, Opened):
        return place
    name, rest = split_place(place)
    opened = _kind(name).open(rest)
    if not isinstance(opened, Opened) and not hasattr(opened, "nearest"):
        raise InputError(
            f"store {name!r}: returned {type(opened).__name__} for {rest!r}; expected an Index or an Opened"
        )
    return opened if isinstance(opened, Opened) else Opened(opened)


def write_place(place: str, about: About, *, overwrite: bool = False) -> Writer:
    """Open a place for writing.

    Args:
        place: `NAME:rest` with the name of a writable store.
        about: what the index records about itself.
        overwrite: delete what the place holds first.

    Raises:
        InputError: an unknown or read-only store, or what the store raises.
    """
    name, rest = split_place(place)
    kind = _kind(name)
    if kind.write is None:
        able = ", ".join(f"{known}:" for known in STORES.names() if _kind(known).write is not None)
        raise InputError(f"{place}: the store {name!r} is read-only; expected a place that begins with one of {able}")
    return kind.write(rest, about, overwrite)


def split_place(place: Path | str) -> tuple[str, str]:
    """Split a place into store name and rest; a path, or a text without a store's name, is a folder.

    Raises:
        InputError: the address of an unknown store, or a misspelt store name and no such folder.

    >>> split_place("qdrant://localhost:6333/docs"), split_place("notes: mine"), split_place("memory:idx")
    (('qdrant', '//localhost:6333/docs'), ('lance', 'notes: mine'), ('memory', 'idx'))
    """
    check_kind("index", place, (str, Path), "the folder of an index, or a place such as 'memory:FOLDER'")
    name, colon, rest = (str(place), "", "") if isinstance(place, Path) else place.partition(":")
    if colon and name in STORES:
        return name, rest
    if rest.startswith("//") or (colon and _is_misspelt(name) and not Path(str(place)).exists()):
        STORES.get(name)  # raises, and lists the stores
    return FOLDER, str(place)


def _is_misspelt(name: str) -> bool:
    """Return whether a name before a colon looks like a misspelt store, rather than a drive or a path."""
    return len(name) > 1 and "/" not in name and near_name(name, STORES.names()) is not None


def _kind(name: str) -> StoreKind:
    found = STORES.get(name)
    if isinstance(found, StoreKind):
        return found
    check_function(f"store {name!r}", found, 1, _OPENER)
    return StoreKind(found)
