"""Turn the records of other libraries' training files into rows: their languages, groups, labels and negatives.

These files have no groups. If they are line-by-line translations of each other, each line number is a group; otherwise
the group comes from a column or the query's id.
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

Convert = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts a record to the fields of its rows, and optionally `label`; raises KeyError and the like if it cannot."""


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


def converted_rows(
    sources: Sequence[Source],
    reading: Reading,
    convert: Convert,
    *,
    header: bool = True,
    notes: Counter[str] | None = None,
) -> Iterator[Row]:
    """Stream the rows of all files.

    Args:
        sources: the files.
        reading: how records become rows.
        convert: what distinguishes the format.
        header: whether CSV and TSV begin with a line of column names.
        notes: counts what was left out.

    Raises:
        InputError: records cannot be converted, or the files are not translations of each other line by line although
            their lines are the groups; all problems are reported together.
    """
    if reading.negatives is not None and reading.negatives < 0:
        raise InputError(f"negatives {reading.negatives}: expected 0 or more")
    notes = Counter() if notes is None else notes
    problems = Problems()
    labels, groups = _Labels(reading.relevant_from), _Groups(reading)
    ends: dict[Path, int] = {}
    for source, name in zip(sources, _unique_names(sources), strict=True):
        for number, place, record in read_records(source.path, problems, header=header):
            ends[source.path] = place
            try:
                fields = _converted(record, convert, source, reading)
                if not labels.is_positive(fields.pop("label", None)):
                    notes[f"pairs with a label below {reading.relevant_from:g} left out"] += 1
                    continue
                fields["group"] = groups.name_of(fields.get("group"), source, str(place), f"{name}:{number}")
            except _RecordError as error:
                problems.add(source.path, number, str(error))
                continue
            _without_repeats(fields, notes)
            _fewer_negatives(fields, reading.negatives)
            yield from check_rows(fields, source.path, number, problems)
        if source.path not in ends and not problems.count:
            problems.add(source.path, None, "the file holds no records")
    if groups.are_lines and all(source.lang for source in sources):
        _check_lines(sources, ends, problems)
    problems.raise_if_any(_REMEDY)
    notes.update(f"to be checked ({told})" for told in problems.shown)


class _RecordError(Exception):
    """A record that cannot become a row; the message says why."""


def _converted(record: Any, convert: Convert, source: Source, reading: Reading) -> dict[str, Any]:
    try:
        fields = convert(record)
        lang = source.lang if reading.lang_column is None or source.lang else record[reading.lang_column]
        group = record[reading.group_column] if reading.group_column else fields.get("group")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _RecordError(_what(error, record)) from error
    return {**fields, "group": group, "lang": lang, "dataset": reading.dataset}


class _Labels:
    """Which pairs are positives, by their labels: all if the labels are equal, otherwise from `lowest` on."""

    def __init__(self, lowest: float | None) -> None:
        self._lowest = lowest
        self._first: str | float | None = None
        self._differ = False

    def is_positive(self, label: str | float | None) -> bool:
        """Tell whether a pair with this label is a positive.

        Raises:
            _RecordError: that cannot be told; raised for the first such pair only.
        """
        if label is None:
            return True
        grade = _number(label)
        if self._lowest is None:
            if self._first is None:
                self._first = label
            if grade != _number(self._first) and not self._differ:
                self._differ = True
                raise _RecordError(
                    f"label {label!r}, where earlier pairs have {self._first!r}: not every pair need be a query and "
                    "its answer. Say with `relevant_from` from which label on it is, or take the column out if all are"
                )
            return True
        if isinstance(grade, str):
            raise _RecordError(f"label {label!r} is no number; expected one to compare")
        return grade >= self._lowest


class _Groups:
    """Names the groups of records: by their ids if they have any, otherwise by their lines."""

    def __init__(self, reading: Reading) -> None:
        self._column, self._aligned = reading.group_column, reading.aligned
        self._by_line: bool | None = None

    @property
    def are_lines(self) -> bool:
        """Whether line n of every file is the same group."""
        return bool(self._by_line and self._aligned)

    def name_of(self, group: Any, source: Source, line: str, record: str) -> Any:
        """Return a record's group, given its id (or None), its line, and a name that no other record has.

        Raises:
            _RecordError: some records have ids, and others do not.
        """
        if group is None and self._column:
            raise _RecordError(f"field {self._column!r} names the group, but is empty")
        if self._by_line is not None and self._by_line != (group is None):
            what = "no id where earlier ones have one" if group is None else "an id where earlier ones have none"
            raise _RecordError(f"a record with {what}; expected all to have one, or none")
        self._by_line = group is None
        if group is not None:
            return group
        return line if self._aligned and source.lang else record


def _check_lines(sources: Sequence[Source], ends: dict[Path, int], problems: Problems) -> None:
    """Check that files whose lines are groups have one language each, and equally many lines."""
    langs = Counter(known_code(source.lang or "") for source in sources)
    twice = [lang for lang, count in langs.items() if lang and count > 1]
    remedy = "name `group_column`, or say that they are `unaligned`"
    if twice:
        what = f"several files of {twice[0]}, so line n of each would be the same query: put them into one file"
        problems.add(sources[0].path, None, f"{what}, {remedy}")
    elif len(set(ends.values())) > 1:
        lengths = ", ".join(f"{path} {number}" for path, number in ends.items())
        what = f"the files end at different lines ({lengths}), so line n is not one group in all of them"
        problems.add(sources[0].path, None, f"{what}: {remedy}")


def _unique_names(sources: Sequence[Source]) -> list[str]:
    """Return a unique name for each file, to build group names from; files with the same name are numbered."""
    count = Counter(source.path.name for source in sources)
    return [
        source.path.name if count[source.path.name] == 1 else f"{number}-{source.path.name}"
        for number, source in enumerate(sources, 1)
    ]


def titled(entry: dict[str, Any]) -> str:
    """Return a passage's title and text as one text."""
    return f"{entry['title']} {entry['text']}" if entry.get("title") else entry["text"]


def _without_repeats(fields: dict[str, Any], notes: Counter[str]) -> None:
    """Remove repeated passages, and negatives that equal a passage, together with their scores."""
    passages, negatives = fields.get("passages"), fields["negatives"]
    if not isinstance(passages, list) or not isinstance(negatives, list):
        return
    texts = [titled(entry) if isinstance(entry, dict) else entry for entry in passages]
    if not all(isinstance(text, str) for text in (*texts, *negatives)):
        return  # `check_rows` reports it
    kept = [at for at, text in enumerate(texts) if text not in texts[:at]]
    others = [at for at, text in enumerate(negatives) if text not in texts]
    notes["repeated passages of a query left out"] += len(texts) - len(kept)
    notes["negatives that are a passage of the query left out"] += len(negatives) - len(others)
    fields["passages"], fields["negatives"] = [passages[at] for at in kept], [negatives[at] for at in others]
    if fields.get("scores"):
        fields["scores"] = [fields["scores"][at] for at in (*kept, *(len(texts) + other for other in others))]


def _fewer_negatives(fields: dict[str, Any], most: int | None) -> None:
    """Keep the first negatives, and their scores."""
    if most is not None and isinstance(fields["negatives"], list):
        fields["negatives"] = fields["negatives"][:most]
        if fields.get("scores"):
            fields["scores"] = fields["scores"][: len(fields.get("passages") or [1]) + most]


def _number(label: str | float) -> str | float:
    try:
        return float(label)
    except ValueError:
        return label


def _what(error: Exception, record: Any) -> str:
    if not isinstance(record, dict):
        return f"expected a record with named fields, got {type(record).__name__}"
    fields = ", ".join(map(str, record))
    if isinstance(error, KeyError):
        return f"no field {error}; the fields are: {fields}"
    return f"a field is empty or of the wrong kind ({error}); the fields are: {fields}"
