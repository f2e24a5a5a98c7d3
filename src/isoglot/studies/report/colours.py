"""Colours that remain distinguishable with any colour vision, as `#rrggbb`."""

from __future__ import annotations

import math

# Okabe and Ito's palette without black and yellow, which vanish on dark and light pages, plus two greys.
SERIES = ("#7f7f7f", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#9a8c5a")

# Cividis (Nunez, Anderton and Renslow 2018) at nine evenly spaced points.
_CIVIDIS = (
    (0, 34, 78),
    (26, 56, 111),
    (67, 78, 108),
    (97, 101, 111),
    (125, 124, 120),
    (155, 148, 118),
    (188, 174, 108),
    (222, 201, 88),
    (254, 232, 56),
)
# Orange for losses, blue for gains, grey for no change.
_DIVERGING = ((166, 84, 0), (230, 151, 62), (238, 238, 238), (94, 156, 211), (8, 81, 156))


def sequential(share: float) -> str:
    """Colour of a value from 0 (dark) to 1 (bright)."""
    return _at(_CIVIDIS, share)


def diverging(share: float) -> str:
    """Colour of a value from -1 (orange, a loss) over 0 (grey) to 1 (blue, a gain)."""
    return _at(_DIVERGING, (share + 1) / 2)


def ink(background: str) -> str:
    """Black or white, whichever is more readable on a background colour (WCAG relative luminance)."""
    channels = [int(background[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if luminance > 0.179 else "#fff"


def series(index: int) -> str:
    """Colour of the index-th regime; colours repeat after eight."""
    return SERIES[index % len(SERIES)]


def _at(stops: tuple[tuple[int, int, int], ...], share: float) -> str:
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    low = min(math.floor(place), len(stops) - 2)
    rest = place - low
    mixed = (round(a + (b - a) * rest) for a, b in zip(stops[low], stops[low + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
