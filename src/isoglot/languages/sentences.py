"""Split a text into sentences by the rules of its language (sentencex)."""

from __future__ import annotations

from itertools import pairwise

from isoglot.core.errors import needs

# sentencex takes time quadratic in the length of a line of Chinese or Japanese, or with quotation marks that are not
# closed. The last sentences of a window are found again in the next one, since the following text may belong to them.
_WINDOW, _MARGIN = 20_000, 2_000  # characters
# Multi-byte spaces: if one is between a capital letter and a full stop, sentencex 1.0 panics.
_BLANKS = dict.fromkeys(map(ord, "\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000"), " ") | dict.fromkeys(
    range(0x2000, 0x200B), " "
)


def segments(text: str, lang: str) -> list[str]:
    r"""Split a text into its sentences; joined, they are the text.

    Args:
        text: of any length.
        lang: code of the language; general rules apply if it has none of its own.

    Raises:
        MissingPackageError: sentencex is not installed.

    >>> segments("Der Mond. Plan A\u00a0. Ende.", "de")
    ['Der Mond. ', 'Plan A\xa0. Ende.']
    """
    with needs("finding sentences needs sentencex", "search", "data"):
        from sentencex import segment
    code, plain = lang.partition("-")[0], text.translate(_BLANKS)
    starts: list[int] = []
    first, inside = 0, False
    while first < len(text):
        last = first + _WINDOW
        place = first
        for sentence in segment(code, plain[first:last]):
            if last < len(text) and place + len(sentence) > last - _MARGIN:
                break
            # Every 10 KB sentencex drops a blank line, which is added to the sentence before it here.
            start = plain.index(sentence, place)
            if place > first or not inside:
                starts.append(start)
            place = start + len(sentence)
        else:
            break
        if place > first:
            first, inside = place, False
            continue
        # No sentence ends in the window, as in Thai: the next one begins within this sentence.
        if not inside:
            starts.append(first)
        first, inside = last - _MARGIN, True
    bounds = [0, *starts[1:], len(text)]
    return [text[start:end] for start, end in pairwise(bounds)] if text else []
