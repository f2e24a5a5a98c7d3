"""Clean outgoing text: lone surrogates, control characters, and numbers that JSON lacks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from isoglot.search.query_checks import UNSEEN

_SURROGATES = re.compile("[\ud800-\udfff]")


def shown(text: str) -> str:
    """Return text for an HTML page: characters that HTML forbids become U+FFFD (the template escapes the text)."""
    return UNSEEN.sub("\ufffd", text)


def plain(value: Any) -> Any:
    """Make a value JSON: lone surrogates become U+FFFD, NaN and infinity None, objects of other types their text."""
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, bool) or value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return plain(str(value))


def as_whole(value: Any) -> Any:
    """Return an integral float as the int that the document had; anything else unchanged.

    >>> as_whole(2018.0), as_whole(0.5), as_whole(1e300)
    (2018, 0.5, 1e+300)
    """
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
