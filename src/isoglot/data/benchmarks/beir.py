"""Read a BEIR folder (corpus, queries and qrels) as a multilingual benchmark, with languages in the metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.core.short_repr import brief
from isoglot.data.benchmarks.benchmark import Benchmark, assemble, left_out
from isoglot.data.benchmarks.qrels import judgements
from isoglot.data.records import jsonl_records
from isoglot.languages.codes import known_code, normal_code
from isoglot.languages.table import given_codes, parse_codes

_REMEDY = (
    'Expected corpus lines {"_id", "title", "text", "metadata": {"lang": "de"}}, query lines {"_id", "text", '
    '"metadata": {"lang": "de", "group": "q17"}} and qrels lines query-id, corpus-id, score. Where no line names a '
    "language, as in BEIR's own folders, give it: `langs` with one code, such as en."
)


def load_beir(
    folder: Path, name: str | None = None, *, split: str = "test", langs: str | Iterable[str] | None = None
) -> Benchmark:
    """Read a BEIR folder whose queries and passages name their language in `metadata.lang`, or are all in one language.

    Translations of one question share `metadata.group` (a query without one is its own group). As in BEIR, queries
    without judgements in the split are left out; `notes` counts them. Scores are grades; below 1 means not relevant.

    Args:
        folder: contains corpus.jsonl, queries.jsonl (each may be gzipped) and qrels/SPLIT.tsv (or TREC qrels:
            SPLIT.qrels, SPLIT.txt).
        name: the name in reports; the folder's name if None.
        split: split of the qrels.
        langs: codes to keep, for queries and passages alike: several, or one text with commas; a single one is also
            the language of lines that name none.

    Raises:
        InputError: missing files or fields, qrels for unknown queries or passages, or repeated ids.
    """
    langs = langs if langs is None or isinstance(langs, str) else tuple(langs)
    problems, usual = Problems(), _only(langs)
    passages, no_passages = _texts(_file(folder, "corpus.jsonl"), problems, usual)
    queries, no_queries = _texts(_file(folder, "queries.jsonl"), problems, usual)
    path = _qrels(folder, split)
    answers: dict[str, dict[str, float]] = {}
    for line, query, passage, grade in _judged(path, problems, queries, no_queries):
        if passage in passages:
            answers.setdefault(query, {})[passage] = grade
        elif passage not in no_passages:
            problems.add(path, line, f"passage {passage!r} is not in corpus.jsonl")
    if not answers and not problems.count:
        problems.add(path, None, "judges no query")
    problems.raise_if_any(_REMEDY)
    known = tuple(sorted({entry[0] for entry in passages.values()}))
    kept = set(parse_codes(langs, known))
    # A query whose judged passages are all in languages that are not kept counts as unjudged.
    inside = {
        query: judged
        for query, found in answers.items()
        if (judged := {key: grade for key, grade in found.items() if passages[key][0] in kept})
    }
    asked = [(key, lang, group, text) for key, (lang, group, text) in queries.items() if lang in kept]
    judged_here = [query for query in asked if query[0] in inside]
    return assemble(
        name or folder.resolve().name,
        judged_here,
        [(key, lang, text) for key, (lang, _, text) in passages.items() if lang in kept],
        inside,
        left_out(len(asked) - len(judged_here)),
        by="query",
    )


@dataclass(frozen=True)
class BeirCorpus:
    """A BEIR folder whose passages are streamed from their file; a `StreamedCorpus`.

    Attributes:
        name: the name in reports.
        languages: language codes in alphabetical order.
        queries: (id, language, text) of each judged query.
        groups: query id -> group.
        answers: query id -> id of a relevant passage -> grade.
        folder, split: the arguments it was opened with.
        notes: remarks for reports.
    """

    name: str
    languages: tuple[str, ...]
    queries: list[tuple[str, str, str]]
    groups: dict[str, str]
    answers: dict[str, dict[str, float]]
    folder: Path
    split: str
    notes: tuple[str, ...] = ()

    __repr__ = brief

    @property
    def checksum(self) -> str:
        """SHA-256 of queries and judgements (reading all passages for it would take too long)."""
        digest = hashlib.sha256()
        for key, lang, text in self.queries:
            digest.update(repr((key, lang, text, self.groups[key], self.answers[key])).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def passages(self) -> Iterator[tuple[str, str, str]]:
        """Stream (id, language, title and text) of the corpus.

        Raises:
            InputError: lines are malformed; all are reported together.
        """
        problems = Problems()
        usual = self.languages[0] if len(self.languages) == 1 else None
        for _, key, lang, _, text in _entries(_file(self.folder, "corpus.jsonl"), problems, usual):
            if lang in self.languages:
                yield key, lang, text
        problems.raise_if_any(_REMEDY)

    def benchmark(self) -> Benchmark:
        """Load the whole benchmark into memory."""
        return load_beir(self.folder, self.name, split=self.split, langs=self.languages)


def stream_beir(
    folder: Path, name: str | None = None, *, split: str = "test", langs: str | Iterable[str] | None = None
) -> BeirCorpus:
    """Open a BEIR folder of any size: memory holds only its queries and judgements.

    Queries without judgements are left out, and so are passages in languages that have no judged query.

    Args:
        folder: as for `load_beir`.
        name: the name in reports; the folder's name if None.
        split: split of the qrels.
        langs: codes to keep, for queries and passages alike: several, or one text with commas; a single one is also
            the language of lines that name none.

    Raises:
        InputError: as for `load_beir`, or a relevant passage is in another language than its query, which would require
            ranking the passages of every language for every query.
    """
    langs = langs if langs is None or isinstance(langs, str) else tuple(langs)
    problems, usual = Problems(), _only(langs)
    queries, no_queries = _texts(_file(folder, "queries.jsonl"), problems, usual)
    path = _qrels(folder, split)
    judged = list(_judged(path, problems, queries, no_queries))
    wanted = {passage for _, _, passage, _ in judged}
    lang_of, available = _languages(_file(folder, "corpus.jsonl"), wanted, problems, usual)
    answers: dict[str, dict[str, float]] = {}
    for line, query, passage, grade in judged:
        if passage not in lang_of:
            problems.add(path, line, f"passage {passage!r} is not in corpus.jsonl")
        elif lang_of[passage]:
            relevant = answers.setdefault(query, {})
            if grade >= 1:
                relevant[passage] = grade
    problems.raise_if_any(_REMEDY)
    for query, relevant in answers.items():
        if any(lang_of[passage] != queries[query][0] for passage in relevant):
            raise InputError(
                f"{path}: judges passages in another language than the query's (such as query {query!r}); a streamed "
                "corpus is searched in each query's language and in all together, so open this one in memory"
            )
    kept = set(parse_codes(langs, tuple(sorted(available))))
    asked = [(key, lang, text) for key, (lang, _, text) in queries.items() if lang in kept]
    chosen = [query for query in asked if query[0] in answers]
    if not any(answers[key] for key, _, _ in chosen):
        raise InputError(f"{path}: no query of {', '.join(sorted(kept))} has a relevant passage")
    return BeirCorpus(
        name or folder.resolve().name,
        tuple(sorted({lang for _, lang, _ in chosen})),
        chosen,
        {key: queries[key][1] for key, _, _ in chosen},
        {key: answers[key] for key, _, _ in chosen},
        folder,
        split,
        left_out(len(asked) - len(chosen)),
    )


def _only(langs: str | tuple[str, ...] | None) -> str | None:
    """Return the language of lines that name none: that of `langs` if it is a single one, else None."""
    codes = given_codes(langs) or ()
    return known_code(codes[0]) if len(codes) == 1 else None


def _judged(
    path: Path, problems: Problems, queries: Container[str], no_queries: Container[str]
) -> Iterator[tuple[int, str, str, float]]:
    """Yield (line, query, passage, grade) of the judgements of valid queries."""
    for line, query, passage, grade in judgements(path, problems):
        if query in queries:
            yield line, query, passage, grade
        elif query not in no_queries:
            problems.add(path, line, f"query {query!r} is not in queries.jsonl")


def _languages(
    path: Path, wanted: Container[str], problems: Problems, usual: str | None
) -> tuple[dict[str, str], set[str]]:
    """Return the languages of some passages, "" of an invalid one, and those of all passages."""
    lang_of: dict[str, str] = {}
    available: set[str] = set()
    for _, key, lang, _, _ in _entries(path, problems, usual):
        if lang:
            available.add(lang)
        if key in wanted:
            lang_of[key] = lang
    return lang_of, available


def _texts(path: Path, problems: Problems, usual: str | None) -> tuple[dict[str, tuple[str, str, str]], set[str]]:
    """Return id -> (language, group, text), and the ids of invalid records, which the qrels may still judge."""
    found: dict[str, tuple[str, str, str]] = {}
    refused: set[str] = set()
    for line, key, lang, group, text in _entries(path, problems, usual):
        if not lang:
            refused.add(key)
        elif key in found:
            problems.add(path, line, f"id {key!r} is used twice")
        else:
            found[key] = (lang, group, text)
    return found, refused


def _entries(path: Path, problems: Problems, usual: str | None) -> Iterator[tuple[int, str, str, str, str]]:
    """Yield (line, id, language, group, title and text) of each record with an id; language is "" if it is invalid."""
    for line, record in jsonl_records(path, problems):
        if not isinstance(record, dict):
            problems.add(path, line, f"expected a JSON object, got {type(record).__name__}")
            continue
        key, text, about = record.get("_id"), record.get("text"), record.get("metadata")
        lang = (about.get("lang") if isinstance(about, dict) else None) or usual
        wrong = [
            label
            for label, value in (("_id", key), ("text", text), ("metadata.lang", lang))
            if not isinstance(value, str) or (label != "text" and not value)
        ]
        if wrong:
            problems.add(path, line, f"no text in {', '.join(wrong)}")
            if isinstance(key, str):
                yield line, key, "", "", ""
        elif known_code(str(lang)) is None:
            problems.add(path, line, f"metadata.lang {lang!r} is not a language code such as 'de'")
            yield line, str(key), "", "", ""
        else:
            title = record.get("title")
            group = about.get("group") if isinstance(about, dict) else None
            full = f"{title} {text}" if isinstance(title, str) and title else str(text)
            yield line, str(key), normal_code(str(lang)), str(key if group is None else group), full


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InputError(f"{folder / name}: no such file; a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/")


def _qrels(folder: Path, split: str) -> Path:
    """Return the path of the qrels: BEIR's own file, or one in TREC's format in its place."""
    endings = (".tsv", ".qrels", ".txt")
    places = [folder / "qrels" / f"{split}{ending}" for ending in endings]
    found = next((path for path in places if path.is_file()), None)
    others = sorted({path.stem for ending in endings for path in (folder / "qrels").glob(f"*{ending}")})
    if found is None and others:
        raise InputError(
            f"{places[0]}: no such file; give one of the splits that are there as `split`: {', '.join(others)}"
        )
    return found or places[0]
