"""Which results are collapsed into one: passages of the same document, and texts with the same words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias, get_args

from isoglot.core.errors import InputError
from isoglot.languages.normal_form import search_form
from isoglot.languages.word_pattern import word_pattern
from isoglot.search.passage import Passage

Collapse: TypeAlias = Literal["document", "text"]


def bare_words(text: str) -> str:
    """Return the normalized words of a text, joined by spaces; the text itself if it has no words.

    >>> bare_words("«Straße», 12.") == bare_words("STRASSE 12"), bare_words("...")
    (True, '...')
    """
    return " ".join(word_pattern().findall(search_form(text))) or text


def identity(passage: Passage, collapse: Sequence[Collapse]) -> tuple[tuple[str, str], ...]:
    """Return the keys of a passage: its own id, and what it shares with the passages that it is collapsed with."""
    own = ("passage", f"{passage.document}\0{passage.id}")
    keys = {"document": lambda: passage.document, "text": lambda: bare_words(passage.text)}
    return (own, *((name, keys[name]()) for name in collapse))


def check_collapse(collapse: Sequence[str]) -> None:
    """Check the `collapse` setting.

    Raises:
        InputError: `collapse` is no sequence, or holds something other than `document` and `text`.
    """
    known = get_args(Collapse)
    whole = isinstance(collapse, str) or not isinstance(collapse, Iterable)
    wrong = [collapse] if whole else [name for name in collapse if name not in known]
    if wrong:
        raise InputError(
            f"collapse {wrong[0]!r}: expected a sequence of {' and '.join(map(repr, known))}, such as [{known[0]!r}]"
        )
