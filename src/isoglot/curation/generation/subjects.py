"""The subjects of generated questions: passages with their language versions, from rows or documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from isoglot.core.problems import Problems
from isoglot.data.rows import Row
from isoglot.documents.reading import read_files
from isoglot.languages.codes import UNKNOWN
from isoglot.languages.detection import detect

Split = Callable[[str, str], list[str]]
"""A function from a text and its language to its passages."""


class Subject(NamedTuple):
    """A passage: name, data set, language, text, title, topic; and text and title of its versions, by language."""

    name: str
    dataset: str
    lang: str
    text: str
    title: str | None
    topic: str | None
    versions: dict[str, tuple[str, str | None]]


def subjects_of_rows(rows: Iterable[Row], pivot: str) -> Iterator[Subject]:
    """Yield one subject per passage, merging groups with the same passage in the pivot (else the first) language."""
    groups: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if row.kind == "qa":  # bitext has sentences, no passages to ask about
            groups.setdefault((row.dataset, row.group), {}).setdefault(row.lang, row)
    seen: set[tuple[str, str, str]] = set()
    for (dataset, group), versions in groups.items():
        own = versions.get(pivot) or next(iter(versions.values()))
        key = (dataset, own.lang, own.passage_text)
        if key in seen:
            continue
        seen.add(key)
        texts = {lang: (row.passage, row.title) for lang, row in versions.items()}
        yield Subject(group, dataset, own.lang, own.passage, own.title, own.topic, texts)


def subjects_of_passages(
    passages: Iterable[tuple[str, str, str, str]], problems: Problems, dataset: str
) -> Iterator[Subject]:
    """Yield one subject per passage (name, language, text, title) that is already split, as in an index.

    Passages in an unknown language are reported in `problems` and skipped.
    """
    for name, lang, text, title in passages:
        if lang == UNKNOWN:
            problems.add(name, None, "its language cannot be detected")
        else:
            yield Subject(name, dataset, lang, text, title or None, None, {lang: (text, title or None)})


def subjects_of_documents(paths: list[Path], split: Split, problems: Problems, dataset: str) -> Iterator[Subject]:
    """Yield one subject per passage of each document; texts in an unknown language are reported and skipped.

    Raises:
        InputError: there is nothing to read.
    """
    for document in read_files(paths, problems):
        lang = document.lang or detect(f"{document.title}\n{document.text}")
        if lang == UNKNOWN:
            problems.add(document.file, document.line, "its language cannot be detected")
            continue
        parts = split(document.text, lang)
        for number, part in enumerate(parts, 1):
            name = document.id if len(parts) == 1 else f"{document.id}#{number}"
            title = document.title or None
            yield Subject(name, dataset, lang, part, title, None, {lang: (part, title)})
