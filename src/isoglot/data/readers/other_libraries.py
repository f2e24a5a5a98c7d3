"""Training files of other libraries as parallel rows: Sentence Transformers, Tevatron, FlagEmbedding.

These formats know no groups. Files that are translations of each other, line by line, give one group a line; a column
or the query's id gives it otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.data.records import read_records
from isoglot.data.rows import Row, check_rows
from isoglot.languages.codes import known_code

_REMEDY = "Mend these lines or take them out; docs/data.md describes the formats."
_QUERIES = ("query", "anchor", "question", "sentence1")
_PASSAGES = ("positive", "passage", "pos", "answer", "document", "sentence2")
_NO_TEXTS = ("id", "group", "lang", "language", "label", "score", "dataset")

Convert = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """A file and its language; None where a column says it."""

    path: Path
    lang: str | None


@dataclass(frozen=True)
class Reading:
    """How records become rows.

    Attributes:
        dataset: name of the data set, the same for all files.
        group_column: holds a record's group; None takes the format's own id, or the line.
        lang_column: holds a record's language, for files given without one.
        negatives: at most so many a row; None keeps all.
        aligned: line n of every file is the same group; otherwise every line is a group of its own.
    """

    dataset: str
    group_column: str | None = None
    lang_column: str | None = None
    negatives: int | None = None
    aligned: bool = True


def parse_sources(names: Sequence[str], lang_column: str | None) -> list[Source]:
    """Read `LANG=FILE` arguments (or plain files, where a column holds the language).

    Raises:
        InputError: none given, or a file without a language.

    >>> [source.lang for source in parse_sources(["de=train.tsv", "zh_CN=train.zh.tsv"], None)]
    ['de', 'zh_CN']
    """
    sources = []
    for name in names:
        lang, equals, path = name.partition("=")
        if equals and lang.replace("-", "").replace("_", "").isalnum():
            sources.append(Source(Path(path), lang))
        elif lang_column is not None:
            sources.append(Source(Path(name), None))
        else:
            raise InputError(f"{name}: of which language? Give LANG=FILE, such as de={name}, or name `lang_column`")
    if not sources:
        raise InputError("no files given; name them as LANG=FILE, such as de=train.de.jsonl")
    return sources


def pairs_rows(
    sources: Sequence[Source],
    reading: Reading,
    *,
    query: str | None = None,
    passage: str | None = None,
    header: bool = True,
    notes: Counter[str] | None = None,
) -> Iterator[Row]:
    """Pairs, triplets or n-tuples as Sentence Transformers trains on (JSONL, CSV, TSV, Parquet).

    Args:
        sources: the files.
        reading: how records become rows.
        query: the query's column; found by its usual names in any case (anchor, query, question, sentence1), else the
            first text.
        passage: the passage's column; likewise (positive, passage, answer, document, sentence2), else the second.
            Columns whose name begins with `negative` are negatives; in triplets found by position the third is.
        header: whether CSV and TSV begin with the names of columns.
        notes: told of files whose encoding was guessed.

    Raises:
        InputError: malformed lines (all are gathered) or missing columns.
    """

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        texts = [name for name, value in record.items() if isinstance(value, str) and not _is_taken(name, reading)]
        asked = _column(record, query, _QUERIES, texts[:1])
        answered = _column(record, passage, _PASSAGES, [name for name in texts if name != asked][:1])
        rest = [name for name in texts if name not in (asked, answered)]
        named = [name for name in record if _plain(name).startswith("negative")]
        by_position = _plain(asked) not in _QUERIES and query is None
        negatives: list[str] = []
        for name in named or (rest[:1] if by_position else []):
            value = record[name]
            negatives += value if isinstance(value, list) else [value] if value else []
        return {"query": record.get(asked), "passage": record.get(answered), "negatives": negatives}

    return _rows(sources, reading, convert, header=header, notes=notes)


def tevatron_rows(sources: Sequence[Source], reading: Reading, notes: Counter[str] | None = None) -> Iterator[Row]:
    """Tevatron's JSONL: `query_id`, `query`, `positive_passages`, `negative_passages` (each `docid`, `title`, `text`).

    Every positive passage is a row; `notes` counts what was left out because it is there twice.

    Raises:
        InputError: malformed lines; all are gathered.
    """

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        positives, negatives = record["positive_passages"], record.get("negative_passages") or []
        return {
            "group": record.get("query_id"),
            "query": record["query"],
            "passages": [{"title": entry.get("title") or None, "text": entry["text"]} for entry in positives],
            "negatives": [_titled(entry) for entry in negatives],
        }

    return _rows(sources, reading, convert, notes=notes)


def flagembedding_rows(sources: Sequence[Source], reading: Reading, notes: Counter[str] | None = None) -> Iterator[Row]:
    """FlagEmbedding's JSONL: `query`, `pos`, `neg`, and maybe `pos_scores`, `neg_scores` and `id`.

    Every positive is a row; `notes` counts what was left out because it is there twice. One text in place of a list of
    them is a list of one.

    Raises:
        InputError: malformed lines; all are gathered.
    """

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        positives, negatives = _listed(record["pos"]), _listed(record.get("neg") or [])
        converted = {
            "group": record.get("id"),
            "query": record["query"],
            "passages": positives,
            "negatives": negatives,
        }
        own, others = record.get("pos_scores") or [], record.get("neg_scores") or []
        if own and (len(own), len(others)) == (len(positives), len(negatives)):
            converted["scores"] = [*own, *others]
        elif (own or others) and notes is not None:
            notes["rows whose scores do not fit their passages: left out"] += 1
        return converted

    return _rows(sources, reading, convert, notes=notes)


def _apart(sources: Sequence[Source]) -> list[str]:
    """A name for each file, by which lines of different files are different groups: numbered where names are alike."""
    count = Counter(source.path.name for source in sources)
    return [
        source.path.name if count[source.path.name] == 1 else f"{number}-{source.path.name}"
        for number, source in enumerate(sources, 1)
    ]


def _titled(entry: dict[str, Any]) -> str:
    return f"{entry['title']} {entry['text']}" if entry.get("title") else entry["text"]


def _listed(texts: Any) -> Any:
    return [texts] if isinstance(texts, str) else texts


def _without_repeats(fields: dict[str, Any], notes: Counter[str]) -> None:
    """Take out passages that are there twice, and negatives that are passages, with their scores."""
    passages, negatives = fields["passages"], fields["negatives"]
    texts = [_titled(entry) if isinstance(entry, dict) else entry for entry in passages]
    if not all(isinstance(text, str) for text in (*texts, *negatives)):
        return  # which the check of the row says
    kept = [at for at, text in enumerate(texts) if text not in texts[:at]]
    others = [at for at, text in enumerate(negatives) if text not in texts]
    notes["passages that a query has twice left out"] += len(texts) - len(kept)
    notes["negatives that are a passage of the query left out"] += len(negatives) - len(others)
    fields["passages"], fields["negatives"] = [passages[at] for at in kept], [negatives[at] for at in others]
    if fields.get("scores"):
        fields["scores"] = [fields["scores"][at] for at in (*kept, *(len(texts) + other for other in others))]


def _is_taken(name: str, reading: Reading) -> bool:
    return name in (reading.group_column, reading.lang_column) or _plain(name) in _NO_TEXTS


def _column(record: dict[str, Any], given: str | None, usual: tuple[str, ...], else_first: list[str]) -> str:
    if given is not None:
        if given not in record:
            raise KeyError(given)
        return given
    have = {_plain(name): name for name in reversed(record)}
    for name in usual:
        if name in have:
            return have[name]
    for name in else_first:
        return name
    raise KeyError(usual[0])


def _plain(name: str) -> str:
    return name.strip().lower()


def _rows(
    sources: Sequence[Source],
    reading: Reading,
    convert: Convert,
    *,
    header: bool = True,
    notes: Counter[str] | None = None,
) -> Iterator[Row]:
    if reading.negatives is not None and reading.negatives < 0:
        raise InputError(f"negatives {reading.negatives}: expected 0 or more")
    problems = Problems()
    ends: dict[Path, int] = {}
    by_line: bool | None = None
    for source, name in zip(sources, _apart(sources), strict=True):
        for number, place, record in read_records(source.path, problems, header=header):
            ends[source.path] = place
            try:
                converted = convert(record)
                lang = source.lang if reading.lang_column is None or source.lang else record[reading.lang_column]
                group = record[reading.group_column] if reading.group_column else converted.get("group")
            except (KeyError, IndexError, TypeError, AttributeError) as error:
                problems.add(source.path, number, _what(error, record))
                continue
            if group is None and reading.group_column:
                problems.add(source.path, number, f"field {reading.group_column!r} is empty, which names the group")
                continue
            if by_line is not None and by_line != (group is None):
                what = "no id where earlier ones have one" if group is None else "an id where earlier ones have none"
                problems.add(source.path, number, f"a record with {what}; expected all to have one, or none")
                continue
            by_line = group is None
            if by_line:
                group = str(place) if reading.aligned and source.lang else f"{name}:{number}"
            fields = {**converted, "group": group, "lang": lang, "dataset": reading.dataset}
            if "passages" in fields and isinstance(fields["passages"], list) and isinstance(fields["negatives"], list):
                _without_repeats(fields, Counter() if notes is None else notes)
            if reading.negatives is not None and isinstance(fields["negatives"], list):
                fields["negatives"] = fields["negatives"][: reading.negatives]
                if fields.get("scores"):
                    fields["scores"] = fields["scores"][: len(fields.get("passages") or [1]) + reading.negatives]
            yield from check_rows(fields, source.path, number, problems)
        if source.path not in ends and not problems.count:
            problems.add(source.path, None, "the file holds no records")
    aligned = by_line and reading.aligned and all(source.lang for source in sources)
    langs = Counter(known_code(source.lang or "") for source in sources)
    twice = [lang for lang, count in langs.items() if lang and count > 1]
    if aligned and twice:
        problems.add(
            sources[0].path,
            None,
            f"several files of {twice[0]}, whose lines n would be one query: put them into one file, name "
            "`group_column`, or say that they are `unaligned`",
        )
    elif aligned and len(set(ends.values())) > 1:
        lengths = ", ".join(f"{path} {number}" for path, number in ends.items())
        problems.add(
            sources[0].path,
            None,
            f"the files end at different lines ({lengths}), so line n is not one group in all of them: "
            "name `group_column`, or say that they are `unaligned`",
        )
    problems.raise_if_any(_REMEDY)
    if notes is not None:
        notes.update(f"to be checked ({told})" for told in problems.shown)


def _what(error: Exception, record: Any) -> str:
    if not isinstance(record, dict):
        return f"expected a record with named fields, got {type(record).__name__}"
    fields = ", ".join(map(str, record))
    if isinstance(error, KeyError):
        return f"no field {error}; the fields are: {fields}"
    return f"a field is empty or of the wrong kind ({error}); the fields are: {fields}"
