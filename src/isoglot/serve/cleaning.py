"""Text on its way in and out: no half characters, no controls, no numbers that JSON lacks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_SURROGATES = re.compile("[\ud800-\udfff]")
# C0 and C1 controls but for tab and line ends, and what HTML forbids besides.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def clean_query(text: str) -> str:
    r"""A query without controls and half characters, which become spaces; empty where nothing else was there.

    >>> clean_query(" a\x00b\ud800 ")
    'a b'
    """
    return _CONTROLS.sub(" ", _SURROGATES.sub(" ", text)).strip()


def shown(text: str) -> str:
    """Text for a page: what HTML cannot hold becomes U+FFFD (escaping is the template's)."""
    return _CONTROLS.sub("\ufffd", _SURROGATES.sub("\ufffd", text))


def plain(value: Any) -> Any:
    """A value that JSON can hold: half characters become U+FFFD, NaN and infinity null, other objects their text."""
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
    """A float that stands for a whole number as that number, which is what documents hold; anything else as it is.

    >>> as_whole(2018.0), as_whole(0.5), as_whole(1e300)
    (2018, 0.5, 1e+300)
    """
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
