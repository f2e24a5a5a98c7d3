"""What a Qdrant collection of ours holds, and reading it: by the index that is searched and by the writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from isoglot.search.index.about import About
from isoglot.search.stores.kept import PAYLOAD, Kept, no_collection, not_ours
from isoglot.search.stores.qdrant_place import QdrantPlace, asking

DENSE, WORDS = "dense", "words"
ABOUT = "isoglot"  # the key of the collection's metadata that is ours
_PAGE = 1000


def scroll(client: Any, collection: str, condition: Any = None, fields: Sequence[str] = PAYLOAD) -> Iterator[Any]:
    """All points that meet a condition, with these fields of their payload."""
    after = None
    while True:
        points, after = client.scroll(
            collection, scroll_filter=condition, limit=_PAGE, offset=after, with_payload=list(fields)
        )
        yield from points
        if after is None:
            return


def read_about(client: Any, place: QdrantPlace) -> Kept:
    """What a collection says about itself.

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
