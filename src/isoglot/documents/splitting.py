"""Long documents into passages of whole sentences that fit the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from isoglot.languages.sentences import segments

TITLE_SHARE = 4  # a title may take a quarter of a passage's tokens

_LONGEST_TOKEN = 64  # characters; a text that is longer in the mean is not looked at as a whole
_AT_ONCE = 1024  # sentences

# Texts to, for each, the (start, end) of its tokens in characters.
Spans = Callable[[list[str]], list[list[tuple[int, int]]]]


def split(text: str, lang: str, *, spans: Spans, tokens: int) -> list[str]:
    """Cut a text into passages of at most `tokens` tokens, at ends of sentences.

    A sentence that alone is too long is cut at a blank where there is one (in Thai a blank ends a phrase), else
    between two tokens. Nothing is lost but blanks at the cuts.

    Args:
        text: any length.
        lang: rules of which language; a code without rules gets general ones.
        spans: the encoder's tokenizer.
        tokens: for the text alone.

    Raises:
        MissingPackageError: sentencex is not installed.
    """
    if len(text) <= tokens * _LONGEST_TOKEN and len(spans([text])[0]) <= tokens:
        return [text]
    sentences: list[str] = []
    for sentence in segments(text, lang):
        if sentence.strip() or not sentences:
            sentences.append(sentence)
        else:  # blank lines between paragraphs belong to what precedes them
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
    """A title cut to a quarter of a passage's tokens."""
    own = spans([title])[0]
    allowed = max(1, tokens // TITLE_SHARE)
    return title if len(own) <= allowed else title[: own[allowed - 1][1]].rstrip()


def _placed(sentences: Sequence[str], spans: Spans) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Sentences with the places of their tokens; of a long text those of all tokens would take gigabytes."""
    for first in range(0, len(sentences), _AT_ONCE):
        some = list(sentences[first : first + _AT_ONCE])
        yield from zip(some, spans(some), strict=True)


def _pieces(sentence: str, own: Sequence[tuple[int, int]], tokens: int) -> list[tuple[str, int]]:
    """Parts of one sentence with their token counts, none over `tokens`."""
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
