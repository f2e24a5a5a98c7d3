"""The place of a Milvus collection (a server, or a local file), requests to it, and its errors as messages."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError, IsoglotError, needs
from isoglot.search.stores.addresses import host_and_port
from isoglot.search.stores.shared import closed_on_error

TOKEN = "MILVUS_TOKEN"
OLDEST = (2, 5)
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,200}"
_SERVER = re.compile(rf"(?:(?P<scheme>https?):)?//(?P<host>[^/?#@\s]+)/(?P<collection>{_NAME})/?\Z")
_FILE = re.compile(rf"(?P<file>.*[^/\\]\.db)(?:/(?P<collection>{_NAME}))?/?\Z", re.DOTALL)
_LOCAL = "isoglot"  # the collection of a file if none is named
_REACH, _ANSWER, _LOAD = 10, 60, 600  # seconds: to connect, to read or write, to load a collection
_PAGE = 2000
_NO_CONNECTION, _NOT_LOADED = 2, 101  # error codes of Milvus
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True)
class MilvusPlace:
    """The place of a collection.

    Attributes:
        shown: the place as given by the user.
        url: of the server; empty for a file.
        file: None for a server.
        collection: its name.
    """

    shown: str
    url: str
    file: Path | None
    collection: str


def to_place(rest: str) -> MilvusPlace:
    """Parse what follows `milvus:`.

    Raises:
        InputError: neither `//HOST:PORT/COLLECTION` nor `FILE.db`, or it contains a password.

    >>> to_place("//localhost/docs").url, to_place("https://m.example.org/docs").url, to_place("a/b.db").collection
    ('http://localhost:19530', 'https://m.example.org:443', 'isoglot')
    """
    shown = f"milvus:{rest}"
    found = _SERVER.match(rest)
    if found is not None:
        _, given = host_and_port(found["host"], shown, "milvus://HOST:PORT/COLLECTION")
        port = "" if given is not None else ":443" if found["scheme"] == "https" else ":19530"
        return MilvusPlace(shown, f"{found['scheme'] or 'http'}://{found['host']}{port}", None, found["collection"])
    if "@" in rest.partition("//")[2].partition("/")[0]:
        raise InputError(f"milvus: the place holds a user's name or password (not shown here); put it in {TOKEN}")
    file = None if rest.startswith(("//", "http:", "https:")) else _FILE.match(rest)
    if file is None:
        raise InputError(
            f"{shown}: expected milvus://HOST:PORT/COLLECTION, milvus:https://HOST/COLLECTION, or "
            "milvus:FILE.db/COLLECTION; names of collections have letters, digits and underscores"
        )
    return MilvusPlace(shown, "", Path(file["file"]), file["collection"] or _LOCAL)


class Connection:
    """A client of one place, which turns every error into one clear message.

    Args:
        client: of pymilvus.
        place: of the collection.
        stop: stops the server that was started for it.
    """

    def __init__(self, client: Any, place: MilvusPlace, stop: Callable[[], None] = lambda: None) -> None:
        self._client, self._stop, self.place = client, stop, place

    def ask(self, what: str, **how: Any) -> Any:
        """Call a method of the client, and return its result.

        Raises:
            InputError: the server requires another token.
            IsoglotError: the server does not answer, or answers with an error.
        """
        from pymilvus.exceptions import MilvusException

        call = partial(getattr(self._client, what), timeout=_LOAD if what == "load_collection" else _ANSWER, **how)
        with _asking(self.place):
            try:
                return call()
            except MilvusException as error:
                if error.code != _NOT_LOADED:
                    raise
                # A restarted server may not have loaded the collection yet.
                self._client.load_collection(how["collection_name"], timeout=_LOAD)
                return call()

    def rows(self, collection: str, condition: str, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield all rows that meet a condition, with these fields.

        Raises:
            IsoglotError: as `ask`.
        """
        pages = self.ask(
            "query_iterator",
            collection_name=collection,
            filter=condition,
            output_fields=list(fields),
            batch_size=_PAGE,
        )
        while True:
            with _asking(self.place):
                page = pages.next()
            if not page:
                pages.close()
                return
            yield from page

    def count(self, collection: str, condition: str) -> int:
        """Return the number of rows that meet a condition."""
        answer = self.ask("query", collection_name=collection, filter=condition, output_fields=["count(*)"])
        return int(answer[0]["count(*)"])

    def index_params(self) -> Any:
        """Return an empty set of index parameters."""
        return self._client.prepare_index_params()

    def schema(self, description: str) -> Any:
        """Return an empty schema."""
        return self._client.create_schema(auto_id=False, enable_dynamic_field=False, description=description)

    def close(self) -> None:
        """Close the connection, and the file."""
        try:
            self._client.close()
        finally:
            self._stop()


def connect(place: MilvusPlace, *, make: bool) -> Connection:
    """Connect to a place.

    Args:
        place: a collection of a server or a file.
        make: create the file if it does not exist.

    Raises:
        MissingPackageError: pymilvus or Milvus Lite is not installed.
        InputError: no such file, another process has it open, no server answers, or the server is too old.
    """
    with needs("Milvus needs its client", "milvus"):
        from pymilvus import MilvusClient
    for name in ("pymilvus", "milvus_lite"):
        # They also log tracebacks of what they raise, which our messages already report.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if place.file is not None:
        return _open_file(MilvusClient, place, place.file, make)
    with _asking(place, reaching=True):
        client = MilvusClient(
            uri=place.url,
            token=os.environ.get(TOKEN, ""),
            timeout=_REACH,
            dedicated=True,
            # Reconnect to a restarted server within a second, not within gRPC's two minutes.
            grpc_options={"grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 1000},
        )
    connection = Connection(client, place)
    with closed_on_error(connection):
        _refuse_old(place, connection.ask("get_server_version"))
    return connection


def _open_file(client_of: Callable[..., Any], place: MilvusPlace, file: Path, make: bool) -> Connection:
    """Connect to Milvus Lite, which serves the file on a free local port until the connection is closed."""
    with needs("a Milvus file needs Milvus Lite 3", "milvus"):
        from milvus_lite.adapter.grpc.server import start_server_in_thread
        from milvus_lite.exceptions import DataDirLockedError, MilvusLiteError
    if not (file / "LOCK").is_file():
        if not make:
            raise InputError(
                f"{place.shown}: no file of Milvus Lite there; make one with `isoglot export INDEX {place.shown}`"
            )
        if file.is_file() or (file.is_dir() and any(file.iterdir())):
            raise InputError(f"{place.shown}: {file} is there, but is not a file of Milvus Lite 3; name another one")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        server, database, port = start_server_in_thread(str(file.absolute()), "127.0.0.1", 0)
    except DataDirLockedError as error:
        raise InputError(
            f"{place.shown}: this file is open already, here or in another process, and only one may have it; "
            "a Milvus server takes many"
        ) from error
    except (MilvusLiteError, ValueError) as error:
        raise IsoglotError(f"{place.shown}: cannot be opened ({error})") from error
    except OSError as error:
        raise IsoglotError(f"{place.shown}: cannot be opened ({error.strerror or error})") from error

    def stop() -> None:
        server.stop(grace=None).wait()
        database.close()

    try:
        with _asking(place, reaching=True):
            # Local requests must bypass a proxy, and Milvus Lite closes connections that send keepalive pings.
            direct = {"grpc.enable_http_proxy": 0, "grpc.keepalive_time_ms": 2**31 - 1}
            return Connection(
                client_of(uri=f"http://127.0.0.1:{port}", timeout=_REACH, dedicated=True, grpc_options=direct),
                place,
                stop,
            )
    except BaseException:
        stop()
        raise


def _refuse_old(place: MilvusPlace, version: Any) -> None:
    found = _VERSION.match(str(version))
    if found is not None and (int(found[1]), int(found[2])) < OLDEST:
        raise InputError(f"{place.shown}: the server is Milvus {version}; expected {OLDEST[0]}.{OLDEST[1]} or newer")


@contextmanager
def _asking(place: MilvusPlace, *, reaching: bool = False) -> Iterator[None]:
    """Turn the client's errors into one clear message."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError) as error:
        code, said = _told(error)
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            raise InputError(f"{place.shown}: the server rejects the token; put the right one in {TOKEN}") from error
        where = place.url or place.shown
        if reaching:
            raise InputError(
                f"{place.shown}: no answer from {where} ({said}); check that a Milvus server runs there, then try again"
            ) from error
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, _NO_CONNECTION):
            raise IsoglotError(
                f"{place.shown}: no answer from {where} ({said}); check that the server runs, then try again"
            ) from error
        raise IsoglotError(f"{place.shown}: Milvus answers {said}") from error
    except OSError as error:
        raise IsoglotError(f"{place.shown}: {error.strerror or error}; make room, then try again") from error


def _told(error: BaseException) -> tuple[Any, str]:
    """Return an error's code (gRPC's, if a gRPC error is its root cause) and its message, without the token."""
    import grpc

    said = " ".join(str(getattr(error, "message", "") or error).split())[:200]
    token = os.environ.get(TOKEN)
    said = said.replace(token, "...") if token else said
    root = error
    while not isinstance(root, grpc.RpcError):
        cause = root.__cause__
        if cause is None or cause is root:  # the client raises some errors from themselves
            return getattr(error, "code", None), said
        root = cause
    return root.code(), said
