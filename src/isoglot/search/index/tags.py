"""Tags: what Lance must keep of an index's tables, whoever cleans them up."""

from __future__ import annotations

from collections.abc import Sequence

from isoglot.search.index.manifest import Version
from isoglot.search.index.store import Store

_PREFIX = "isoglot-"


def tag(store: Store, version: Version) -> None:
    """Keep what a version of the index is made of."""
    name = f"{_PREFIX}{version.number}"
    for table, at in ((store.passages, version.passages_at), (store.folded, version.folded_at)):
        known = table.tags.list()
        if name not in known:
            table.tags.create(name, at)
        elif known[name]["version"] != at:  # of a version whose publication was cut short
            table.tags.update(name, at)


def keep_only(store: Store, kept: Sequence[Version]) -> None:
    """Forget the tags of all other versions."""
    names = {f"{_PREFIX}{version.number}" for version in kept}
    for table in (store.passages, store.folded):
        for name in table.tags.list():
            if name.startswith(_PREFIX) and name not in names:
                table.tags.delete(name)
