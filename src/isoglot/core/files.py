"""Atomic writing of files and folders, and JSON reading whose errors give the place."""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from isoglot.core.arguments import plain_scalar
from isoglot.core.errors import InputError, IsoglotError

# Of the directional marks only the overrides, which right-to-left text never needs.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202d\u202e]")

_ONE_LINE = json.JSONEncoder(ensure_ascii=False, default=str, allow_nan=False)  # costs more to create than a line
_SURROGATES = re.compile("[\ud800-\udfff]")
_DAY = 24 * 3600.0  # seconds
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_OFFERED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # by this file system


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it is renamed to `path` only if the block succeeds.

    Raises:
        InputError: the place is not writable.
        IsoglotError: the disk is full (nothing is left behind).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise unwritable(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        share(temporary, 0o666)
        temporary.replace(path)
    except OSError as error:
        raise IsoglotError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, replaces: bool = True) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which takes its place only if the block succeeds, once it is on disk.

    Args:
        path: of the folder.
        replaces: whether a folder that is there is replaced; if not, it stays: other processes may be reading the same.

    Raises:
        InputError: the place is not writable.
        IsoglotError: the disk is full (nothing is left behind).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, f".{glob.escape(path.name)}.????????.tmp")
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    except OSError as error:
        raise unwritable(path, error) from error
    aside = temporary.with_suffix(".old")
    try:
        yield temporary
        share(temporary, 0o777)
        # A folder that exists counts as complete: later runs reuse it without reading it all.
        put_on_disk(temporary.rglob("*"))
        if replaces and path.exists():
            # Moved aside first: whenever the process dies, one of the two is complete.
            path.replace(aside)
        try:
            temporary.replace(path)
        except OSError:
            if replaces or not path.is_dir():
                raise
    except OSError as error:
        raise IsoglotError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(home: Path, pattern: str) -> None:
    """Remove temporary files and folders of killed processes: those to which nothing was written for a day."""
    for left in home.glob(pattern):
        with suppress(OSError):  # its process, or another one, is just removing it
            if time.time() - max(path.stat().st_mtime for path in (left, *left.rglob("*"))) > _DAY:
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    left.unlink()


def put_on_disk(files: Iterable[Path]) -> None:
    """Flush files to disk, so that they survive a power failure; the system may buffer them for half a minute.

    Raises:
        OSError: they cannot be written.
    """
    for path in files:
        if path.is_file():
            # Files of another user may be readable only, which is enough except on Windows.
            with path.open("rb" if os.name == "posix" else "rb+") as stream:
                try:
                    os.fsync(stream.fileno())
                except OSError as error:
                    if error.errno not in _NOT_OFFERED:
                        raise


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """Hard-link a file that is never changed in place; copy it if that is impossible.

    Raises:
        OSError: it cannot be read, or the copy not be written.
    """
    try:
        os.link(source, target)
    except OSError:  # this file system has no hard links
        shutil.copyfile(source, target)


def share(path: Path, rights: int) -> None:
    """Give a temporary file or folder the permissions of a new one: `rights` without this process's umask.

    File systems on which all files are another user's or have no permissions (shares of Windows, FAT) keep their own.

    Raises:
        OSError: the permissions cannot be written.
    """
    umask = os.umask(0)  # it can only be read by setting it
    os.umask(umask)
    try:
        path.chmod(rights & ~umask)
    except OSError as error:
        if error.errno not in (*_NOT_OFFERED, errno.EPERM):
            raise


def unwritable(path: Path, error: OSError, remedy: str = "choose another place") -> IsoglotError:
    """Return the error for a place that is not writable: an `InputError`, unless the disk is full."""
    kind = IsoglotError if error.errno in _NO_ROOM else InputError
    return kind(f"{path}: cannot be written ({error.strerror or error}); {remedy}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn errors of reading a file into an `InputError`; the block must do nothing but read it.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def write_text(path: Path, text: str, *, lasting: bool = False) -> None:
    """Write a UTF-8 text file atomically; if `lasting`, it is on disk before it takes the place of the one before."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        if lasting:
            put_on_disk([temporary])


def write_json(path: Path, value: Any, *, lasting: bool = False) -> None:
    """Write a JSON file as `write_text` does; NaN and infinity become null, since JSON has neither."""
    write_text(path, json.dumps(without_nan(value), ensure_ascii=False, indent=1) + "\n", lasting=lasting)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: missing, truncated or not JSON; names the file and the line.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: broken or truncated JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:  # a number of over 4300 digits, or too deep nesting
        raise InputError(f"{path}: not usable JSON ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def shown(path: Path | str) -> str:
    r"""Return a path as text that can be encoded as UTF-8: bytes that are not UTF-8 become `\xfc`."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def printable(text: str) -> str:
    r"""Escape control characters, which a terminal would interpret, and line breaks.

    >>> print(printable("a\x1b[31m\nb"))
    a\x1b[31m\nb
    """
    return _CONTROLS.sub(lambda sign: repr(sign[0])[1:-1], text)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def without_nan(value: Any) -> Any:
    """Return the same value with what JSON has: None for NaN and infinity, Python's numbers for NumPy's."""
    value = plain_scalar(value)
    if isinstance(value, dict):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_line(value: Any) -> str:
    r"""Return a value as one line of JSON for programs: non-ASCII letters unescaped, null for NaN and infinity.

    Lone surrogates, which UTF-8 cannot encode, become U+FFFD.

    >>> json_line({"a": float("nan"), "b": "\ud800"})
    '{"a": null, "b": "\ufffd"}'
    """
    try:
        line = _ONE_LINE.encode(value)
    except (TypeError, ValueError):  # keys that are not strings, or NaN and infinity
        line = json.dumps(without_nan(value), ensure_ascii=False, default=str)
    return _SURROGATES.sub("\ufffd", line)
