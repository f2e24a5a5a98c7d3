"""Charts as inline SVG: sized for phones, styled by the page's CSS, without JavaScript."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from isoglot.measuring.bootstrap import Interval
from isoglot.studies.report.colours import series
from isoglot.studies.report.views import Change, Separation, Spread

WIDTH = 380  # CSS pixels of a small screen, so that text is not scaled down there
_LINE = 16
_LEFT, _RIGHT = 84, 14
_TICKS = 5  # per axis, about


class Point(NamedTuple):
    """One estimate of a regime (given by its number) with its interval."""

    series: int
    value: Interval


def dots(rows: Sequence[tuple[str, Sequence[Point]]], title: str) -> str:
    """Dot plot: a row per label, with a dot and interval for each regime."""
    values = [point.value for _, points in rows for point in points]
    if not values:
        return ""
    low, high = min(v.low for v in values), max(v.high for v in values)
    across = _scale(low, high, _LEFT + 6, WIDTH - _RIGHT - 6)
    parts, top = [], 8.0
    for label, points in rows:
        height = max(_LINE, 9 * len(points))
        middle = top + height / 2
        parts.append(f'<text x="{_LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        for place, point in enumerate(points):
            y = middle + 9 * (place - (len(points) - 1) / 2)
            parts.append(_bar(point, across, y))
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{top + height + 3:.1f}" '
            f'y2="{top + height + 3:.1f}"/>'
        )
        top += height + 7
    return _svg(title, top + 24, _axis(ticks(low, high), across, 4, top) + parts)


def separation(changes: Sequence[Separation], title: str) -> str:
    """Forest plot: for each measure a row per regime, with its change against the first regime and its interval.

    Rows are labelled with names and figures, so that the chart is readable without colours; a change that is not
    significant is an open circle.
    """
    if not changes:
        return ""
    left, right = 112, 54
    low, high = min(0.0, *(c.low for c in changes)), max(0.0, *(c.high for c in changes))
    across = _scale(low, high, left + 6, WIDTH - right - 6)
    regimes = list(dict.fromkeys(change.regime for change in changes))
    parts, top, measure = [], 6.0, ""
    for change in changes:
        if change.measure != measure:
            measure = change.measure
            top += 18
            parts.append(f'<text class="strong" x="0" y="{top - 4:.1f}">{escape(measure)}</text>')
        y, colour = top + _LINE / 2, series(regimes.index(change.regime) + 1)
        fill = colour if change.significant else "var(--page)"
        name = change.regime if len(change.regime) <= 16 else f"{change.regime[:15]}…"
        parts += [
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>',
            f'<line x1="{across(change.low):.1f}" x2="{across(change.high):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{across(change.points):.1f}" cy="{y:.1f}" r="4.5" fill="{fill}" stroke="{colour}" '
            'stroke-width="2"/>',
            f'<text x="{WIDTH}" y="{y + 4:.1f}" text-anchor="end">{change.points:+.1f}</text>',
        ]
        top += _LINE + 2
    zero = f'<line class="zero" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="6" y2="{top + 4:.1f}"/>'
    return _svg(title, top + 26, [*_axis(ticks(low, high), across, 6, top + 4), zero, *parts])


def boxes(spreads: Sequence[Spread], title: str) -> str:
    """Box plot of each regime on a logarithmic axis: line 10-90 %, box 25-75 %, bar median, dot mean."""
    if not spreads:
        return ""
    low = max(1.0, min(spread.quantiles[0] for spread in spreads))
    high = max(low * 1.5, *(max(spread.quantiles[-1], spread.mean) for spread in spreads))
    inner = _scale(math.log(low), math.log(high), _LEFT, WIDTH - _RIGHT)

    def across(value: float) -> float:
        return inner(math.log(max(value, low)))

    parts, top = [], 10.0
    for number, spread in enumerate(spreads):
        y, colour = top + 10, series(number)
        a, b, c, d, e = (across(value) for value in spread.quantiles)
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(spread.regime)}</text>',
            f'<line x1="{a:.1f}" x2="{e:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>',
            f'<rect x="{b:.1f}" y="{y - 7}" width="{max(1.0, d - b):.1f}" height="14" rx="2" fill="{colour}"/>',
            f'<line class="median" x1="{c:.1f}" x2="{c:.1f}" y1="{y - 7}" y2="{y + 7}"/>',
            f'<circle class="ring" cx="{across(spread.mean):.1f}" cy="{y}" r="4" stroke="{colour}"/>',
        ]
        top += 28
    return _svg(title, top + 24, _axis(log_ticks(low, high), across, 4, top) + parts)


def curve(points: Sequence[tuple[float, Interval]], title: str) -> str:
    """Line chart of one measure over alpha from 0 to 1, with a band for its intervals."""
    low, high = min(v.low for _, v in points), max(v.high for _, v in points)
    left, height = 48, 190
    across, up = _scale(0, 1, left, WIDTH - _RIGHT), _scale(low, high, height - 30, 12)
    upper = [f"{across(alpha):.1f},{up(v.high):.1f}" for alpha, v in points]
    lower = [f"{across(alpha):.1f},{up(v.low):.1f}" for alpha, v in reversed(points)]
    middle = " ".join(f"{across(alpha):.1f},{up(v.estimate):.1f}" for alpha, v in points)
    parts = [
        *_side(ticks(low, high), up, left),
        f'<polygon class="band" points="{" ".join(upper + lower)}"/>',
        f'<polyline class="trend" points="{middle}"/>',
        *(f'<circle class="knot" cx="{across(a):.1f}" cy="{up(v.estimate):.1f}" r="4"/>' for a, v in points),
    ]
    return _svg(title, height, _axis([0, 0.25, 0.5, 0.75, 1], across, 12, height - 26) + parts)


def plane(changes: Sequence[Change], title: str) -> str:
    """Scatter plot of monolingual change (x) and pooled change (y) against the first regime, with both intervals."""
    if not changes:
        return ""
    left, height = 48, 300
    x = [0.0, *(value for change in changes for value in change.mono)]
    y = [0.0, *(value for change in changes for value in change.pool)]
    across = _scale(min(x), max(x), left + 10, WIDTH - _RIGHT - 10)
    up = _scale(min(y), max(y), height - 54, 20)
    parts = _side(ticks(min(y), max(y)), up, left)
    parts += [
        f'<line class="zero" x1="{across(0):.1f}" x2="{across(0):.1f}" y1="12" y2="{height - 46}"/>',
        f'<line class="zero" x1="{left}" x2="{WIDTH - _RIGHT}" y1="{up(0):.1f}" y2="{up(0):.1f}"/>',
        f'<text x="{(left + WIDTH - _RIGHT) / 2}" y="{height - 6}" text-anchor="middle">'
        "monolingual change (points)</text>",
        f'<circle class="origin" cx="{across(0):.1f}" cy="{up(0):.1f}" r="5"/>',
    ]
    for number, change in enumerate(changes, 1):
        px, py, colour = across(change.mono[0]), up(change.pool[0]), series(number)
        parts += [
            f'<line x1="{across(change.mono[1]):.1f}" x2="{across(change.mono[2]):.1f}" y1="{py:.1f}" y2="{py:.1f}" '
            f'stroke="{colour}" stroke-width="1.5"/>',
            f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{up(change.pool[1]):.1f}" y2="{up(change.pool[2]):.1f}" '
            f'stroke="{colour}" stroke-width="1.5"/>',
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="6" fill="{colour}"/>',
        ]
    return _svg(title, height, _axis(ticks(min(x), max(x)), across, 12, height - 46) + parts)


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers between `low` and `high`.

    >>> ticks(0.12, 0.61)
    [0.2, 0.3, 0.4, 0.5, 0.6]
    """
    span = high - low
    if not span > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda size: abs(span / size - _TICKS))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between `low` and `high`; only the powers if these span three decades or more.

    >>> log_ticks(8, 120)
    [10.0, 20.0, 50.0, 100.0]
    """
    factors = (1, 2, 5) if high / low < 1000 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [factor * 10.0**power for power in powers for factor in factors]
    return [tick for tick in found if low <= tick <= high] or [low]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _bar(point: Point, across: Callable[[float], float], y: float) -> str:
    colour, value = series(point.series), point.value
    return (
        f'<line x1="{across(value.low):.1f}" x2="{across(value.high):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
        f'stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{across(value.estimate):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    )


def _axis(marks: Sequence[float], across: Callable[[float], float], top: float, bottom: float) -> list[str]:
    return [
        f'<line class="grid" x1="{across(mark):.1f}" x2="{across(mark):.1f}" y1="{top}" y2="{bottom:.1f}"/>'
        f'<text x="{across(mark):.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{mark:g}</text>'
        for mark in marks
    ]


def _side(marks: Sequence[float], up: Callable[[float], float], left: float) -> list[str]:
    return [
        f'<line class="grid" x1="{left}" x2="{WIDTH - _RIGHT}" y1="{up(mark):.1f}" y2="{up(mark):.1f}"/>'
        f'<text x="{left - 6}" y="{up(mark) + 4:.1f}" text-anchor="end">{mark:g}</text>'
        for mark in marks
    ]


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
