"""Align the sections of a translation with those of the original: by identifiers, by outline, or by an encoder."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.documents.sections import Section

How = Literal["identifier", "outline", "encoder"]
Vectors = NDArray[np.float32]
Embed = Callable[[list[str]], Vectors]
THRESHOLD = 0.03
"""Least cosine of two sections in excess of their mean cosine with all sections of the page."""

_LOOKED_AT = 600  # characters of a section that the encoder sees
_LEAST_MARKS = 2
# Strings that are the same in every language: names with digits, dots, underscores or inner capitals; URLs; numbers.
_MARK = re.compile(r"(?<![^\W_])[A-Za-z]*(?:[_./:@()=-][A-Za-z0-9]+|[0-9]+|(?<=[a-z])[A-Z]+|[A-Z]{2,})[A-Za-z0-9_]*")


class Match(NamedTuple):
    """A section of the original (by number), its counterpart in the translation, and how it was found."""

    original: int
    translation: int
    how: How


def align(
    original: Sequence[Section],
    translation: Sequence[Section],
    *,
    embed: Embed | None = None,
    threshold: float = THRESHOLD,
) -> list[Match]:
    """Match sections with the same content one to one, in the order of the original.

    Explicit identifiers are compared first; a section of the original without one gets those that site generators make
    from its heading. The rest is matched between matched neighbours: by outline, if both sides have the same number of
    headings at each depth there, otherwise by the encoder, if given. Sections without a counterpart stay unmatched.

    Args:
        original: sections of the page in the pivot language.
        translation: sections of the page in another language.
        embed: function from texts to unit vectors (n, d); None matches by identifiers and outline only.
        threshold: see THRESHOLD.
    """
    found = _by_identifier(original, translation)
    named = {number for number, section in enumerate(translation) if section.ident}
    foreign: set[int] = set()
    if len(found) * 2 >= len(named):
        # Most identifiers of the translation are in the original, so the others belong to sections that are not.
        foreign = named - {match.translation for match in found}
    found = _between(original, translation, found, foreign)
    if len(found) < len(translation) and not foreign:
        # The identifiers were made from translated headings, so the few that agree may be misleading.
        outline = _between(original, translation, [], foreign)
        found = outline if len(outline) > len(found) else found
    if embed is not None:
        found += _by_encoder(original, translation, found, foreign, embed, threshold)
    return sorted(found)


def slugs(heading: str) -> set[str]:
    """Return identifiers that generators make from a heading: GitHub's (Docusaurus, Hugo), Python-Markdown's (MkDocs).

    >>> sorted(slugs("What's new in v1.2?"))
    ['what-s-new-in-v1-2', 'whats-new-in-v12']
    """
    lowered = unicodedata.normalize("NFC", heading).strip().lower()
    kept = re.sub(r"[^\w\- ]", "", lowered)
    ascii_only = unicodedata.normalize("NFKD", kept).encode("ascii", "ignore").decode()
    return {
        slug
        for slug in (
            kept.replace(" ", "-"),
            re.sub(r"[-\s]+", "-", ascii_only),
            re.sub(r"[\W_]+", "-", lowered).strip("-"),
        )
        if slug
    }


def _between(
    original: Sequence[Section], translation: Sequence[Section], found: list[Match], foreign: set[int]
) -> list[Match]:
    """Add matches by outline in every stretch between two matches in which nothing is matched yet."""
    found = list(found)
    edges = [(-1, -1), *_monotone(found), (len(original), len(translation))]
    for (a, b), (c, d) in pairwise(edges):
        here, there = (a + 1, c), (b + 1, d)
        taken = {match.original for match in found}, foreign | {match.translation for match in found}
        if taken[0].isdisjoint(range(*here)) and taken[1].isdisjoint(range(*there)):
            found += _by_outline(original, translation, here, there)
    return found


def _by_identifier(original: Sequence[Section], translation: Sequence[Section]) -> list[Match]:
    """Match by identifiers that occur once on each side."""
    places: dict[str, list[int]] = {}
    for number, section in enumerate(original):
        for ident in {section.ident} if section.ident else slugs(section.title):
            places.setdefault(ident.lower(), []).append(number)
    theirs = Counter(section.ident.lower() for section in translation if section.ident)
    found: dict[int, int] = {}
    for number, section in enumerate(translation):
        ident = (section.ident or "").lower()
        here = places.get(ident, [])
        if len(here) == 1 and theirs[ident] == 1:
            found.setdefault(here[0], number)
    return [Match(first, second, "identifier") for first, second in sorted(found.items())]


def _monotone(found: Sequence[Match]) -> list[tuple[int, int]]:
    """Return the longest subset of the matches with the same order on both sides, as sections may have moved."""
    best: list[list[tuple[int, int]]] = []
    for match in found:
        longest = max((run for run in best if run[-1][1] < match.translation), key=len, default=[])
        best.append([*longest, (match.original, match.translation)])
    return max(best, key=len, default=[])


def _by_outline(
    original: Sequence[Section], translation: Sequence[Section], here: tuple[int, int], there: tuple[int, int]
) -> list[Match]:
    """Match two stretches level by level: the headings under one parent in order, if both have the same number.

    If the numbers differ, these headings and all below them stay unmatched, as do pairs that `contradict` each other.
    """
    ours, theirs = _siblings(original, here), _siblings(translation, there)
    lead = _lead(original, translation, here, there)
    if len(ours) != len(theirs):
        return lead
    found = lead
    for (a, b), (c, d) in zip(ours, theirs, strict=True):
        if contradict(original[a], translation[c]):
            continue
        found.append(Match(a, c, "outline"))
        found += _by_outline(original, translation, (a + 1, b), (c + 1, d))
    return found


def _lead(
    original: Sequence[Section], translation: Sequence[Section], here: tuple[int, int], there: tuple[int, int]
) -> list[Match]:
    """Match the sections before the first heading of both pages."""
    both = here[0] < here[1] and there[0] < there[1]
    if both and original[here[0]].level == 0 == translation[there[0]].level:
        return [Match(here[0], there[0], "outline")]
    return []


def _siblings(sections: Sequence[Section], part: tuple[int, int]) -> list[tuple[int, int]]:
    """Return start and end of each subtree under the highest-level headings in a stretch."""
    levels = [section.level for section in sections[part[0] : part[1]]]
    top = min((level for level in levels if level), default=0)
    starts = [part[0] + number for number, level in enumerate(levels) if level == top and level]
    return list(zip(starts, [*starts, part[1]][1:], strict=True))


def contradict(first: Section, second: Section) -> bool:
    """Whether two sections each have at least two language-independent names or numbers, and none in common."""
    ours, theirs = (set(_MARK.findall(f"{section.title} {section.text}")) for section in (first, second))
    return min(len(ours), len(theirs)) >= _LEAST_MARKS and not ours & theirs


def _by_encoder(
    original: Sequence[Section],
    translation: Sequence[Section],
    found: Sequence[Match],
    foreign: set[int],
    embed: Embed,
    threshold: float,
) -> list[Match]:
    """Match the remaining sections in order so as to maximise the sum of similarities above the threshold."""
    ours = [number for number in range(len(original)) if number not in {match.original for match in found}]
    taken = foreign | {match.translation for match in found}
    theirs = [number for number in range(len(translation)) if number not in taken]
    if not ours or not theirs:
        return []
    first, second = (
        embed([f"{section.title}\n{section.text}"[:_LOOKED_AT] for section in sections])
        for sections in (original, translation)
    )
    cosines = first @ second.T
    # Subtract what a section has in common with all others: the page's subject, whose weight depends on the encoder.
    level = (cosines.mean(axis=0, keepdims=True) + cosines.mean(axis=1, keepdims=True)) / 2
    gain = (cosines - level - threshold)[np.ix_(ours, theirs)]
    anchors = _monotone(found)
    for row, one in enumerate(ours):
        for column, other in enumerate(theirs):
            if any((one - a) * (other - b) < 0 for a, b in anchors) or contradict(original[one], translation[other]):
                gain[row, column] = -np.inf
    return [Match(ours[row], theirs[column], "encoder") for row, column in best_path(gain)]


def best_path(gain: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Return the pairs (row, column), both ascending, with the largest sum of positive entries of `gain` (n, m)."""
    rows, columns = gain.shape
    total = np.zeros((rows + 1, columns + 1))
    for row in range(rows):
        for column in range(columns):
            own = total[row, column] + max(0.0, gain[row, column])
            total[row + 1, column + 1] = max(own, total[row, column + 1], total[row + 1, column])
    path: list[tuple[int, int]] = []
    row, column = rows, columns
    while row and column:
        if total[row, column] == total[row - 1, column]:
            row -= 1
        elif total[row, column] == total[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            path.append((row, column))
    return path[::-1]
