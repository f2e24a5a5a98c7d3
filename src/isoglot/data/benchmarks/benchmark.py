"""A retrieval benchmark in several languages: queries, candidates and relevance judgements."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.short_repr import brief, few
from isoglot.data.benchmarks.dicts import checked_dicts
from isoglot.data.prepared import Prepared
from isoglot.languages.codes import normal_code


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts sorted by language, each with an id and a language number."""

    ids: list[str]
    texts: list[str]
    lang: NDArray[np.int16]

    __repr__ = brief

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Queries and one pool of candidates, with all languages together.

    `==` compares identity; to compare the content, compare `checksum`.

    Attributes:
        name: the name in reports.
        languages: language codes in alphabetical order, indexed by language number.
        queries, candidates: the texts, sorted by language.
        group: (queries,) group number of each query; translations of one question share it. (group, language) is
            unique.
        groups: group names, indexed by group number.
        gold_offsets, gold: relevant candidates of query q: `gold[gold_offsets[q]:gold_offsets[q + 1]]`. As in
            trec_eval, a candidate with a grade below 1 is not relevant and is left out.
        grades: float32, the grade of each entry of `gold`, at least 1; all 1 if relevance is binary.
        notes: remarks for reports.
        contexts: the text around each candidate, such as a sentence's paragraph; None if unknown.
    """

    name: str
    languages: tuple[str, ...]
    queries: Texts
    candidates: Texts
    group: NDArray[np.int64]
    groups: list[str]
    gold_offsets: NDArray[np.int64]
    gold: NDArray[np.int64]
    grades: NDArray[np.float32]
    notes: tuple[str, ...] = field(default=())
    contexts: list[str] | None = None

    def __repr__(self) -> str:
        return (
            f"<Benchmark {self.name}: {len(self.queries)} queries in {len(self.groups)} groups, "
            f"{len(self.candidates)} candidates, {len(self.gold)} relevant, languages {few(self.languages)}>"
        )

    @property
    def checksum(self) -> str:
        """SHA-256 of ids, texts and relevance; equal for equal benchmarks."""
        digest = hashlib.sha256()
        for part in (self.queries, self.candidates):
            for key, text in zip(part.ids, part.texts, strict=True):
                digest.update(f"{key}\0{text}\0".encode())
        digest.update(self.gold_offsets.tobytes() + self.gold.tobytes())
        if (self.grades != 1).any():
            digest.update(self.grades.tobytes())
        return digest.hexdigest()

    @staticmethod
    def from_dicts(
        queries: Mapping[str, str],
        passages: Mapping[str, str | Mapping[str, str]],
        qrels: Mapping[str, Mapping[str, float]],
        languages: Mapping[str, str] | str,
        *,
        groups: Mapping[str, str] | None = None,
        name: str = "benchmark",
    ) -> Benchmark:
        """Create a benchmark from plain dicts as used by BEIR's loader and pytrec_eval.

        Args:
            queries: query id -> text.
            passages: passage id -> text, or `{"title": ..., "text": ...}`.
            qrels: query id -> passage id -> grade; below 1 means not relevant. Queries without judgements are left out
                and counted in `notes`.
            languages: id -> language code, for queries and passages; or one code for all.
            groups: query id -> group, which translations of one question share; a query not listed is its own group.
            name: the name in reports.

        Raises:
            InputError: unknown ids, ids without a language, values that are not texts, or no relevant passage at all;
                all problems are reported together.

        Example:
            >>> from isoglot import Benchmark
            >>> benchmark = Benchmark.from_dicts(
            ...     queries={"q1": "Wer schrieb das?", "q2": "Who wrote that?"},
            ...     passages={"p1": "Das schrieb Grimm.", "p2": "Grimm wrote that."},
            ...     qrels={"q1": {"p1": 2, "p2": 1}, "q2": {"p2": 1}},
            ...     languages={"q1": "de", "p1": "de", "q2": "en", "p2": "en"},
            ...     groups={"q1": "author", "q2": "author"},
            ... )
            >>> benchmark.languages, benchmark.relevant(0).tolist(), benchmark.grades.tolist()
            (('de', 'en'), [0, 1], [2.0, 1.0, 1.0])
        """
        parts = checked_dicts(queries, passages, qrels, languages, {} if groups is None else groups)
        notes = left_out(parts.unjudged)
        return assemble(name, parts.queries, parts.candidates, parts.answers, notes, by="query")

    def relevant(self, query: int) -> NDArray[np.int64]:
        """Return the positions of the candidates that are relevant to a query."""
        return self.gold[self.gold_offsets[query] : self.gold_offsets[query + 1]]


# Ids of relevant candidates, or candidate id -> grade.
Answers = Iterable[str] | Mapping[str, float]


def assemble(
    name: str,
    queries: list[tuple[str, str, str, str]],
    candidates: list[tuple[str, str, str]],
    answers: Mapping[str, Answers],
    notes: tuple[str, ...] = (),
    *,
    by: Literal["group", "query"] = "group",
    contexts: Mapping[str, str] | None = None,
) -> Benchmark:
    """Build a benchmark from its parts.

    Args:
        name: the name in reports.
        queries: (id, language, group, text) of each query.
        candidates: (id, language, text) of each candidate; ids must be unique, texts may repeat.
        answers: group (or query id, see `by`) -> ids of the relevant candidates in any language, or a mapping of
            candidate ids to grades, of which those below 1 mean not relevant.
        notes: remarks for reports.
        by: whether the keys of `answers` are groups or query ids.
        contexts: candidate id -> the text around it; None if unknown.

    Raises:
        InputError: no queries, no candidates, a language with queries but without candidates, repeated ids, two
            queries of one group in one language, or an answer that is not a candidate.
    """
    if not queries or not candidates:
        raise InputError(f"benchmark {name}: {len(queries)} queries and {len(candidates)} candidates; both are needed")
    queries = [(key, normal_code(lang), group, text) for key, lang, group, text in queries]
    candidates = [(key, normal_code(lang), text) for key, lang, text in candidates]
    languages = tuple(sorted({entry[1] for entry in queries} | {entry[1] for entry in candidates}))
    number = {code: index for index, code in enumerate(languages)}
    queries = sorted(queries, key=lambda entry: number[entry[1]])
    candidates = sorted(candidates, key=lambda entry: number[entry[1]])
    _check_texts(name, queries, candidates)
    position = {entry[0]: index for index, entry in enumerate(candidates)}
    graded = {key: {one: grade for one, grade in _grades(found) if grade >= 1} for key, found in answers.items()}
    absent = sorted({key for found in graded.values() for key in found} - position.keys())
    if absent:
        raise InputError(
            f"benchmark {name}: {len(absent)} relevant passages are not in the corpus ({', '.join(absent[:3])}); "
            "take them out of the qrels or add them to the corpus"
        )
    groups = sorted({entry[2] for entry in queries})
    group_number = {key: index for index, key in enumerate(groups)}
    key_of = 2 if by == "group" else 0
    golds = [
        sorted((position[key], grade) for key, grade in graded.get(entry[key_of], {}).items()) for entry in queries
    ]
    lengths = [len(gold) for gold in golds]
    return Benchmark(
        name=name,
        languages=languages,
        queries=_texts([(key, lang, text) for key, lang, _, text in queries], number),
        candidates=_texts(candidates, number),
        group=np.array([group_number[entry[2]] for entry in queries], dtype=np.int64),
        groups=groups,
        gold_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        gold=np.array([candidate for gold in golds for candidate, _ in gold], dtype=np.int64),
        grades=np.array([grade for gold in golds for _, grade in gold], dtype=np.float32),
        notes=notes,
        contexts=None if contexts is None else [contexts[entry[0]] for entry in candidates],
    )


def _check_texts(name: str, queries: list[tuple[str, str, str, str]], candidates: list[tuple[str, str, str]]) -> None:
    """Check for languages with queries only, repeated ids, and two queries of one group in one language.

    Raises:
        InputError: any of these occurs.
    """
    bare = sorted({entry[1] for entry in queries} - {entry[1] for entry in candidates})
    if bare:
        raise InputError(
            f"benchmark {name}: queries but no candidates in {', '.join(bare)}; add passages in it, or leave its "
            "queries out"
        )
    for what, entries in (("candidate", candidates), ("query", queries)):
        twice = sorted(key for key, count in Counter(entry[0] for entry in entries).items() if count > 1)
        if twice:
            raise InputError(
                f"benchmark {name}: {len(twice)} {what} ids repeat ({', '.join(twice[:3])}); give each text its own id"
            )
    shared = [entry for entry, count in Counter(entry[1:3] for entry in queries).items() if count > 1]
    if shared:
        lang, group = shared[0]
        ids = ", ".join(repr(entry[0]) for entry in queries if entry[1:3] == shared[0])
        raise InputError(
            f"benchmark {name}: two queries of one group in one language ({ids} of {group!r} in {lang}); give each its "
            "own group"
        )


def left_out(unjudged: int) -> tuple[str, ...]:
    """Return the note that queries without judgements are left out; empty if there are none."""
    have = "query without judgements is" if unjudged == 1 else "queries without judgements are"
    return (f"{unjudged} {have} left out",) if unjudged else ()


def from_rows(prepared: Prepared, name: str = "rows") -> Benchmark:
    """Use parallel rows as a benchmark.

    Candidates are the distinct (language, passage) texts; those in the query's component are relevant.

    Args:
        prepared: prepared rows.
        name: the name in reports.
    """
    table = prepared.table
    component = np.asarray(table.component)
    lang = np.asarray(table.lang)
    candidates: dict[tuple[int, str], str] = {}
    used: set[str] = set()
    queries: dict[str, tuple[str, str, str, str]] = {}
    answers: dict[str, list[str]] = {}
    of_component: dict[int, list[str]] = {}
    columns: Any = zip(
        prepared.passages(),
        prepared.column("query"),
        prepared.column("group"),
        prepared.column("dataset"),
        strict=True,
    )
    for row, (passage, query, group, dataset) in enumerate(columns):
        code = table.languages[lang[row]]
        key = f"{dataset}/{group}" if len(table.datasets) > 1 else group
        if (int(lang[row]), passage) not in candidates:
            # If a query has several passages, a number makes their ids unique.
            names = (f"{code}:{key}{f'#{number}' if number else ''}" for number in count())
            candidates[int(lang[row]), passage] = own = next(name for name in names if name not in used)
            used.add(own)
            of_component.setdefault(int(component[row]), []).append(own)
        queries[f"{code}:{key}:q"] = (f"{code}:{key}:q", code, key, query)
        answers[key] = of_component.setdefault(int(component[row]), [])
    entries = [(key, table.languages[code], text) for (code, text), key in candidates.items()]
    notes = [
        f"{dataset} is bitext, where a text is its own query: results in the query's language say nothing about a "
        "retriever, read the cross-lingual setting"
        for dataset in table.cross_only
    ]
    return assemble(name, list(queries.values()), entries, answers, tuple(notes))


def _grades(answers: Answers) -> Iterable[tuple[str, float]]:
    return answers.items() if isinstance(answers, Mapping) else ((key, 1.0) for key in answers)


def _texts(entries: list[tuple[str, str, str]], number: dict[str, int]) -> Texts:
    return Texts(
        ids=[entry[0] for entry in entries],
        texts=[entry[2] for entry in entries],
        lang=np.array([number[entry[1]] for entry in entries], dtype=np.int16),
    )
