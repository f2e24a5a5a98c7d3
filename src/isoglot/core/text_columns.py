"""Text tables that stay aligned on a terminal, where a Chinese character takes two cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len


def aligned(rows: Sequence[Sequence[str]], least: Sequence[int]) -> list[str]:
    """Return the lines of a table: first column left-aligned, the others right-aligned, separated by a space or more.

    Args:
        rows: the cells of each line, the same number in each.
        least: minimum width of each column, in terminal cells.

    >>> aligned([["de", "1"], ["zh-Hant", "20"], ["中文", "3"]], [4, 3])
    ['de        1', 'zh-Hant  20', '中文      3']
    """
    widths = [column_width((row[place] for row in rows), low) for place, low in enumerate(least)]
    lines = []
    for first, *others in rows:
        right = (" " * (width - cell_len(cell)) + cell for cell, width in zip(others, widths[1:], strict=True))
        lines.append(pad(first, widths[0]) + "".join(right))
    return lines


def column_width(texts: Iterable[str], least: int) -> int:
    """Return the width, in terminal cells, that fits each text and a space."""
    return max([least, *(cell_len(text) + 1 for text in texts)])


def pad(text: str, width: int) -> str:
    """Pad a text with spaces to `width` terminal cells; longer texts are unchanged."""
    return text + " " * (width - cell_len(text))
