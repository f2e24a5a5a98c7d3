"""The server address in a place."""

from __future__ import annotations

from urllib.parse import urlsplit

from isoglot.core.errors import InputError


def host_and_port(address: str, shown: str, expected: str) -> tuple[str, int | None]:
    """Parse HOST or HOST:PORT; the port is None if there is none.

    Args:
        address: as written in the place.
        shown: the place, for messages.
        expected: what a place looks like, for messages.

    Raises:
        InputError: invalid host or port.

    >>> host_and_port("[::1]:80", "", ""), host_and_port("localhost", "", "")
    (('::1', 80), ('localhost', None))
    """
    try:
        parts = urlsplit(f"//{address}")
        return parts.hostname or "", parts.port
    except ValueError as error:
        raise InputError(f"{shown}: {error}; expected {expected}") from error
