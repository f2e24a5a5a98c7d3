"""Sentences of a text, by the rules of its language (sentencex)."""

from __future__ import annotations

from itertools import pairwise

from isoglot.core.errors import MissingPackageError

# Of a line of Chinese or Japanese, sentencex takes time that grows with the square of its length. A window's last
# sentences are found again by the next one, since what follows may belong to them.
_WINDOW, _MARGIN = 20_000, 2_000  # characters
# Blanks of several bytes: where one stands between a capital letter and a full stop, sentencex 1.0 panics.
_BLANKS = dict.fromkeys(map(ord, "\u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000"), " ") | dict.fromkeys(
    range(0x2000, 0x200B), " "
)


def segments(text: str, lang: str) -> list[str]:
    r"""Cut a text into its sentences; joined they are the text.

    Args:
        text: any length.
        lang: rules of which language; a code without rules gets general ones.

    Raises:
        MissingPackageError: sentencex is not installed.

    >>> segments("Der Mond. Plan A\u00a0. Ende.", "de")
    ['Der Mond. ', 'Plan A\xa0. Ende.']
    """
    try:
        from sentencex import segment
    except ImportError as error:
        raise MissingPackageError(
            "finding sentences needs sentencex: pip install 'isoglot[search]' or 'isoglot[data]'"
        ) from error
    code, plain = lang.partition("-")[0], text.translate(_BLANKS)
    starts: list[int] = []
    first, window = 0, _WINDOW
    while first < len(text):
        last = first + window
        place, begun = first, len(starts)
        for sentence in segment(code, plain[first:last]):
            if last < len(text) and place + len(sentence) > last - _MARGIN:
                break
            # Every 10 KB sentencex drops a blank line, which goes with the sentence before it here.
            start = plain.index(sentence, place)
            starts.append(start)
            place = start + len(sentence)
        else:
            break
        # Without the end of a sentence, as in Thai, the next window is wider.
        first, window = place, _WINDOW if len(starts) > begun else 2 * window
    bounds = [0, *starts[1:], len(text)]
    return [text[start:end] for start, end in pairwise(bounds)] if text else []
