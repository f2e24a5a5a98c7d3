"""MIRACL dev (Zhang et al., TACL 2023): 18 languages, from its original files or from Parquet re-uploads.

Original: `topics/topics.miracl-v1.0-LANG-dev.tsv` and `qrels/qrels.miracl-v1.0-LANG-dev.tsv` in `miracl-v1.0-LANG`,
and `miracl-corpus-v1.0-LANG/docs-*.jsonl.gz`. Parquet: folders `LANG-queries`, `LANG-qrels`, `LANG-corpus` (or
`LANG/queries` and so on). Languages share document ids, so all ids are prefixed with their language.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.core.short_repr import brief
from isoglot.data.benchmarks.benchmark import Benchmark, assemble, left_out
from isoglot.data.benchmarks.named import Subset
from isoglot.data.benchmarks.qrels import grade_of, unambiguous
from isoglot.data.hub_files import fetch_from_hub
from isoglot.data.parquet_rows import columns_named, parquet_rows
from isoglot.data.records import jsonl_records, table_rows
from isoglot.languages.codes import known_code
from isoglot.languages.table import parse_codes

LANGUAGES = ("ar", "bn", "de", "en", "es", "fa", "fi", "fr", "hi", "id", "ja", "ko", "ru", "sw", "te", "th", "yo", "zh")
# Parquet re-uploads with their revisions; the hard negatives are the union of three retrievers' top 250.
HUB: dict[Subset, str] = {
    "full": "mteb/MIRACLRetrieval@9c09abc13478308c27598f350e31d8f06b9b5481",
    "hard-negatives": "mteb/MIRACLRetrievalHardNegatives@d7d94fa4b946cec4a27c84653aa0cf6b33f74a3c",
}
_REMEDY = "Expected MIRACL's topics (id, text), TREC qrels (query, Q0, passage, grade) and corpus (docid, title, text)."
_TEXT = {"id": ("_id", "id", "docid", "query_id"), "title": ("title", ""), "text": ("text", "query")}
_QRELS = {"query": ("query-id", "query_id"), "passage": ("corpus-id", "corpus_id", "docid"), "grade": ("score",)}


@dataclass(frozen=True)
class Miracl:
    """MIRACL dev with queries and judgements in memory and passages streamed from their files; a `StreamedCorpus`.

    Attributes:
        languages: language codes in alphabetical order.
        queries: (id, language, text) of each judged query; ids are prefixed with their language.
        answers: query id -> id of a relevant passage -> grade, at least 1; a query may have no relevant passage.
        judged: ids of all judged passages, relevant or not.
        files: language -> files of its corpus.
        subset: full or hard-negatives; decides the name in reports.
        notes: remarks for reports.
    """

    languages: tuple[str, ...]
    queries: list[tuple[str, str, str]]
    answers: dict[str, dict[str, float]]
    judged: frozenset[str]
    files: dict[str, list[Path]]
    subset: Subset
    notes: tuple[str, ...] = ()

    __repr__ = brief

    @property
    def name(self) -> str:
        """The name in reports."""
        return "miracl-dev" if self.subset == "full" else "miracl-dev-hard-negatives"

    @property
    def checksum(self) -> str:
        """SHA-256 of queries, judgements and subset (reading all passages for it would take too long)."""
        digest = hashlib.sha256(self.subset.encode())
        for key, _, text in self.queries:
            digest.update("\0".join((key, text, *self.answers[key])).encode("utf-8", "surrogatepass"))
            if any(grade != 1 for grade in self.answers[key].values()):
                digest.update(repr(list(self.answers[key].values())).encode())
        return digest.hexdigest()

    @property
    def groups(self) -> dict[str, str]:
        """Query id -> group; every query is its own group."""
        return {key: key for key, _, _ in self.queries}

    def passages(self, *, judged_only: bool = False) -> Iterator[tuple[str, str, str]]:
        """Stream (id, language, title and text) of the corpus, one language after the other.

        Args:
            judged_only: leave out passages without judgements.

        Raises:
            InputError: lines are malformed; all those of one language are reported together.
        """
        for lang in self.languages:
            problems = Problems()
            for path in self.files[lang]:
                records: Any = (
                    parquet_rows(path, columns_named(path, _TEXT))
                    if path.suffix == ".parquet"
                    else jsonl_records(path, problems)
                )
                for number, record in records:
                    if not isinstance(record, dict):
                        problems.add(path, number, f"expected a JSON object, got {type(record).__name__}")
                        continue
                    key = record.get("docid", record.get("_id", record.get("id")))
                    text, title = record.get("text"), record.get("title")
                    if not isinstance(key, str) or not isinstance(text, str):
                        problems.add(path, number, "no text in docid or text")
                    elif not judged_only or f"{lang}:{key}" in self.judged:
                        yield f"{lang}:{key}", lang, f"{title} {text}" if title else text
            problems.raise_if_any(_REMEDY)

    def benchmark(self, *, judged_only: bool | None = None) -> Benchmark:
        """Load the whole benchmark into memory; meant for the hard negatives and small corpora.

        Args:
            judged_only: as for `passages`; if None, True for the hard negatives.
        """
        judged_only = self.subset == "hard-negatives" if judged_only is None else judged_only
        return assemble(
            self.name,
            [(key, lang, key, text) for key, lang, text in self.queries],
            list(self.passages(judged_only=judged_only)),
            self.answers,
            self.notes,
            by="query",
        )


def load_miracl(folder: Path, *, langs: str | Iterable[str] | None = None, subset: Subset = "full") -> Miracl:
    """Open MIRACL dev from a folder in one of its layouts.

    Args:
        folder: original files or a Parquet re-upload (see the module).
        langs: codes to keep: several, or one text with commas.
        subset: `full`, or `hard-negatives` for only the judged passages. Use `full` for a re-upload that contains only
            hard negatives.

    Raises:
        InputError: the folder has the files of no language, lines are malformed, or qrels name unknown queries.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected MIRACL's topics, qrels and corpus")
    names = sorted(_names(folder))
    places = {lang: found for name in names if (lang := known_code(name)) and (found := _place(folder, name))}
    if not places:
        raise InputError(
            f"{folder}: no MIRACL files here; expected miracl-v1.0-LANG/ and miracl-corpus-v1.0-LANG/, or Parquet in "
            "LANG-queries/, LANG-qrels/ and LANG-corpus/"
        )
    chosen = parse_codes(langs, tuple(places))
    problems = Problems()
    queries: list[tuple[str, str, str]] = []
    answers: dict[str, dict[str, float]] = {}
    judged: set[str] = set()
    unjudged = 0
    for lang in chosen:
        topics, qrels, _ = places[lang]
        own = {f"{lang}:{key}": text for path in topics for key, text in _topics(path, problems)}
        for query, passage, grade in _judgements(qrels, lang, own, problems):
            judged.add(passage)
            relevant = answers.setdefault(query, {})
            if grade >= 1:
                relevant[passage] = grade
        queries += [(key, lang, text) for key, text in own.items() if key in answers]
        unjudged += len(own.keys() - answers.keys())
    problems.raise_if_any(_REMEDY)
    if not any(answers.values()):
        raise InputError(f"{folder}: no query of {', '.join(chosen)} has a relevant passage")
    files = {lang: places[lang][2] for lang in chosen}
    return Miracl(chosen, queries, answers, frozenset(judged), files, subset, left_out(unjudged))


def _judgements(
    paths: Iterable[Path], lang: str, topics: Container[str], problems: Problems
) -> Iterator[tuple[str, str, float]]:
    """Yield (query, passage, grade) of one language, with its prefix before both ids."""
    for path in paths:
        for number, query, passage, grade in unambiguous(_qrels(path, problems), path, problems):
            if f"{lang}:{query}" in topics:
                yield f"{lang}:{query}", f"{lang}:{passage}", grade
            else:
                problems.add(path, number, f"query {query!r} is not among the topics")


def fetch_miracl(hub_id: str, langs: tuple[str, ...], *, offline: bool | None = None) -> Path:
    """Download the Parquet files of some languages from a Hub data set to the Hub's cache, resuming partial downloads.

    Args:
        hub_id: `id@revision`; the revision is required, so that results can be reproduced.
        langs: language codes.
        offline: use only what is in the cache; None asks `is_offline`.

    Raises:
        InputError: no revision, or downloading is off and the cache has nothing.
        IsoglotError: the download failed.
    """
    if not hub_id.partition("@")[2]:
        raise InputError(f"data_dir {hub_id}: name a revision (id@commit), so that figures can be repeated")
    return fetch_from_hub(
        hub_id,
        [f"{lang}{mark}{part}*" for lang in langs for mark in "-/" for part in ("corpus", "queries", "qrels")],
        offline=offline,
        when_off="name its folder as `data_dir`, or go online",
        when_failed="try again (it resumes), or give `data_dir`",
    )


def _names(folder: Path) -> set[str]:
    """Return the parts of folder names that may be language codes, MIRACL's own or others in its layout."""
    original = (path for root in (folder, folder / "miracl") for path in root.glob("miracl-v1.0-*"))
    return {
        *(path.name.removeprefix("miracl-v1.0-") for path in original),
        *(path.name.removesuffix("-queries") for path in folder.glob("*-queries")),
        *(path.parent.name for path in folder.glob("*/queries")),
    }


def _place(folder: Path, lang: str) -> tuple[list[Path], list[Path], list[Path]] | None:
    """Return the topics, qrels and corpus files of one language; None unless all three exist."""
    for root in (folder, folder / "miracl"):
        home = root / f"miracl-v1.0-{lang}"
        topics = home / "topics" / f"topics.miracl-v1.0-{lang}-dev.tsv"
        qrels = home / "qrels" / f"qrels.miracl-v1.0-{lang}-dev.tsv"
        for corpus_root in (folder, folder / "miracl-corpus"):
            corpus = corpus_root / f"miracl-corpus-v1.0-{lang}"
            documents = sorted([*corpus.glob("docs-*.jsonl.gz"), *corpus.glob("docs-*.jsonl")], key=_part)
            if topics.is_file() and qrels.is_file() and documents:
                return [topics], [qrels], documents
    for mark in ("-", "/"):
        queries, judgements, corpora = (
            _split(folder / f"{lang}{mark}{part}") for part in ("queries", "qrels", "corpus")
        )
        if queries and judgements and corpora:
            return queries, judgements, corpora
    return None


def _split(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder whose names start with `dev`, or all if there are none."""
    files = sorted(folder.glob("*.parquet"))
    return [path for path in files if path.name.startswith("dev")] or files


def _part(path: Path) -> int:
    digits = path.name.removeprefix("docs-").split(".")[0]
    return int(digits) if digits.isdigit() else 0


def _topics(path: Path, problems: Problems) -> Iterator[tuple[str, str]]:
    if path.suffix != ".parquet":
        for _, (key, text) in table_rows(path, 2, problems):
            yield key, text
        return
    for number, record in parquet_rows(path, columns_named(path, _TEXT)):
        if record["id"] is None or not isinstance(record["text"], str):
            problems.add(path, number, "no id, or no text")
        else:
            yield str(record["id"]), record["text"]


def _qrels(path: Path, problems: Problems) -> Iterator[tuple[int, str, str, float]]:
    rows: Iterator[tuple[int, Any, Any, Any]]
    if path.suffix == ".parquet":
        rows = (
            (n, row["query"], row["passage"], row["grade"])
            for n, row in parquet_rows(path, columns_named(path, _QRELS))
        )
    else:
        lines = table_rows(path, 4, problems, separator=None)
        rows = ((number, query, passage, grade) for number, (query, _, passage, grade) in lines)
    for number, query, passage, grade in rows:
        value = grade_of(grade)
        if value is None:
            problems.add(path, number, f"grade {grade!r} is not a number")
        else:
            yield number, str(query), str(passage), value
