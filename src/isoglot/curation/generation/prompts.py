"""Prompts that summarise, then ask (SWIM-IR, arXiv 2311.05800): one request per passage, for all languages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from isoglot.core.chat_completions import json_object
from isoglot.curation.generation.subjects import Subject
from isoglot.curation.language_model.chat import Question
from isoglot.data.rows import Row
from isoglot.languages.table import language

_ASK = """Read this passage, which is in {source}.

{passage}

First summarise it in two or three sentences, in each of these languages: {summaries}.
Then write {count} different questions that the passage answers, as people would type them who have not seen it,
each in each of these languages: {langs}.
A question names what it is about, does not mention the passage, and does not copy its sentences.
{examples}
Answer with one JSON object only: {{"summaries": {{CODE: text}}, "questions": [{{CODE: question}}]}},
where CODE is the language's code as given in brackets."""
_QUESTION_TOKENS, _SUMMARY_TOKENS = 64, 256
_SHOWN = 300  # characters of an example's passage
_EXAMPLES = 3


class GeneratedQuestions(NamedTuple):
    """A parsed answer: summaries by language, and a list of questions, each by language."""

    summaries: dict[str, str]
    questions: list[dict[str, str]]


def generation_question(
    subject: Subject, langs: Sequence[str], count: int, examples: Sequence[Row] = ()
) -> Question[GeneratedQuestions]:
    """Return the request for questions about a passage; its subject is the `Subject`.

    Args:
        subject: the passage.
        langs: languages of the questions.
        count: number of questions.
        examples: rows to show as examples; three of them are chosen, depending on the passage.
    """
    # Always summarise in the passage's own language first, so that the questions are about its content.
    summaries = list(dict.fromkeys([subject.lang, *(code for code in langs if code not in subject.versions)]))
    shown = sorted(examples, key=lambda row: _draw(subject.name, row.group, row.lang))
    parts = [f"\nPassage: {row.passage[:_SHOWN]}\nQuestion: {row.query}" for row in shown[:_EXAMPLES]]
    prompt = _ASK.format(
        source=_named([subject.lang]),
        passage=f"{subject.title}\n{subject.text}" if subject.title else subject.text,
        summaries=_named(summaries),
        langs=_named(langs),
        count=count,
        examples="\nQuestions such as these are wanted:\n" + "\n".join(parts) + "\n" if parts else "",
    )
    most = count * len(langs) * _QUESTION_TOKENS + len(summaries) * _SUMMARY_TOKENS + _QUESTION_TOKENS
    return Question(subject, prompt, _reader(set(langs)), most)


def _draw(*names: str) -> bytes:
    return hashlib.blake2b("\0".join(names).encode()).digest()


def _named(codes: Sequence[str]) -> str:
    return ", ".join(f"{language(code).name} ({code})" for code in codes)


def _reader(langs: set[str]) -> Callable[[str], GeneratedQuestions]:
    def read(answer: str) -> GeneratedQuestions:
        record = json_object(answer, ["questions"])
        given, summaries = record["questions"], record.get("summaries")
        if not isinstance(given, list):
            raise ValueError("an answer whose questions are not a list")
        questions = [_texts(entry) for entry in given if isinstance(entry, dict)]
        if not any(langs & entry.keys() for entry in questions):
            raise ValueError("an answer without questions in the languages asked for")
        return GeneratedQuestions(_texts(summaries) if isinstance(summaries, dict) else {}, questions)

    return read


def _texts(entry: dict[object, object]) -> dict[str, str]:
    return {str(key): " ".join(text.split()) for key, text in entry.items() if isinstance(text, str) and text.strip()}
