"""A short repr for values that hold many texts or numbers: their fields, each abbreviated."""

from __future__ import annotations

import reprlib
from dataclasses import fields
from typing import Any


def brief(value: Any) -> str:
    """Return the repr of a dataclass or NamedTuple, without empty fields, and with arrays shown by their shape.

    Args:
        value: whose fields are shown, except those with `repr=False`.

    >>> from typing import NamedTuple
    >>> class Note(NamedTuple):
    ...     text: str
    ...     lang: str | None = None
    ...     def __repr__(self) -> str:
    ...         return brief(self)
    >>> Note("Der Mond zieht das Meer an, und die Flut steigt zweimal am Tag.")
    Note(text='Der Mond zieht das Mee... steigt zweimal am Tag.')
    """
    names = getattr(value, "_fields", None) or [field.name for field in fields(value) if field.repr]
    held = ((name, getattr(value, name)) for name in names)
    shown = ", ".join(f"{name}={_BRIEF.repr(one)}" for name, one in held if not _is_nothing(one))
    return f"{type(value).__qualname__}({shown})"


def few(names: tuple[str, ...] | list[str], most: int = 12) -> str:
    """Join names with commas; if there are more than `most`, the first ones and the total number.

    >>> few(("de", "en", "th"), most=2)
    'de, en, ... (3)'
    """
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])}, ... ({len(names)})"


class _Brief(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 50
        self.maxdict = self.maxlist = self.maxtuple = 4
        self.maxlevel = 3

    def repr_ndarray(self, value: Any, level: int) -> str:
        return f"<{str(value.dtype).removeprefix('torch.')} {'x'.join(map(str, value.shape))}>"

    # Methods are found by type name, so that nothing has to be imported.
    repr_memmap = repr_Tensor = repr_ndarray  # noqa: N815

    def repr_float(self, value: float, level: int) -> str:
        return f"{value:.6g}"


_BRIEF = _Brief()


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, (str, tuple, list, dict)) and not value)
