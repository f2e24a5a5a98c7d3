"""The place of an OpenSearch index, the connection to its server, and the server's errors as messages."""

from __future__ import annotations

import base64
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from isoglot.core.errors import InputError, IsoglotError, needs
from isoglot.search.stores.addresses import host_and_port
from isoglot.search.stores.shared import closed_on_error

USER, PASSWORD, AUTHORITY = "OPENSEARCH_USERNAME", "OPENSEARCH_PASSWORD", "OPENSEARCH_CA_CERTS"
FIRST = (2, 13)  # the first version whose Lucene engine supports inner products
_COMPATIBLE = "7.10.2"  # version that OpenSearch reports to old clients if configured to
_PLACE = re.compile(r"(?:(?P<scheme>https?):)?//(?P<host>[^/?#@\s]+)/(?P<index>[^/?#\s]+)/?\Z")
_NOT_IN_NAMES = re.compile(r'[,:"*+\\|<>]')
_TOO_MUCH = {"too_many_clauses", "too_many_nested_clauses", "too_complex_to_determinize_exception"}
_SECONDS = 60
_RETRIES = 3
_CONNECTIONS = 16  # kept open, for searches in several threads


@dataclass(frozen=True)
class OpenSearchPlace:
    """The place of an index on a server.

    Attributes:
        shown: the place as given by the user.
        scheme: `http` or `https`.
        host: of the server.
        port: of the server.
        index: its name, or an alias of it.
    """

    shown: str
    scheme: str
    host: str
    port: int
    index: str


class Server(NamedTuple):
    """A server that has answered.

    Attributes:
        client: of opensearch-py.
        version: of OpenSearch, major and minor.
    """

    client: Any
    version: tuple[int, int]


def to_place(rest: str) -> OpenSearchPlace:
    """Parse what follows `opensearch:`.

    Raises:
        InputError: not `//HOST:PORT/INDEX`, or an invalid index name.

    >>> to_place("//localhost/docs").port, to_place("https://o.example.org/docs").port
    (9200, 443)
    """
    # User and password stand before an @, and must not be displayed.
    shown = "opensearch:" + re.sub(r"//[^/]*@", "//...@", rest)
    if "@" in rest.rpartition("/")[0]:
        raise InputError(f"{shown}: expected a place without user and password; put them in {USER} and {PASSWORD}")
    found = _PLACE.match(rest)
    if found is None:
        raise InputError(f"{shown}: expected opensearch://HOST:PORT/INDEX or opensearch:https://HOST:PORT/INDEX")
    scheme, index = found["scheme"] or "http", found["index"]
    host, port = host_and_port(found["host"], shown, "opensearch://HOST:PORT/INDEX")
    odd = index != index.lower() or index.startswith(("_", "-", "+")) or index in {".", ".."}
    if odd or _NOT_IN_NAMES.search(index) or len(index.encode(errors="replace")) > 255:
        raise InputError(
            f"{shown}: {index!r} is no valid index name; expected up to 255 bytes of lowercase letters, digits, '.', "
            "'-' and '_', the first neither '-' nor '_'"
        )
    return OpenSearchPlace(shown, scheme, host, port or (443 if scheme == "https" else 9200), index)


def connect(place: OpenSearchPlace) -> Server:
    """Connect to a place's server, and ask for its version.

    Raises:
        MissingPackageError: opensearch-py is not installed.
        InputError: no answer, the user is rejected, or another program or an older version answers.
    """
    with needs("OpenSearch needs its client", "opensearch"):
        from opensearchpy import OpenSearch
        from opensearchpy.exceptions import ConnectionError as NoConnectionError
        from opensearchpy.exceptions import NotFoundError, SerializationError
    logger = logging.getLogger("opensearch")
    if not logger.handlers:  # otherwise every error also appears on stderr, beside our message
        logger.addHandler(logging.NullHandler())
    client = OpenSearch(
        [{"host": place.host, "port": place.port, "use_ssl": place.scheme == "https"}],
        headers=_authorization(place),
        ca_certs=_authority(place),
        timeout=_SECONDS,
        max_retries=_RETRIES,
        retry_on_timeout=True,
        pool_maxsize=_CONNECTIONS,
    )
    with closed_on_error(client):
        try:
            with asking(place):
                answer = client.info()
        except IsoglotError as error:
            cause = error.__cause__
            if isinstance(cause, (NoConnectionError, NotFoundError, SerializationError)):
                raise InputError(str(error)) from cause  # the address is wrong
            raise
        return Server(client, _version(place, answer))


@contextmanager
def asking(place: OpenSearchPlace) -> Iterator[None]:
    """Turn the client's errors into one clear message."""
    from opensearchpy.exceptions import ConnectionError as NoConnectionError
    from opensearchpy.exceptions import NotFoundError, OpenSearchException, SSLError, TransportError

    try:
        yield
    except SSLError as error:
        raise IsoglotError(
            f"{place.shown}: no secure connection ({_short(error.error)}); put the path of its authority's "
            f"certificate in {AUTHORITY}, or leave https out if the server has no TLS"
        ) from error
    except NoConnectionError as error:
        address = f"{place.scheme}://{place.host}:{place.port}"
        secure = "" if place.scheme == "https" else "; one with TLS is opensearch:https://HOST:PORT/INDEX"
        raise IsoglotError(
            f"{place.shown}: no answer from {address} ({_short(error.error)}); check that the server runs, "
            f"then try again{secure}"
        ) from error
    except TransportError as error:
        kind, reason = reason_of(error.info)
        if error.status_code in (401, 403) and kind != "cluster_block_exception":
            raise InputError(
                f"{place.shown}: the server refuses this user ({error.status_code}{reason and f', {reason}'}); put a "
                f"user with this permission in {USER} and {PASSWORD}"
            ) from error
        if isinstance(error, NotFoundError) and kind == "index_not_found_exception":
            raise InputError(
                f"{place.shown}: no index {place.index!r} there; make it with `isoglot export INDEX {place.shown}`"
            ) from error
        if kind in _TOO_MUCH:
            raise InputError(
                f"{place.shown}: too much for one search on the server ({reason}); use a simpler filter"
            ) from error
        raise IsoglotError(
            f"{place.shown}: the server answers {error.status_code} ({reason or _short(error.error)})"
        ) from error
    except OpenSearchException as error:
        raise IsoglotError(f"{place.shown}: the answer is not from an OpenSearch server ({_short(error)})") from error


def reason_of(info: Any) -> tuple[str, str]:
    """Return the type and reason of a server's error; empty if it gives none."""
    error = info.get("error") if isinstance(info, dict) else None
    if isinstance(error, str):
        return "", _short(error)
    if not isinstance(error, dict):
        return "", ""
    causes = error.get("root_cause") or [error]
    # For a rejected mapping, the innermost cause says what is wrong with it.
    inner = error
    while isinstance(inner.get("caused_by"), dict):
        inner = inner["caused_by"]
    first = causes[0] if inner is error else inner
    return str(causes[0].get("type", error.get("type", ""))), _short(first.get("reason", error.get("reason", "")))


def _short(said: Any) -> str:
    return " ".join(str(said).split())[:300]


def _authorization(place: OpenSearchPlace) -> dict[str, str]:
    user, password = os.environ.get(USER), os.environ.get(PASSWORD)
    if not user and not password:
        return {}
    if not user or password is None:
        raise InputError(f"{place.shown}: only one of {USER} and {PASSWORD} is set; set both, or neither")
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")}


def _authority(place: OpenSearchPlace) -> str | None:
    path = os.environ.get(AUTHORITY)
    if path and place.scheme == "https" and not os.path.isfile(path):
        raise InputError(f"{path}: no such file, which {AUTHORITY} names; expected certificates in PEM")
    return path or None


def _version(place: OpenSearchPlace, answer: Any) -> tuple[int, int]:
    told = answer.get("version", {}) if isinstance(answer, dict) else {}
    number, distribution = str(told.get("number", "")), told.get("distribution")
    found = re.match(r"(\d+)\.(\d+)", number)
    if found is None or (distribution != "opensearch" and number != _COMPATIBLE):
        what = f"{distribution or 'another program'} {number}".strip()
        raise InputError(f"{place.shown}: {what} answers there; expected OpenSearch {FIRST[0]}.{FIRST[1]} or newer")
    version = int(found[1]), int(found[2])
    if number != _COMPATIBLE and version < FIRST:
        raise InputError(f"{place.shown}: OpenSearch {number} answers; expected {FIRST[0]}.{FIRST[1]} or newer")
    return version
