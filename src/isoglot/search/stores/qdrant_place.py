"""The place of a Qdrant collection (a server, or a local folder), and its errors as messages."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError, IsoglotError, needs
from isoglot.search.stores.addresses import host_and_port

KEY = "QDRANT_API_KEY"
_SERVER = re.compile(r"(?:(?P<scheme>https?):)?//(?P<host>[^/?#@\s]+)/(?P<collection>[^/?#\s]+)/?\Z")
_LOCAL = "isoglot"  # the collection of a folder
_SECONDS = 60


@dataclass(frozen=True)
class QdrantPlace:
    """The place of a collection.

    Attributes:
        shown: the place as given by the user.
        url: of the server; empty for a folder.
        folder: None for a server.
        collection: its name.
    """

    shown: str
    url: str
    folder: Path | None
    collection: str


def to_place(rest: str) -> QdrantPlace:
    """Parse what follows `qdrant:`.

    Raises:
        InputError: neither `//HOST:PORT/COLLECTION` nor a folder.

    >>> to_place("//localhost:6333/docs").url, to_place("https://q.example.org/docs").url, to_place("here").folder
    ('http://localhost:6333', 'https://q.example.org', PosixPath('here'))
    """
    # User and password, which are not supported, stand before an @ and must not be displayed.
    shown = "qdrant:" + re.sub(r"//[^/]*@", "//...@", rest)
    found = _SERVER.match(rest)
    if found is not None:
        _, given = host_and_port(found["host"], shown, "qdrant://HOST:PORT/COLLECTION")
        port = "" if found["scheme"] == "https" or given is not None else ":6333"
        return QdrantPlace(shown, f"{found['scheme'] or 'http'}://{found['host']}{port}", None, found["collection"])
    if not rest or rest.startswith(("//", "http:", "https:")):
        raise InputError(
            f"{shown}: expected qdrant://HOST:PORT/COLLECTION, qdrant:https://HOST/COLLECTION, or qdrant:FOLDER"
        )
    return QdrantPlace(shown, "", Path(rest), _LOCAL)


def connect(place: QdrantPlace, *, make: bool) -> Any:
    """Return a client of a place.

    Args:
        place: a collection on a server, or a folder.
        make: create the folder if it does not exist.

    Raises:
        MissingPackageError: qdrant-client is not installed.
        InputError: no answer, no such folder, or another process has it open.
    """
    with needs("Qdrant needs its client", "qdrant"):
        from qdrant_client import QdrantClient
    if place.folder is None:
        client = QdrantClient(url=place.url, api_key=os.environ.get(KEY), timeout=_SECONDS, check_compatibility=False)
        _reach(client, place)
        return client
    if not make and not (place.folder / "meta.json").is_file():
        raise InputError(f"{place.shown}: no Qdrant folder there; make one with `isoglot export INDEX {place.shown}`")
    try:
        return QdrantClient(path=str(place.folder))
    except RuntimeError as error:
        if "already accessed" not in str(error):
            raise IsoglotError(f"{place.shown}: cannot be opened ({error})") from error
        raise InputError(
            f"{place.shown}: another process has this folder open, and only one can; a Qdrant server allows many"
        ) from error
    except OSError as error:
        raise IsoglotError(f"{place.shown}: cannot be opened ({error.strerror or error})") from error


def _reach(client: Any, place: QdrantPlace) -> None:
    """Raise InputError if nothing answers at the address."""
    from qdrant_client.http.exceptions import ResponseHandlingException

    try:
        with asking(place):
            client.info()
    except IsoglotError as error:
        client.close()
        if isinstance(error.__cause__, ResponseHandlingException):
            raise InputError(str(error)) from error.__cause__
        raise


@contextmanager
def asking(place: QdrantPlace) -> Iterator[None]:
    """Turn the client's errors into one clear message."""
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    try:
        with warnings.catch_warnings():
            # The client warns that folders are for small collections, as our documentation says, amid the results.
            warnings.filterwarnings("ignore", message="Local mode", category=UserWarning)
            yield
    except UnexpectedResponse as error:
        if error.status_code in (401, 403):
            raise InputError(
                f"{place.shown}: the server rejects the key ({error.status_code}); put the right one in {KEY}"
            ) from error
        said = error.content.decode(errors="replace")[:200]
        raise IsoglotError(f"{place.shown}: the server answers {error.status_code} ({said})") from error
    except ResponseHandlingException as error:
        raise IsoglotError(
            f"{place.shown}: no answer from {place.url} ({error}); check that the server runs, then try again"
        ) from error
    except OSError as error:
        raise IsoglotError(f"{place.shown}: {error.strerror or error}; make room, then try again") from error
