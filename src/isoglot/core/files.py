"""Files and folders that appear whole or not at all, and JSON that says where it is broken."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError, IsoglotError

# Of the marks of direction only those that turn letters round, which right-to-left text never needs.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202d\u202e]")

_ONE_LINE = json.JSONEncoder(ensure_ascii=False, default=str, allow_nan=False)  # making one takes longer than a line
_SURROGATES = re.compile("[\ud800-\udfff]")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the name only when the block succeeds.

    Raises:
        InputError: nothing can be written there.
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
        temporary.chmod(masked(0o666))
        temporary.replace(path)
    except OSError as error:
        raise IsoglotError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; it replaces `path` only when the block succeeds.

    Raises:
        InputError: nothing can be written there.
        IsoglotError: the disk is full (nothing is left behind).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    except OSError as error:
        raise unwritable(path, error) from error
    aside = temporary.with_suffix(".old")
    try:
        yield temporary
        temporary.chmod(masked(0o777))
        if path.exists():
            # Aside first: whenever the process dies, one of the two stands complete.
            path.replace(aside)
        temporary.replace(path)
    except OSError as error:
        raise IsoglotError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def masked(rights: int) -> int:
    """Rights of a new file or folder, as far as the umask of this process leaves them."""
    umask = os.umask(0)  # it is read by setting it
    os.umask(umask)
    return rights & ~umask


def unwritable(path: Path, error: OSError, remedy: str = "choose another place") -> IsoglotError:
    """The error for a place where nothing can be written: a full disk is not the place's fault."""
    kind = IsoglotError if error.errno in _NO_ROOM else InputError
    return kind(f"{path}: cannot be written ({error.strerror or error}); {remedy}")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """A block that reads a file and does nothing else.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically; NaN becomes null, since JSON has none."""
    write_text(path, json.dumps(without_nan(value), ensure_ascii=False, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: missing, truncated or not JSON; names the file and the place.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: broken or truncated JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:  # a number of over 4300 digits, or nested too deeply
        raise InputError(f"{path}: not usable JSON ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def shown(path: Path | str) -> str:
    r"""A path as text that can be written anywhere: bytes that are no UTF-8 become `\xfc`."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def printable(text: str) -> str:
    r"""Text for one line of a terminal, which would obey control characters: they are escaped.

    >>> print(printable("a\x1b[31m\nb"))
    a\x1b[31m\nb
    """
    return _CONTROLS.sub(lambda sign: repr(sign[0])[1:-1], text)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def without_nan(value: Any) -> Any:
    """The same value with None for every NaN and infinity, since JSON has none."""
    if isinstance(value, dict):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_line(value: Any) -> str:
    r"""A value as JSON in one line, as programs read it: letters as they are, null for NaN and infinity.

    Half surrogate pairs, which no file can hold, become U+FFFD.

    >>> json_line({"a": float("nan"), "b": "\ud800"})
    '{"a": null, "b": "\ufffd"}'
    """
    try:
        line = _ONE_LINE.encode(value)
    except (TypeError, ValueError):  # keys that are no texts, or numbers that JSON does not have
        line = json.dumps(without_nan(value), ensure_ascii=False, default=str)
    return _SURROGATES.sub("\ufffd", line)
