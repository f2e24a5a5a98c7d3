"""Tags of table versions, which keep Lance from removing what an index version needs."""

from __future__ import annotations

from collections.abc import Sequence

from isoglot.search.index.manifest import Version
from isoglot.search.index.store import Store

_PREFIX = "isoglot-"


def tag(store: Store, version: Version) -> None:
    """Tag the table versions of an index version, so that Lance keeps them."""
    name = f"{_PREFIX}{version.number}"
    for table, at in ((store.passages, version.passages_at), (store.folded, version.folded_at)):
        known = table.tags.list()
        if name not in known:
            table.tags.create(name, at)
        elif known[name]["version"] != at:  # left by an interrupted publication
            table.tags.update(name, at)


def keep_only(store: Store, kept: Sequence[Version]) -> None:
    """Delete the tags of all other versions."""
    names = {f"{_PREFIX}{version.number}" for version in kept}
    for table in (store.passages, store.folded):
        for name in table.tags.list():
            if name.startswith(_PREFIX) and name not in names:
                table.tags.delete(name)
