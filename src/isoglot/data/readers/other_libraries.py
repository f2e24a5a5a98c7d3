"""Convert training files of other libraries to parallel rows: Sentence Transformers, Tevatron, FlagEmbedding.

These formats have no groups. If files are line-by-line translations of each other, each line number is a group;
otherwise the group comes from a column or the query's id.
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

_REMEDY = "Fix or remove these lines; docs/data.md describes the formats."
_QUERIES = ("query", "anchor", "question", "sentence1")
_PASSAGES = ("positive", "passage", "pos", "answer", "document", "sentence2")
_LABELS = ("label", "labels", "score", "scores")  # as Sentence Transformers calls what is no text
_NO_TEXTS = ("id", "group", "lang", "language", "dataset", *_LABELS)

Convert = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """A file and its language; None if a column holds the language."""

    path: Path
    lang: str | None


@dataclass(frozen=True)
class Reading:
    """Options for converting records to rows.

    Attributes:
        dataset: name of the data set, the same for all files.
        group_column: column with the record's group; if None, the format's own id or the line is the group.
        lang_column: column with the record's language, for files given without a language.
        negatives: maximum number of negatives per row; None keeps all.
        aligned: whether line n of every file is the same group; otherwise each line is its own group.
        relevant_from: lowest label of a pair whose passage answers its query; lower ones are left out.
    """

    dataset: str
    group_column: str | None = None
    lang_column: str | None = None
    negatives: int | None = None
    aligned: bool = True
    relevant_from: float | None = None


def parse_sources(names: Sequence[str], lang_column: str | None) -> list[Source]:
    """Parse `LANG=FILE` arguments (or plain files, if a column holds the language).

    Raises:
        InputError: there are no arguments, or a file has no language.

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
            raise InputError(f"{name}: no language given; give LANG=FILE, such as de={name}, or name `lang_column`")
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
    """Stream rows from pairs, triplets or n-tuples for Sentence Transformers (JSONL, CSV, TSV, Parquet).

    Columns whose name begins with `negative` hold negatives; in triplets found by position, the third text does. Pairs
    without negatives may have labels or scores: those below `reading.relevant_from` are left out.

    Args:
        sources: the files.
        reading: how to convert records to rows.
        query: the query's column; if None, a column with a usual name in any case (query, anchor, question,
            sentence1), else the first text.
        passage: the passage's column; if None, likewise (positive, passage, pos, answer, document, sentence2), else
            the next text.
        header: whether CSV and TSV begin with a line of column names.
        notes: counts warnings, such as about guessed encodings.

    Raises:
        InputError: lines are malformed (all are reported together), columns are missing, or labels differ and
            `reading.relevant_from` is None.
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
        used = (asked, answered, reading.group_column, reading.lang_column)
        label = next((record[name] for name in record if _plain(name) in _LABELS and name not in used), None)
        return {
            "query": record.get(asked),
            "passage": record.get(answered),
            "negatives": negatives,
            # Beside negatives it is a teacher's score, of the pair or of the margin.
            "label": None if named or negatives or not isinstance(label, (str, int, float)) else label,
        }

    return _rows(sources, reading, convert, header=header, notes=notes)


def tevatron_rows(sources: Sequence[Source], reading: Reading, notes: Counter[str] | None = None) -> Iterator[Row]:
    """Stream rows from Tevatron's JSONL.

    Its fields are `query_id`, `query`, `positive_passages` and `negative_passages` (each with `docid`, `title`,
    `text`). Every positive passage becomes a row; `notes` counts duplicates that were left out.

    Raises:
        InputError: lines are malformed; all are reported together.
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
    """Stream rows from FlagEmbedding's JSONL: `query`, `pos`, `neg`, optionally `pos_scores`, `neg_scores` and `id`.

    Every positive becomes a row; `notes` counts duplicates and unusable scores that were left out. A single text
    counts as a list of one.

    Raises:
        InputError: lines are malformed; all are reported together.
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
    """Return a unique name for each file, to build group names from; files with the same name are numbered."""
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
    """Remove repeated passages, and negatives that equal a passage, together with their scores."""
    passages, negatives = fields["passages"], fields["negatives"]
    texts = [_titled(entry) if isinstance(entry, dict) else entry for entry in passages]
    if not all(isinstance(text, str) for text in (*texts, *negatives)):
        return  # `check_rows` reports it
    kept = [at for at, text in enumerate(texts) if text not in texts[:at]]
    others = [at for at, text in enumerate(negatives) if text not in texts]
    notes["repeated passages of a query left out"] += len(texts) - len(kept)
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
    labels: set[Any] = set()
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
            label = converted.pop("label", None)
            if label is not None and reading.relevant_from is None:
                if len(labels) == 1 and _number(label) not in labels:
                    problems.add(source.path, number, _other_label(label, *labels))
                if len(labels) < 2:
                    labels.add(_number(label))
            elif label is not None and reading.relevant_from is not None:
                grade = _number(label)
                if isinstance(grade, str):
                    problems.add(source.path, number, f"label {label!r} is no number; expected one to compare")
                    continue
                if not grade >= reading.relevant_from:
                    if notes is not None:
                        notes[f"pairs with a label below {reading.relevant_from:g} left out"] += 1
                    continue
            if group is None and reading.group_column:
                problems.add(source.path, number, f"field {reading.group_column!r} names the group, but is empty")
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
            f"several files of {twice[0]}, so line n of each would be the same query: put them into one file, "
            "name `group_column`, or say that they are `unaligned`",
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


def _number(label: str | float) -> str | float:
    try:
        return float(label)
    except ValueError:
        return label


def _other_label(label: Any, earlier: Any) -> str:
    return (
        f"label {label!r}, where earlier pairs have {earlier!r}: not every pair need be a query and its answer. Say "
        "with `relevant_from` from which label on it is, or take the column out if all are"
    )


def _what(error: Exception, record: Any) -> str:
    if not isinstance(record, dict):
        return f"expected a record with named fields, got {type(record).__name__}"
    fields = ", ".join(map(str, record))
    if isinstance(error, KeyError):
        return f"no field {error}; the fields are: {fields}"
    return f"a field is empty or of the wrong kind ({error}); the fields are: {fields}"
