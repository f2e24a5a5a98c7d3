"""Queries translated with the passage that answers them, by models that keep line breaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from isoglot.curation.answers.checks import translation_fault
from isoglot.languages.sentences import segments


class Documents(Protocol):
    """What is asked of a model: whether line breaks survive it, what it reads at once, and whole translations."""

    keeps_lines: bool

    @property
    def room(self) -> int:
        """Tokens of a text that it reads at once."""

    def length(self, text: str) -> int:
        """Tokens of a text."""

    def translate_whole(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translations of texts that are not cut into sentences."""


def queries_in_context(
    model: Documents, pairs: Sequence[tuple[str, str]], source: str, target: str
) -> list[str | None]:
    """Translate queries as the first line of a document whose second line begins the passage.

    Models that were trained on single sentences know no line break: their tokenizers make a blank of it, and then
    nothing is tried. What comes back counts only where it has two lines again, and the first of them is no fault.

    Args:
        model: a translation model.
        pairs: of query and passage.
        source: their language.
        target: the language wanted.

    Returns:
        For each pair the query's translation, or None where it has to be translated by itself.
    """
    if not model.keeps_lines or not pairs:
        return [None] * len(pairs)
    documents = [_document(model, query, passage, source) for query, passage in pairs]
    made = iter(model.translate_whole([text for text in documents if text], source, target))
    queries: list[str | None] = []
    for (query, _), document in zip(pairs, documents, strict=True):
        lines = [line.strip() for line in next(made).split("\n") if line.strip()] if document else []
        good = len(lines) == 2 and translation_fault(query, lines[0], source, target) is None
        queries.append(lines[0] if good else None)
    return queries


def _document(model: Documents, query: str, passage: str, lang: str) -> str:
    """The query and as many sentences of its passage as the model reads at once; empty where not one fits."""
    document = _line(query) + "\n"
    for number, sentence in enumerate(segments(_line(passage), lang)):
        longer = document + sentence
        if model.length(longer) > model.room:
            return document.rstrip() if number else ""
        document = longer
    return document.rstrip()


def _line(text: str) -> str:
    return " ".join(text.split())
