"""Negatives without mining: other sentences of the paragraph that contains the passage."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from isoglot.core.errors import InputError
from isoglot.data.near_duplicates import NEAR, contains, normalise
from isoglot.data.prepared import Prepared
from isoglot.languages.sentences import segments

_LEAST_LETTERS = 8
# Languages without sentence punctuation: a space ends a clause or sentence.
_SPACED = frozenset({"th", "lo"})


def usable_sentences(sentences: Iterable[str], golds: Sequence[str], passages: Collection[str]) -> dict[str, str]:
    """Return the sentences of a paragraph that are not an answer to any query, by their `normalise`d form.

    Args:
        sentences: the sentences of one paragraph, in order.
        golds: all passages in that paragraph, of any group; a sentence that contains nearly all of one, or lies nearly
            completely within one, is left out.
        passages: `normalise`d passages of the language; a sentence equal to one is left out.
    """
    usable: dict[str, str] = {}
    for sentence in sentences:
        plain = normalise(sentence)
        if plain in usable or plain in passages or sum(char.isalnum() for char in plain) < _LEAST_LETTERS:
            continue
        if not any(contains(sentence, gold) >= NEAR for gold in golds):
            usable[plain] = sentence.strip()
    return usable


def pick_sentences(usable: Mapping[str, str], count: int, *, key: str, seed: int = 0) -> tuple[str, ...]:
    """Sample sentences of a paragraph.

    Args:
        usable: from `usable_sentences`, which are the same for all rows of the paragraph.
        count: maximum number of sentences.
        key: identifies the row; the sample depends on it and `seed`, not on the order of rows.
        seed: seed of the sample.

    Returns:
        Distinct sentences in random order; fewer than `count` if the paragraph has no more.

    >>> usable = usable_sentences(["The sky is blue.", "Grass grows green."], ["The sky is blue"], ())
    >>> pick_sentences(usable, 2, key="q1")
    ('Grass grows green.',)
    """

    def draw(plain: str) -> bytes:
        return hashlib.blake2b(f"{seed}\0{key}\0{plain}".encode(), digest_size=8).digest()

    return tuple(usable[plain] for plain in sorted(usable, key=draw)[:count])


def context_negatives(rows: Prepared, count: int, *, seed: int = 0) -> list[tuple[str, ...]]:
    """Sample negatives for each row from its `context`: sentences that contain no passage of any group.

    Args:
        rows: prepared rows; rows without a context get no negatives.
        count: maximum number of negatives per row.
        seed: seed of the sample.

    Returns:
        One tuple per row, in row order.

    Raises:
        InputError: no row has a context, or `count` is not positive.
        MissingPackageError: the package `sentencex` is missing.
    """
    if count < 1:
        raise InputError(f"negatives {count}: expected at least 1")
    contexts = rows.column("context")
    if not any(contexts):
        raise InputError("no row has a 'context': mine with `model` instead, or write rows with their paragraphs")
    langs = [rows.table.languages[number] for number in rows.table.lang]
    passages = rows.column("passage")
    keys = [f"{d}\0{g}\0{x}" for d, g, x in zip(rows.column("dataset"), rows.column("group"), langs, strict=True)]
    own: dict[str, set[str]] = {}
    golds: dict[tuple[str, str], list[str]] = {}
    for lang, context, passage in zip(langs, contexts, passages, strict=True):
        own.setdefault(lang, set()).add(normalise(passage))
        if context:
            golds.setdefault((lang, context), []).append(passage)
    usable: dict[tuple[str, str], dict[str, str]] = {}
    found: list[tuple[str, ...]] = []
    for key, lang, context in zip(keys, langs, contexts, strict=True):
        if not context:
            found.append(())
            continue
        place = (lang, context)
        if place not in usable:
            pieces = _outside(context, sentences(context, lang), golds[place])
            usable[place] = usable_sentences(pieces, golds[place], own[lang])
        found.append(pick_sentences(usable[place], count, key=key, seed=seed))
    return found


def sentences(text: str, lang: str) -> list[str]:
    """Split a text into sentences.

    Raises:
        MissingPackageError: the package `sentencex` is missing.
    """
    base = lang.replace("_", "-").split("-")[0].lower()
    if base in _SPACED:
        return text.split()
    return [sentence.strip() for sentence in segments(text, base) if sentence.strip()]


def _outside(context: str, pieces: list[str], golds: Sequence[str]) -> list[str]:
    """Return the sentences of a context that do not overlap any verbatim occurrence of a gold passage."""
    taken = []
    for gold in set(golds):
        start = context.find(gold)
        while start >= 0:
            taken.append((start, start + len(gold)))
            start = context.find(gold, start + 1)
    outside, at = [], 0
    for piece in pieces:
        start = context.find(piece, at)
        start = at if start < 0 else start
        at = start + len(piece)
        if not any(begin < at and start < end for begin, end in taken):
            outside.append(piece)
    return outside
