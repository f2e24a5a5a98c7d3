"""The layout of a Qdrant collection made by `isoglot export`, and reading it, for searches and for the writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from isoglot.search.index.about import About
from isoglot.search.stores.qdrant_place import QdrantPlace, asking
from isoglot.search.stores.shared import PAYLOAD, Kept, no_collection, not_ours

DENSE, WORDS = "dense", "words"
ABOUT = "isoglot"  # our key in the collection's metadata
_PAGE = 1000


def scroll(client: Any, collection: str, condition: Any = None, fields: Sequence[str] = PAYLOAD) -> Iterator[Any]:
    """Yield all points that meet a condition, with these fields of their payload."""
    after = None
    while True:
        points, after = client.scroll(
            collection, scroll_filter=condition, limit=_PAGE, offset=after, with_payload=list(fields)
        )
        yield from points
        if after is None:
            return


def read_about(client: Any, place: QdrantPlace) -> Kept:
    """Return what a collection records about itself.

    Raises:
        InputError: no such collection, or one that `isoglot export` did not make.
    """
    with asking(place):
        if not client.collection_exists(place.collection):
            raise no_collection(place.shown, place.collection)
        kept = (client.get_collection(place.collection).config.metadata or {}).get(ABOUT)
    if not isinstance(kept, dict) or "about" not in kept:
        raise not_ours(place.shown, place.collection)
    return Kept(About.from_text(kept["about"], place.shown), bool(kept.get("finished")), tuple(kept.get("columns", ())))
