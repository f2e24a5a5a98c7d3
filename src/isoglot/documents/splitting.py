"""Split long documents into passages of whole sentences that fit the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from isoglot.languages.sentences import segments

TITLE_SHARE = 4  # a title may take up to a quarter of a passage's tokens

_LONGEST_TOKEN = 64  # characters per token; a text with more is certainly too long to be tokenized as a whole
_AT_ONCE = 1024  # sentences tokenized at a time

# Maps texts to the (start, end) character offsets of each text's tokens.
Spans = Callable[[list[str]], list[list[tuple[int, int]]]]


def split(text: str, lang: str, *, spans: Spans, tokens: int) -> list[str]:
    """Split a text at sentence ends into passages of at most `tokens` tokens.

    A sentence that is too long on its own is split at a space if there is one in the second half of the part (in Thai,
    a space ends a phrase), otherwise between two tokens. Only white space at the ends of passages is lost.

    Args:
        text: a text of any length.
        lang: language whose sentence rules apply; general rules if it has none.
        spans: the encoder's tokenizer.
        tokens: maximum number of tokens of a passage, without its title.

    Raises:
        MissingPackageError: sentencex is not installed.
    """
    if len(text) <= tokens * _LONGEST_TOKEN and len(spans([text])[0]) <= tokens:
        return [text]
    sentences: list[str] = []
    for sentence in segments(text, lang):
        if sentence.strip() or not sentences:
            sentences.append(sentence)
        else:  # blank lines between paragraphs belong to the sentence before them
            sentences[-1] += sentence
    passages: list[str] = []
    current, used = "", 0
    for sentence, own in _placed(sentences, spans):
        for part, count in _pieces(sentence, own, tokens):
            if current and used + count > tokens:
                passages.append(current.strip())
                current, used = "", 0
            current += part
            used += count
    return [*passages, current.strip()] if current.strip() else passages


def shorten(title: str, *, spans: Spans, tokens: int) -> str:
    """Truncate a title to a quarter of a passage's tokens (at least one)."""
    own = spans([title])[0]
    allowed = max(1, tokens // TITLE_SHARE)
    return title if len(own) <= allowed else title[: own[allowed - 1][1]].rstrip()


def _placed(sentences: Sequence[str], spans: Spans) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Yield sentences with their token offsets, in batches, as those of a long text would take gigabytes at once."""
    for first in range(0, len(sentences), _AT_ONCE):
        some = list(sentences[first : first + _AT_ONCE])
        yield from zip(some, spans(some), strict=True)


def _pieces(sentence: str, own: Sequence[tuple[int, int]], tokens: int) -> list[tuple[str, int]]:
    """Split one sentence into parts with their token counts, none over `tokens`."""
    pieces: list[tuple[str, int]] = []
    first, start = 0, 0
    while len(own) - first > tokens:
        last = first + tokens
        cut = own[last][0]
        blank = sentence.rfind(" ", start + (cut - start) // 2, cut)
        if blank > start:
            cut = blank + 1
            last = next(number for number in range(first, len(own)) if own[number][1] > cut)
        cut = max(cut, start + 1)
        pieces.append((sentence[start:cut], max(1, last - first)))
        first, start = max(last, first + 1), cut
    pieces.append((sentence[start:], len(own) - first))
    return pieces
