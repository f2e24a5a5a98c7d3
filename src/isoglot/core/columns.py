"""Tables of text that stay aligned on a terminal, where a Chinese character takes two cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len


def aligned(rows: Sequence[Sequence[str]], least: Sequence[int]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right, a blank between at least.

    Args:
        rows: cells of each line, as many in each.
        least: cells of the terminal that each column takes at least.

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
    """Cells of a terminal that hold each of the texts and a blank."""
    return max([least, *(cell_len(text) + 1 for text in texts)])


def pad(text: str, width: int) -> str:
    """Text with blanks after it, so that it takes `width` cells of a terminal, or more where it is longer."""
    return text + " " * (width - cell_len(text))
