"""Move RTF footnotes, which the parser drops, to the end of the text; detect truncated files."""

from __future__ import annotations

import re

# An escaped brace or backslash, binary data with its length, the start of a note, or a brace.
_PIECES = re.compile(r"\\[\\{}]|\\bin(\d{1,9}) ?|\{(?:\\\*)?\\(?:footnote|annotation)(?![a-z])|[{}]")
_NOTE = re.compile(r"\{(?:\\\*)?\\footnote(?![a-z])")
_MARK = re.compile(r"\\chftn(?![a-z])")


def notes_last(data: str) -> tuple[str, int]:
    r"""Return RTF with its footnotes as paragraphs at the end, and the number of unclosed groups.

    Args:
        data: the file, decoded to one character per byte.

    >>> notes_last(r"{\rtf1 A{\*\footnote\chftn B} C}")
    ('{\\rtf1 A C{\\par  B}}', 0)
    """
    kept: list[str] = []
    notes: list[str] = []
    depth = start = last = at = 0
    note_at: int | None = None  # depth around the open note
    end = len(data)
    while piece := _PIECES.search(data, at):
        at = piece.end()
        said = piece[0]
        if piece[1] is not None:
            at += int(piece[1])
        elif said[0] == "{":
            if note_at is None and _NOTE.match(said):
                kept.append(data[last : piece.start()])
                start, note_at = at, depth
            depth += 1
        elif said == "}":
            depth -= 1
            if depth == note_at:
                notes.append("{\\par " + _MARK.sub("", data[start : piece.start()]) + "}")
                last, note_at = at, None
            elif depth == 0:
                end = piece.start()
                break
    if note_at is not None:  # the file is truncated within a note
        notes.append("{\\par " + _MARK.sub("", data[start:]) + "}")
        last = end
    return "".join([*kept, data[last:end], *notes, data[end:]]), max(0, depth)
