"""Check the dicts passed to `Benchmark.from_dicts` and convert them to the parts of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.data.benchmarks.qrels import grade_of
from isoglot.languages.codes import known_code, normal_code

_REMEDY = (
    "Expected queries={id: text}, passages={id: text}, qrels={query id: {passage id: grade}} and languages={id: code}, "
    "with the same ids throughout."
)


class Parts(NamedTuple):
    """The parts of a benchmark.

    Attributes:
        queries: (id, language, group, text) of each query that has judgements.
        candidates: (id, language, text) of each passage.
        answers: query id -> candidate id -> grade.
        unjudged: number of queries without judgements.
    """

    queries: list[tuple[str, str, str, str]]
    candidates: list[tuple[str, str, str]]
    answers: dict[str, dict[str, float]]
    unjudged: int


def checked_dicts(
    queries: Mapping[str, str],
    passages: Mapping[str, str | Mapping[str, str]],
    qrels: Mapping[str, Mapping[str, float]],
    languages: Mapping[str, str] | str,
    groups: Mapping[str, str],
) -> Parts:
    """Check the arguments of `Benchmark.from_dicts` and return the parts of the benchmark.

    Raises:
        InputError: reports all problems together.
    """
    problems = Problems()
    given = {"queries": queries, "passages": passages, "qrels": qrels, "groups": groups}
    if not isinstance(languages, str):
        given["languages"] = languages
    for label, value in given.items():
        if not isinstance(value, Mapping):
            problems.add(label, None, f"expected a dict, got {type(value).__name__}")
    if isinstance(languages, str) and known_code(languages) is None:
        problems.add("languages", None, f"{languages!r} is not a language code such as 'de'")
    problems.raise_if_any(_REMEDY)
    asked = {key: text for key in queries if (text := _text("queries", key, queries[key], problems)) is not None}
    texts = {key: text for key in passages if (text := _text("passages", key, passages[key], problems)) is not None}
    lang = {key: _language(key, languages, problems) for key in (*asked, *texts)}
    answers = {str(query): _judged(query, found, queries, passages, problems) for query, found in qrels.items()}
    for key in groups:
        if key not in queries:
            problems.add("groups", None, f"query {key!r} is not in queries")
    if not problems.count and not any(grade >= 1 for found in answers.values() for grade in found.values()):
        problems.add("qrels", None, "no query has a relevant passage (a grade of 1 or more)")
    problems.raise_if_any(_REMEDY)
    return Parts(
        [(key, lang[key], _group(key, groups), text) for key, text in asked.items() if key in answers],
        [(key, lang[key], text) for key, text in texts.items()],
        answers,
        len(asked.keys() - answers.keys()),
    )


def _text(label: str, key: Any, value: Any, problems: Problems) -> str | None:
    title = None
    if isinstance(value, Mapping):
        title, value = value.get("title"), value.get("text")
    if not isinstance(key, str) or not key:
        problems.add(label, None, f"id {key!r} is not a text")
    elif not isinstance(value, str) or (label == "queries" and not value.strip()):
        problems.add(label, None, f"{key!r} is {value!r}; expected a text")
    else:
        return f"{title} {value}" if title else value
    return None


def _group(key: str, groups: Mapping[str, Any]) -> str:
    """Return a query's group, or its id if it has none (missing, or None or NaN as in data frames)."""
    group = groups.get(key)
    return key if group is None or group != group else str(group)


def _language(key: str, languages: Mapping[str, str] | str, problems: Problems) -> str:
    code = languages if isinstance(languages, str) else languages.get(key)
    if code is None:
        problems.add("languages", None, f"no language for {key!r}")
        return ""
    try:
        return normal_code(code)
    except (InputError, AttributeError, TypeError):
        problems.add("languages", None, f"{key!r} is {code!r}, not a language code such as 'de'")
        return ""


def _judged(
    query: Any, found: Any, queries: Mapping[str, Any], passages: Mapping[str, Any], problems: Problems
) -> dict[str, float]:
    """Check and return the grades of one query."""
    if query not in queries:
        problems.add("qrels", None, f"query {query!r} is not in queries")
    if not isinstance(found, Mapping):
        problems.add("qrels", None, f"{query!r} has {type(found).__name__}; expected {{passage id: grade}}")
        return {}
    grades: dict[str, float] = {}
    for passage, value in found.items():
        grade = grade_of(value)
        if passage not in passages:
            problems.add("qrels", None, f"passage {passage!r} of query {query!r} is not in passages")
        elif grade is None:
            problems.add("qrels", None, f"grade {value!r} of {query!r} and {passage!r} is not a number")
        else:
            grades[passage] = grade
    return grades
