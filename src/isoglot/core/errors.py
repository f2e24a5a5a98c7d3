"""The error classes: each error that a user can cause or meet carries the command line's exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class IsoglotError(Exception):
    """Base of all errors raised on purpose; its message says what was seen, what was expected and what to do.

    Attributes:
        exit_code: of the command line: 1, or 2 for bad input or usage, 3 for a missed gate.

    Example:
        >>> from isoglot import IsoglotError, prepare
        >>> try:
        ...     prepare("nowhere.jsonl")
        ... except IsoglotError as error:
        ...     print(error, error.exit_code)
        nowhere.jsonl: no such file; give JSONL (.jsonl, .jsonl.gz) or Parquet rows 2
    """

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with all attributes: the constructors of subclasses may take more than the message."""
        return _again, (type(self), self.args, vars(self))


def _again(kind: type[IsoglotError], args: tuple[Any, ...], state: dict[str, Any]) -> IsoglotError:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class InputError(IsoglotError):
    """Bad input or usage: a file, a line, a column, a flag."""

    exit_code = 2


class MissingPackageError(InputError):
    """An optional package is needed; the message names the extra that installs it."""


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error's message; the name of its class if it has none.

    >>> first_line(OSError("\nno space\nleft")), first_line(KeyboardInterrupt())
    ('no space', 'KeyboardInterrupt')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def needs(what: str, *extras: str) -> Iterator[None]:
    """Raise MissingPackageError if an import within the block fails; it gives the cause if a package is there.

    Args:
        what: which package is needed for what.
        extras: the extras that install it, any one of them.

    >>> with needs("PDF files need pdfs", "search"):
    ...     import pdfs
    Traceback (most recent call last):
    isoglot.core.errors.MissingPackageError: PDF files need pdfs: pip install 'isoglot[search]'
    """
    try:
        yield
    except ImportError as error:
        choices = " or ".join(f"'isoglot[{extra}]'" for extra in extras)
        cause = "" if isinstance(error, ModuleNotFoundError) else f" ({first_line(error)})"
        raise MissingPackageError(f"{what}{cause}: pip install {choices}") from error


class GateMissedError(IsoglotError):
    """A required measure was not reached."""

    exit_code = 3
