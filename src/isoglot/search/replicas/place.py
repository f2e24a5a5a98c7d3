"""A place in an object store: objects under one prefix, with reads, writes and conditional writes."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from isoglot.core.errors import InputError, IsoglotError, first_line, needs

SCHEMES = ("s3", "gs", "az")
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, elsewhere than at Amazon, AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_PIECE = 8 * 1024 * 1024  # bytes read from the store at a time


class Object(NamedTuple):
    """An object's content, and the tag (ETag) of this state of it."""

    content: bytes
    tag: str


def is_address(text: object) -> bool:
    """Return whether a text is the address of a place, such as s3://bucket/index.

    >>> is_address("s3://bucket/index"), is_address("an/index")
    (True, False)
    """
    return str(text).partition("://")[0] in SCHEMES and "://" in str(text)


def as_address(path: Path) -> str | None:
    """Return the address that a path stands for, since `Path` drops one of two slashes; None for a folder.

    >>> as_address(Path("s3://bucket/index")), as_address(Path("an/index"))
    ('s3://bucket/index', None)
    """
    scheme, colon, rest = path.as_posix().partition(":/")
    return f"{scheme}://{rest.lstrip('/')}" if colon and scheme in SCHEMES else None


class Place:
    """Objects under one prefix of an object store.

    Credentials are read from the environment, as the stores' own tools do, and never written.

    Args:
        store: an `obstore` store.
        address: for display.
    """

    def __init__(self, store: Any, address: str) -> None:
        self._store, self.address = store, address

    @classmethod
    def at(cls, address: str, *, patience: float = 30.0) -> Place:
        """Open an address; no request is made yet.

        Args:
            address: such as s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.
            patience: seconds for which a failing request is retried.

        Raises:
            InputError: an invalid address, or one that contains credentials.
            MissingPackageError: obstore is not installed.
        """
        parts = urlsplit(address)
        if "@" in parts.netloc or parts.query:
            raise InputError(
                f"{parts.scheme}://…: an address holds no credentials; set {_CREDENTIALS.get(parts.scheme, 'them')} "
                "in the environment"
            )
        if parts.scheme not in SCHEMES or not parts.netloc:
            raise InputError(f"{address}: expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX")
        with needs("object stores are reached by obstore", "remote"):
            from obstore.store import from_url
        endpoint = os.environ.get("AWS_ENDPOINT_URL", os.environ.get("AWS_ENDPOINT", ""))
        retries: Any = {
            "max_retries": 1000,  # retries are limited by `patience`
            "retry_timeout": timedelta(seconds=patience),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=3),
                "base": 2,
            },
        }
        plain = endpoint.startswith("http://")
        with _failing(address):
            store = from_url(address.rstrip("/"), client_options={"allow_http": plain}, retry_config=retries)
        return cls(store, address.rstrip("/"))

    def read(self, key: str) -> Object | None:
        """Return an object; None if there is none.

        Raises:
            IsoglotError: the store does not answer.
        """
        with _failing(self.address):
            try:
                found = self._store.get(key)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
            return Object(bytes(found.bytes()), str(found.meta["e_tag"]))

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless it exists already; return whether it was written.

        Raises:
            IsoglotError: the store does not answer.
        """
        return self._put(key, content, "create")

    def exchange(self, key: str, content: bytes, tag: str) -> bool:
        """Write an object if it is still in the state that `tag` names; return whether it was written.

        Raises:
            IsoglotError: the store does not answer.
        """
        return self._put(key, content, {"e_tag": tag})

    def upload(self, key: str, path: Path) -> None:
        """Upload a file to an object, in parts if it is large.

        Raises:
            IsoglotError: the store does not answer, or the file cannot be read.
        """
        if not path.is_file():
            raise IsoglotError(f"{path}: is gone; is another program writing to this folder?")
        with _failing(self.address):
            self._store.put(key, path)

    def download(self, key: str, path: Path) -> str:
        """Download an object to a file; return the SHA-256 of what arrived, in hexadecimal.

        Raises:
            FileNotFoundError: there is no such object.
            IsoglotError: the store does not answer, or the file cannot be written.
        """
        digest = hashlib.sha256()
        with _failing(self.address, missing=False), path.open("wb") as stream:
            for piece in self._store.get(key).stream(min_chunk_size=_PIECE):
                digest.update(piece)
                stream.write(piece)
        return digest.hexdigest()

    def keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield keys under a prefix, with sizes in bytes.

        Raises:
            IsoglotError: the store does not answer.
        """
        with _failing(self.address):
            for some in self._store.list(prefix):
                for entry in some:
                    yield entry["path"], entry["size"]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; missing ones are ignored.

        Raises:
            IsoglotError: the store does not answer.
        """
        for key in keys:
            with _failing(self.address):
                try:
                    self._store.delete(key)
                except FileNotFoundError:
                    continue

    def check_conditions(self) -> None:
        """Test whether the store honours conditional writes; without them two writers could overwrite each other.

        Raises:
            InputError: it does not.
            IsoglotError: it does not answer.
        """
        # Check what the store holds afterwards, rather than its answers, which may get lost.
        key = f"probe-{uuid.uuid4().hex}"
        try:
            self.create(key, b"1")
            first = self.read(key)
            self.create(key, b"2")
            self.exchange(key, b"3", '"0123456789abcdef0123456789abcdef"')
            second = self.read(key)
            if first is not None:
                self.exchange(key, b"4", first.tag)
                self.exchange(key, b"5", first.tag)
            third = self.read(key)
            kept = [found and found.content for found in (first, second, third)] == [b"1", b"1", b"4"]
        finally:
            self.delete([key])
        if not kept:
            raise InputError(
                f"{self.address}: this store ignores conditions (If-Match, If-None-Match), so that two "
                "writers would overwrite each other; use another one, such as Amazon S3, Google Cloud Storage, Azure"
            )

    def _put(self, key: str, content: bytes, mode: Any) -> bool:
        from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError

        with _failing(self.address):
            try:
                self._store.put(key, content, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            except NotSupportedError as error:
                raise InputError(
                    f"{self.address}: this store does not support conditional writes; use another one"
                ) from error
        return True


@contextmanager
def _failing(address: str, *, missing: bool = True) -> Iterator[None]:
    """Turn a store's errors into one line; `missing` says whether a missing object counts as a missing bucket."""
    try:
        from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
    except ImportError:
        yield
        return
    try:
        yield
    except IsoglotError:
        raise
    except FileNotFoundError as error:
        if not missing:
            raise
        raise InputError(f"{address}: there is no such bucket; make it, or give another address") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        scheme = address.partition("://")[0]
        raise InputError(
            f"{address}: the store refused access ({_said(error)}); "
            f"credentials are read from {_CREDENTIALS.get(scheme, '')}"
        ) from error
    except BaseError as error:
        raise IsoglotError(f"{address}: the store cannot be reached or failed ({_said(error)}); try again") from error
    except OSError as error:
        raise IsoglotError(f"{error.filename or address}: {error.strerror or _said(error)}") from error


def _said(error: Exception) -> str:
    """Return the first line of a store's message, without the XML of its answer."""
    return first_line(error).partition(": <")[0][:300]
