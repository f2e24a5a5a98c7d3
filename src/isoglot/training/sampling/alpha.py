"""Schedules of alpha, the share of monolingual batches, over a run."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from isoglot.core.errors import InputError

Schedule = Literal["constant", "linear", "cosine", "piecewise"]


def alpha_at(progress: float, schedule: Schedule, start: float, end: float, points: str = "") -> float:
    """Return the probability of a monolingual batch at one point of a run.

    Args:
        progress: share of the steps that are done, 0 to 1.
        schedule: `constant` stays at `start`; `linear` and `cosine` go to `end`; `piecewise` follows `points`.
        start: value at the start.
        end: value at the end.
        points: `progress:alpha` pairs for `piecewise`, linearly interpolated, such as `0:1,0.5:0.5,1:0.2`.

    >>> alpha_at(0.5, "linear", 1.0, 0.0)
    0.5
    >>> round(alpha_at(0.25, "cosine", 1.0, 0.0), 4)
    0.8536
    >>> alpha_at(0.75, "piecewise", 0.5, 0.5, "0:1,0.5:0.5,1:0")
    0.25
    """
    if schedule == "linear":
        return start + (end - start) * progress
    if schedule == "cosine":
        return end + (start - end) * (1.0 + math.cos(math.pi * progress)) / 2.0
    if schedule == "piecewise":
        return _between(parse_points(points), progress)
    return start


def parse_points(text: str) -> list[tuple[float, float]]:
    """Parse `progress:alpha,progress:alpha,…`.

    Raises:
        InputError: not such a list, values outside 0..1, or progress values that do not increase.
    """
    points: list[tuple[float, float]] = []
    for part in text.split(","):
        moment, colon, alpha = part.strip().partition(":")
        try:
            point = float(moment), float(alpha)
        except ValueError:
            point = (math.nan, math.nan)
        if not colon or not all(0.0 <= value <= 1.0 for value in point):
            raise InputError(f"alpha_points {text!r}: {part.strip()!r} is not PROGRESS:ALPHA, both from 0 to 1")
        if points and point[0] <= points[-1][0]:
            raise InputError(f"alpha_points {text!r}: PROGRESS must increase; in {part.strip()!r} it does not")
        points.append(point)
    return points


def _between(points: list[tuple[float, float]], progress: float) -> float:
    if progress <= points[0][0]:
        return points[0][1]
    for (before, low), (after, high) in pairwise(points):
        if progress <= after:
            return low + (high - low) * (progress - before) / (after - before)
    return points[-1][1]
