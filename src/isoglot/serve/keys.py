"""API keys: a JSON file with their hashes, scopes and rate limits."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import read_json, unwritable, write_json
from isoglot.core.problems import Problems

SCOPES = ("search", "embed", "admin")
_PREFIX = "isoglot_"
_SECONDS_TO_WRITE = 10  # how long to wait for another process's lock, which it holds for some milliseconds
_REMEDY = "make the file with `isoglot keys add`"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """A key as stored. The key itself was shown once, when it was made, and is stored nowhere.

    Attributes:
        name: who it is for; unique in a file.
        sha256: hash of the key. Keys are 256 random bits, so no dictionary of guesses contains them: a slow hash
            would add no protection, and cost its time at every request.
        scopes: what it gives access to: `search`, `embed`, `admin`.
        per_minute: most requests a minute; None for no limit.
        created: time of creation, in UTC.
    """

    name: str
    sha256: str
    scopes: tuple[str, ...]
    per_minute: int | None = None
    created: str = ""


def read_keys(path: Path) -> list[Key]:
    """Read a file of keys.

    Raises:
        InputError: the file is missing or broken, or has invalid keys; lists all of them.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file; make it with `isoglot keys add`")
    content = read_json(path)
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f'{path}: expected an object with a list "keys"; {_REMEDY}')
    problems = Problems()
    keys: list[Key] = []
    for number, entry in enumerate(entries, 1):
        wrong = _wrong(entry)
        if not wrong and any(entry["name"] == known.name for known in keys):
            wrong = f"the name {entry['name']!r} is used twice"
        if wrong:
            problems.add(path, None, f"key {number}: {wrong}")
            continue
        created = str(entry.get("created", ""))
        keys.append(Key(entry["name"], entry["sha256"], tuple(entry["scopes"]), entry.get("per_minute"), created))
    problems.raise_if_any(_REMEDY)
    return keys


def _wrong(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return f"{type(entry).__name__}, expected an object"
    name, digest, scopes, limit = (entry.get(field) for field in ("name", "sha256", "scopes", "per_minute"))
    if not isinstance(name, str) or not name.strip() or len(name) > 100:
        return "name: expected 1 to 100 characters"
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        return "sha256: expected 64 hexadecimal digits"
    if not isinstance(scopes, list) or not scopes or any(scope not in SCOPES for scope in scopes):
        return f"scopes: expected a list of {', '.join(SCOPES)}"
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        return "per_minute: expected a number from 1, or null for no limit"
    return None


def add_key(path: Path, name: str, scopes: Sequence[str] = ("search",), per_minute: int | None = None) -> str:
    """Add a key to a file, which is created if missing.

    Args:
        path: the file.
        name: who the key is for.
        scopes: what it gives access to.
        per_minute: most requests a minute; None for no limit.

    Returns:
        The key. It is not stored and cannot be shown again.

    Raises:
        InputError: the name is taken, a scope or limit is invalid, or the file is broken or cannot be written.
    """
    secret = f"{_PREFIX}{secrets.token_urlsafe(32)}"
    created = datetime.now(UTC).isoformat(timespec="seconds")
    key = Key(name, _digest(secret), tuple(dict.fromkeys(scopes)), per_minute, created)
    wrong = _wrong({**asdict(key), "scopes": list(key.scopes)})
    if wrong:
        raise InputError(wrong)
    with _one_writer(path):
        keys = read_keys(path) if path.exists() else []
        if any(name == known.name for known in keys):
            raise InputError(f"{path}: there is a key {name!r} already; revoke it first, or give another name")
        _write(path, [*keys, key])
    return secret


def revoke_key(path: Path, name: str) -> None:
    """Remove a key from a file; running servers reject it from their next request on.

    Raises:
        InputError: there is no key of that name, or the file is missing, broken or cannot be written.
    """
    read_keys(path)  # fails if there is no file, before a folder is made for the lock
    with _one_writer(path):
        keys = read_keys(path)
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            there = ", ".join(key.name for key in keys) or "none"
            raise InputError(f"{path}: there is no key {name!r}; there are: {there}")
        _write(path, left)


@contextmanager
def _one_writer(path: Path) -> Iterator[None]:
    """Hold a lock file, so that no other process changes the keys between our reading and writing them."""
    from filelock import FileLock

    # Not on the file itself: writing replaces it, and the lock would be on the old one.
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=_SECONDS_TO_WRITE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, keys: Sequence[Key]) -> None:
    write_json(path, {"keys": [asdict(key) for key in keys]}, lasting=True)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class KeyRing:
    """The keys of a file, reread whenever it changes; while it is broken or missing, the last ones read stay valid.

    Args:
        path: the file.

    Raises:
        InputError: it cannot be read when the ring is created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._state()
        self._keys = read_keys(path)

    def find(self, secret: str) -> Key | None:
        """Return the key with this secret, or None. Every key is compared, each in constant time."""
        self._reload()
        shown = _digest(secret)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.sha256, shown):
                found = key
        return found

    def _state(self) -> tuple[int, ...] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _reload(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        try:
            self._keys = read_keys(self._path)
        except IsoglotError as error:
            _log.error("cannot read the keys again, the previous ones stay valid: %s", error)
        else:
            _log.warning("%s was read again: %d keys", self._path, len(self._keys))
