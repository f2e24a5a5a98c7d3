"""XQuAD-R and MLQA-R in LAReQA's layout (Roy et al., arXiv 2004.05484): one JSON file per language.

A candidate is one sentence of a paragraph, identified by its position; the sentence with
`start <= answer_start < end` answers the question. Question ids are the same in all languages: they are the groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.core.problems import Problems
from isoglot.data.benchmarks.benchmark import Benchmark, assemble
from isoglot.data.rows import has_surrogate
from isoglot.languages.codes import known_code
from isoglot.languages.table import parse_codes

# (questions, candidates) of each published file (source: LAReQA's repository; SHA-256 in `download`).
PUBLISHED: dict[str, dict[str, tuple[int, int]]] = {
    "xquad-r": {
        "ar": (1190, 1222),
        "de": (1190, 1276),
        "el": (1190, 1234),
        "en": (1190, 1180),
        "es": (1190, 1215),
        "hi": (1190, 1244),
        "ru": (1190, 1219),
        "th": (1190, 852),
        "tr": (1190, 1167),
        "vi": (1190, 1209),
        "zh": (1190, 1196),
    },
    "mlqa-r": {
        "ar": (517, 2545),
        "de": (512, 2362),
        "en": (1148, 6264),
        "es": (500, 1787),
        "hi": (507, 2426),
        "vi": (511, 2828),
        "zh": (504, 2322),
    },
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One candidate: its position, its text, and the paragraph around it."""

    lang: str
    article: int
    paragraph: int
    sentence: int
    text: str
    context: str

    @property
    def id(self) -> str:
        """The position as an id, such as `de:3:0:7`."""
        return f"{self.lang}:{self.article}:{self.paragraph}:{self.sentence}"


@dataclass(frozen=True, slots=True)
class Question:
    """One question with the sentence that answers it."""

    group: str
    lang: str
    text: str
    gold: Sentence


def load_lareqa(
    folder: Path | str, name: str | None = None, *, langs: str | Iterable[str] | None = None, with_context: bool = False
) -> Benchmark:
    """Read a folder of LAReQA files as a benchmark.

    Args:
        folder: contains `{lang}.json` of some or all languages.
        name: `xquad-r` or `mlqa-r` (then counts are checked against the published ones), or any other name; the
            folder's name if None.
        langs: codes to keep, for queries and candidates alike: several, or one text with commas.
        with_context: encode each sentence followed by its whole paragraph instead of alone.

    Raises:
        InputError: no files, broken JSON, missing fields, a question that no sentence answers, or counts that differ
            from the published ones.
    """
    folder = Path(folder)
    label = name or folder.name
    queries, candidates, answers = [], [], dict[str, list[str]]()
    contexts: dict[str, str] = {}
    for lang, sentences, questions in read_lareqa(folder, langs, published=PUBLISHED.get(label, {})):
        candidates += [(s.id, lang, f"{s.text} {s.context}" if with_context else s.text) for s in sentences]
        contexts |= {s.id: s.context for s in sentences}
        for question in questions:
            queries.append((f"{lang}:{question.group}", lang, question.group, question.text))
            answers.setdefault(question.group, []).append(question.gold.id)
    notes = ("candidates are sentences followed by their paragraph",) if with_context else ()
    return assemble(label, queries, candidates, answers, notes, contexts=None if with_context else contexts)


def read_lareqa(
    folder: Path, langs: str | Iterable[str] | None = None, published: dict[str, tuple[int, int]] | None = None
) -> Iterator[tuple[str, list[Sentence], list[Question]]]:
    """Yield (language, candidates, questions) of each file of a folder, languages in alphabetical order.

    Args:
        folder: contains `{lang}.json` files.
        langs: codes to keep: several, or one text with commas.
        published: language -> expected (questions, candidates); not checked if None.

    Raises:
        InputError: as for `load_lareqa`.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one that holds {{lang}}.json files in LAReQA's layout")
    available = tuple(sorted(path.stem for path in folder.glob("*.json")))
    if not available:
        raise InputError(f"{folder}: no {{lang}}.json files here; expected LAReQA's layout, one file a language")
    problems = Problems()
    for stem in parse_codes(langs, available):
        path = folder / f"{stem}.json"
        lang = known_code(stem)
        if lang is None:
            problems.add(path, None, f"named {stem!r}, which is not a language code such as 'de'")
            continue
        sentences, questions = _read_file(path, lang, problems)
        seen, wanted = (len(questions), len(sentences)), (published or {}).get(lang)
        if wanted and seen != wanted and not problems.count:
            problems.add(
                path,
                None,
                f"{seen[0]} questions and {seen[1]} sentences; the published file has {wanted[0]} and {wanted[1]} "
                "(your own questions in this layout: name the folder itself as the benchmark)",
            )
        yield lang, sentences, questions
    problems.raise_if_any(
        "Expected the published LAReQA files (fields: context, sentences, sentence_breaks, qas)."
        if published
        else "Expected LAReQA's layout (fields: context, sentences, sentence_breaks, qas)."
    )


def _read_file(path: Path, lang: str, problems: Problems) -> tuple[list[Sentence], list[Question]]:
    sentences: list[Sentence] = []
    questions: dict[str, Question] = {}
    for a, p, paragraph in _paragraphs(path, problems):
        place = f"article {a}, paragraph {p}"
        try:
            for message in _add_paragraph(paragraph, lang, (a, p), sentences, questions):
                problems.add(path, None, f"{place}: {message}")
        except (KeyError, TypeError, IndexError, ValueError) as error:
            problems.add(path, None, f"{place}: field missing or of the wrong kind ({type(error).__name__}: {error})")
    return sentences, list(questions.values())


def _paragraphs(path: Path, problems: Problems) -> Iterator[tuple[int, int, Any]]:
    """Yield (number of the article, number of the paragraph in it, paragraph)."""
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise InputError(f"{path}: no list 'data' at the top; expected LAReQA's layout")
    for a, article in enumerate(content["data"]):
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            problems.add(path, None, f"article {a}: no list 'paragraphs'")
            continue
        for p, paragraph in enumerate(paragraphs):
            yield a, p, paragraph


def _add_paragraph(
    paragraph: Any, lang: str, place: tuple[int, int], sentences: list[Sentence], questions: dict[str, Question]
) -> Iterator[str]:
    """Add a paragraph's sentences and questions, and yield what is wrong with them.

    Raises:
        KeyError, TypeError, IndexError, ValueError: a field is missing or of the wrong kind.
    """
    context, breaks, texts = paragraph["context"], paragraph["sentence_breaks"], paragraph["sentences"]
    if len(texts) != len(breaks):
        yield f"{len(texts)} sentences but {len(breaks)} sentence_breaks"
        return
    own = [Sentence(lang, *place, s, str(text), context) for s, text in enumerate(texts)]
    if has_surrogate("".join([context, *map(str, texts)])):
        yield "half of a surrogate pair, which is no character"
    sentences += own
    for qa in paragraph["qas"]:
        key, question = str(qa["id"]), str(qa["question"])
        gold = _gold(qa["answers"][0]["answer_start"], breaks)
        if gold is None:
            yield f"no sentence holds the answer of question {key}"
        elif key in questions:
            yield f"question id {key} is used twice"
        elif has_surrogate(key + question):
            yield f"question {key!r} holds half of a surrogate pair"
        else:
            questions[key] = Question(key, lang, question, own[gold])


def _gold(start: int, breaks: list[Any]) -> int | None:
    """Return the index of the sentence with begin <= start < end; breaks are [begin, end], with gaps of white space."""
    for index, (begin, end) in enumerate(breaks):
        if begin <= start < end:
            return index
    return None
