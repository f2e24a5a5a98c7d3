"""A bound on how deeply HTML may be nested, since parsers take time that grows with the square of the depth."""

from __future__ import annotations

import re

MOST = 1000
"""Chromium stops at 512. At this depth the parser takes a hundredth of a second, at a hundred times it minutes."""

# Comments and scripts hold no elements. What never nests in itself is not counted: such tags are rarely closed.
_PIECES = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|textarea|title)\b.*?(?:</\1\s*>|\Z)"
    r"|<(/?)(?!(?:p|li|dt|dd|td|th|tr|tbody|thead|tfoot|option|optgroup|a|br|hr|img|input|meta|link|col|area|base|"
    r"embed|source|track|wbr|param|rp|rt)\b)[a-z][^<>]*>",
    re.IGNORECASE | re.DOTALL,
)


def flattened(text: str) -> str:
    """HTML without the tags of elements that are nested more than MOST deep; their text stays.

    >>> flattened("<b>a</b>"), flattened("<div>" * (MOST + 2) + "a</div></div></div>").count("<")
    ('<b>a</b>', 1001)
    """
    if text.count("<") <= MOST:
        return text
    depth = 0

    def kept(piece: re.Match[str]) -> str:
        nonlocal depth
        whole, closing = piece[0], piece[2]
        if closing is None or whole.endswith("/>"):
            return whole
        depth = max(0, depth - 1) if closing else depth + 1
        return " " if depth > MOST or (closing and depth == MOST) else whole

    return _PIECES.sub(kept, text)
