"""Build rows from generated questions, and check the questions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from isoglot.core.short_repr import brief
from isoglot.curation.filtering import quotes
from isoglot.curation.generation.prompts import GeneratedQuestions, generation_question
from isoglot.curation.generation.subjects import Subject
from isoglot.curation.language_model.chat import Chat
from isoglot.curation.language_model.outcome import Outcome
from isoglot.data.near_duplicates import NEAR, jaccard
from isoglot.data.rows import Row
from isoglot.languages.checking import in_language, in_script
from isoglot.languages.detection import identifier_if_there

_LONGEST = 300  # characters of a question


@dataclass
class Generated(Outcome):
    """Counts of a run, including the number of passages that questions were generated for."""

    passages: int = 0

    __repr__ = brief

    def reject(self, subject: Subject, lang: str, question: str, reason: str) -> None:
        """Record a question that gives no row."""
        self.reasons[reason] += 1
        entry = {"passage": subject.name, "dataset": subject.dataset, "lang": lang, "query": question, "reason": reason}
        self.rejects.append({key: value for key, value in entry.items() if value})


def generate_rows(
    subjects: Iterable[Subject],
    chat: Chat,
    outcome: Generated,
    *,
    langs: Sequence[str] = (),
    count: int = 1,
    examples: Sequence[Row] = (),
) -> Iterator[Row]:
    """Stream rows of generated questions; a group is one question in all its languages.

    In a language in which the passage does not exist, the row's passage is the summary generated with the questions.

    Args:
        subjects: the passages.
        chat: the endpoint.
        outcome: receives counts and rejected questions.
        langs: languages of the questions; that of the passage when empty.
        count: questions per passage.
        examples: rows that show the model what kind of question to write.
    """

    def questions() -> Iterator[Any]:
        for subject in subjects:
            yield generation_question(subject, langs or (subject.lang,), count, examples)

    for subject, asked, fault in chat.ask_all(questions()):
        outcome.passages += 1
        if asked is None:
            outcome.reject(subject, "", "", str(fault))
            continue
        for row in _rows(subject, asked, langs or (subject.lang,), count, chat.settings.model, outcome):
            outcome.rows += 1
            yield row


def _rows(
    subject: Subject, asked: GeneratedQuestions, langs: Sequence[str], count: int, model: str, outcome: Generated
) -> Iterator[Row]:
    kept: dict[str, list[str]] = {lang: [] for lang in langs}
    for number, versions in enumerate(asked.questions[:count], 1):
        for lang in langs:
            question = versions.get(lang)
            passage, title = subject.versions.get(lang) or (asked.summaries.get(lang), None)
            if question is None:
                outcome.reject(subject, lang, "", "no question in this language")
                continue
            reason = "no summary in this language" if passage is None else question_fault(question, passage, lang)
            if reason is None and any(jaccard(question, other) >= NEAR for other in kept[lang]):
                reason = "nearly repeats another question"
            if reason is not None or passage is None:
                outcome.reject(subject, lang, question, str(reason))
                continue
            kept[lang].append(question)
            yield Row(
                group=f"{subject.name}#q{number}",
                lang=lang,
                query=question,
                passage=passage,
                dataset=subject.dataset,
                title=title,
                topic=subject.topic,
                generated_by=model,
            )


def question_fault(question: str, passage: str, lang: str) -> str | None:
    """Return what is wrong with a generated question, or None."""
    if not any(map(str.isalpha, question)):
        return "no words"
    if len(question) > _LONGEST:
        return f"longer than {_LONGEST} characters"
    if quotes(question, passage):
        return "quotes its passage"
    if not in_script(question, lang):
        return f"not in the script of {lang}"
    identify = identifier_if_there()
    return f"not in {lang}" if identify is not None and not in_language(question, lang, identify) else None
