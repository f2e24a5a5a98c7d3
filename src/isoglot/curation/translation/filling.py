"""Add the rows that groups lack: choose what to translate, translate it, and check the translations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, Protocol

from isoglot.curation.language_model.chat import Chat
from isoglot.curation.language_model.outcome import Outcome
from isoglot.curation.translation.checks import translation_fault
from isoglot.curation.translation.in_context import queries_in_context
from isoglot.curation.translation.prompts import translation_question
from isoglot.curation.translation.seq2seq import Seq2Seq
from isoglot.data.rows import Row

_CHUNK = 512  # tasks passed to a sequence-to-sequence model at a time


class Task(NamedTuple):
    """A row, and a language to translate it into."""

    row: Row
    target: str


class Translated(NamedTuple):
    """A task with its translated texts (query, passage, and the title if the row has one), or the fault."""

    task: Task
    texts: dict[str, str] | None
    fault: str | None


class Translator(Protocol):
    """Anything that translates tasks; its `name` is recorded in each new row."""

    name: str

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Translated]:
        """Translate, in order."""


def missing(rows: Iterable[Row], targets: Sequence[str], pivot: str, notes: Counter[str] | None = None) -> list[Task]:
    """Return what to translate: each group into each language it lacks, from the pivot, else from its first language.

    Rows that are themselves translations are used as sources only if a group has no others.

    Args:
        rows: the rows; bitext is ignored.
        targets: languages to translate into.
        pivot: preferred source language.
        notes: counts what is left out: if a query has several passages, only the first is translated.
    """
    groups: dict[tuple[str, str], dict[str, Row]] = {}
    further: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        if row.kind == "bitext":  # sentences, not questions that a language lacks
            continue
        if groups.setdefault((row.dataset, row.group), {}).setdefault(row.lang, row) is not row:
            further[row.dataset, row.group, row.lang] += 1
    tasks: list[Task] = []
    for versions in groups.values():
        own = {lang: row for lang, row in versions.items() if not row.translated_by} or versions
        source = own.get(pivot) or next(iter(own.values()))
        own_tasks = [Task(source, target) for target in targets if target not in versions]
        if own_tasks and notes is not None:
            left = further[source.dataset, source.group, source.lang]
            notes["further passages of queries are not translated"] += left
        tasks += own_tasks
    return tasks


def fill(tasks: Iterable[Task], translator: Translator, outcome: Outcome) -> Iterator[Row]:
    """Stream the new rows; translations that fail the checks are recorded in `outcome`.

    A new row has the translated query, passage and title, but no context or negatives, which are in another language.
    """
    for task, texts, fault in translator(tasks):
        row = task.row
        wrong = fault or _fault(row, task.target, texts or {})
        if wrong or texts is None:
            outcome.reasons[wrong or "no answer"] += 1
            outcome.rejects.append(
                {"group": row.group, "dataset": row.dataset, "from": row.lang, "lang": task.target, "reason": wrong}
                | (texts or {})
            )
            continue
        outcome.rows += 1
        yield replace(
            row,
            lang=task.target,
            query=texts["query"],
            passage=texts["passage"],
            title=texts.get("title"),
            context=None,
            negatives=(),
            scores=(),
            translated_by=translator.name,
        )


def _fault(row: Row, target: str, texts: dict[str, str]) -> str | None:
    for key in ("query", "passage", "title"):
        source, made = getattr(row, key), texts.get(key)
        if source and made is not None:
            fault = translation_fault(source, made, target)
            if fault and key != "title":
                return f"{key}: {fault}"
    return None


class ChatTranslator:
    """Translates with a language model, query and passage in one request."""

    def __init__(self, chat: Chat) -> None:
        self.name, self._chat = chat.settings.model, chat

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Translated]:
        """Translate, in order."""
        questions = (translation_question(task.row, task.target) for task in tasks)
        for (row, target), value, fault in self._chat.ask_all(questions):
            yield Translated(Task(row, target), value, fault)


class ModelTranslator:
    """Translates with a sequence-to-sequence model, batching the texts of each language pair.

    Attributes:
        in_context: number of queries that were translated together with their passage.
    """

    def __init__(self, model: Seq2Seq) -> None:
        self.name, self._model = model.name, model
        self.in_context = 0

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Translated]:
        """Translate, in order."""
        waiting = iter(tasks)
        while chunk := list(islice(waiting, _CHUNK)):
            made: dict[int, dict[str, str]] = {number: {} for number in range(len(chunk))}
            pairs = dict.fromkeys((task.row.lang, task.target) for task in chunk)
            for source, target in pairs:
                here = [n for n, task in enumerate(chunk) if (task.row.lang, task.target) == (source, target)]
                questions = [(chunk[n].row.query, chunk[n].row.passage) for n in here]
                for number, query in zip(here, queries_in_context(self._model, questions, source, target), strict=True):
                    if query is not None:
                        made[number]["query"] = query
                        self.in_context += 1
                own = [(n, key, getattr(chunk[n].row, key)) for n in here for key in ("query", "passage", "title")
                       if getattr(chunk[n].row, key) and key not in made[n]]  # fmt: skip
                texts = self._model.translate([text for *_, text in own], source, target)
                for (number, key, _), text in zip(own, texts, strict=True):
                    made[number][key] = text
            for number, task in enumerate(chunk):
                yield Translated(task, made[number], None)
