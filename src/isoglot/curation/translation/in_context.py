"""Translate queries together with the passages that answer them, with models that preserve line breaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from isoglot.curation.translation.checks import translation_fault
from isoglot.languages.sentences import segments


class Documents(Protocol):
    """The interface of a translation model: whether it preserves line breaks, its input limit, and translation."""

    keeps_lines: bool

    @property
    def room(self) -> int:
        """The most tokens of a text that fit into one input."""

    def length(self, text: str) -> int:
        """Return the number of tokens of a text."""

    def translate_whole(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Return the translations of texts, without splitting these into sentences."""


def queries_in_context(
    model: Documents, pairs: Sequence[tuple[str, str]], source: str, target: str
) -> list[str | None]:
    """Translate queries as the first line of a document whose second line is the beginning of the passage.

    The tokenizers of models that were trained on single sentences turn a line break into a space; with these nothing is
    tried. A translation is used only if it again has two lines, and the first passes `translation_fault`.

    Args:
        model: a translation model.
        pairs: pairs of query and passage.
        source: source language.
        target: target language.

    Returns:
        For each pair the translated query, or None if it has to be translated on its own.
    """
    if not model.keeps_lines or not pairs:
        return [None] * len(pairs)
    documents = [_document(model, query, passage, source) for query, passage in pairs]
    made = iter(model.translate_whole([text for text in documents if text], source, target))
    queries: list[str | None] = []
    for (query, _), document in zip(pairs, documents, strict=True):
        lines = [line.strip() for line in next(made).split("\n") if line.strip()] if document else []
        good = len(lines) == 2 and translation_fault(query, lines[0], target) is None
        queries.append(lines[0] if good else None)
    return queries


def _document(model: Documents, query: str, passage: str, lang: str) -> str:
    """Return the query and as many sentences of its passage as fit into one input; empty if not even one fits."""
    document = _line(query) + "\n"
    for number, sentence in enumerate(segments(_line(passage), lang)):
        longer = document + sentence
        if model.length(longer) > model.room:
            return document.rstrip() if number else ""
        document = longer
    return document.rstrip()


def _line(text: str) -> str:
    return " ".join(text.split())
