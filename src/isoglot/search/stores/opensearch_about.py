"""What an OpenSearch index made by `isoglot export` records about itself."""

from __future__ import annotations

from typing import Any

from isoglot.core.errors import InputError
from isoglot.search.filters.sql import field_of
from isoglot.search.index.about import About
from isoglot.search.stores.opensearch_layout import ABOUT
from isoglot.search.stores.opensearch_place import OpenSearchPlace, asking
from isoglot.search.stores.shared import Kept


def read_about(client: Any, place: OpenSearchPlace) -> tuple[Kept, str]:
    """Return what an index records about itself, and its real name if the place is an alias.

    Raises:
        InputError: no such index, an alias of several, or one that `isoglot export` did not make.
    """
    with asking(place):
        told = client.indices.get_mapping(index=place.index)
    if len(told) != 1:
        raise InputError(
            f"{place.shown}: {len(told)} indexes have this name ({', '.join(sorted(told))}); name one of them"
        )
    ((name, there),) = told.items()
    there = there.get("mappings", {})
    kept = there.get("_meta", {}).get(ABOUT)
    if not isinstance(kept, dict) or "about" not in kept:
        raise InputError(f"{place.shown}: the index {place.index!r} was not made by `isoglot export`; name another one")
    columns = [column for column in there.get("properties", {}) if field_of(column) is not None]
    about = About.from_text(kept["about"], place.shown)
    return Kept(about, bool(kept.get("finished")), tuple(sorted(columns))), name
