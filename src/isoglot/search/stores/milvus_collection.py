"""The fields of a Milvus collection made by `isoglot export`, and whether it exists."""

from __future__ import annotations

from isoglot.search.stores.milvus_about import Beside, fields_there
from isoglot.search.stores.milvus_filter import COLUMNS
from isoglot.search.stores.milvus_place import Connection
from isoglot.search.stores.shared import PAYLOAD, not_ours

POINT, DENSE, WORDS, DIGEST = "point", "dense", "words", "digest"
FIELDS = frozenset({POINT, DENSE, WORDS, DIGEST, COLUMNS, *PAYLOAD})
ALL = f'{POINT} != ""'


def is_there(connection: Connection) -> bool:
    """Return whether a place's collection exists; loads it, so that it can be searched.

    Raises:
        InputError: `isoglot export` did not make it.
    """
    place, beside = connection.place, Beside(connection)
    there = fields_there(connection, place.collection)
    if there is None:
        return False
    if there != FIELDS or not beside.is_there():
        raise not_ours(place.shown, place.collection)
    for collection in (beside.name, place.collection):
        connection.ask("load_collection", collection_name=collection)
    return True
