"""Any data set of the Hub (or a folder of its files) as rows, by the names of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.problems import Problems
from isoglot.data.rows import Row, check_rows
from isoglot.languages.codes import known_code

_REMEDY = "Name other columns, or take these records out."


@dataclass(frozen=True)
class Columns:
    """Which columns hold what; a dot leads into a column of records (`answers.text`).

    Attributes:
        query: the query.
        passage: a text, or a list of texts (several positives).
        lang: holds the language, or is itself a code such as `de` where no column has that name.
        group: what translations of one pair share; the record's number when None.
        title, negatives: further fields; none when None.
    """

    query: str
    passage: str
    lang: str
    group: str | None = None
    title: str | None = None
    negatives: str | None = None


def hub_rows(
    name: str,
    columns: Columns,
    *,
    dataset: str,
    config: str | None = None,
    split: str = "train",
    limit: int | None = None,
) -> Iterator[Row]:
    """Stream the rows of a data set.

    Args:
        name: `ID@REVISION`, so that rows can be made again; or a folder.
        columns: which hold what.
        dataset: name of the data set in the rows.
        config: of the data set.
        split: of the data set.
        limit: only the first so many records.

    Raises:
        InputError: no revision, no such column, or records that are no rows (all are gathered).
        IsoglotError: it cannot be fetched.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit}: expected at least 1")
    stream = _open(name, config, split)
    present = list(getattr(stream, "column_names", None) or [])
    for field in ("query", "passage", "group", "title", "negatives"):
        column = getattr(columns, field)
        if present and column is not None and column.split(".")[0] not in present:
            raise InputError(f"{name}: no column {column!r} for the {field}; the columns are: {', '.join(present)}")
    there = columns.lang.split(".")[0] in present
    constant = None if there else known_code(columns.lang)
    if present and not there and constant is None:
        raise InputError(f"{name}: no column {columns.lang!r} for the language, nor is it a code such as 'de'; "
                         f"the columns are: {', '.join(present)}")  # fmt: skip
    problems = Problems()
    for number, record in enumerate(islice(_records(stream, name), limit), 1):
        yield from _rows(record, number, name, columns, constant, dataset, problems)
    problems.raise_if_any(_REMEDY)


def _rows(
    record: dict[str, Any],
    number: int,
    name: str,
    columns: Columns,
    lang: str | None,
    dataset: str,
    problems: Problems,
) -> list[Row]:
    passages = _value(record, columns.passage)
    if isinstance(passages, list):
        passages = list(dict.fromkeys(text for text in passages if isinstance(text, str) and text.strip()))
    title, negatives = _value(record, columns.title), _value(record, columns.negatives) or []
    fields: dict[str, Any] = {
        "group": _name(_value(record, columns.group)) if columns.group else str(number),
        "lang": lang or _value(record, columns.lang),
        "query": _value(record, columns.query),
        "dataset": dataset,
        "negatives": [negatives] if isinstance(negatives, str) else negatives,
    }
    if isinstance(passages, list):
        fields["passages"] = [{"title": title, "text": text} for text in passages]
    else:
        fields |= {"passage": passages, "title": title}
    return check_rows(fields, name, number, problems)


def _name(value: Any) -> str | None:
    """What a group is called; None for an empty field, and for what stands in its place in a column of numbers."""
    return None if value is None or value != value else str(value)


def _records(stream: Any, name: str) -> Iterator[dict[str, Any]]:
    """The records, as far as they can be read.

    Raises:
        InputError: a file of the data set is broken.
        IsoglotError: the connection broke off.
    """
    from datasets.exceptions import DatasetsError
    from pyarrow import ArrowException

    records = iter(stream)
    while True:
        try:
            record = next(records, None)
        except (ArrowException, DatasetsError, ValueError, TypeError) as error:
            raise InputError(f"{name}: a file of it cannot be read ({_first(error)})") from error
        except OSError as error:
            raise IsoglotError(f"{name}: cannot be read on ({_first(error)}); try again") from error
        if record is None:
            return
        yield record


def _value(record: dict[str, Any], column: str | None) -> Any:
    value: Any = record
    for part in (column or "").split(".") if column else ():
        if isinstance(value, list):
            value = [entry.get(part) for entry in value if isinstance(entry, dict)]
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value if column else None


def _open(name: str, config: str | None, split: str) -> Any:
    local = Path(name).is_dir()
    hub_id, _, revision = (name, "", "") if local else name.partition("@")
    if not local and not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", hub_id):
        raise InputError(f"{name}: no such folder, and no Hub id; expected ID@REVISION")
    if not local and not revision:
        raise InputError(f"{name}: name a revision (ID@COMMIT), so that these rows can be made again")
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        return load_dataset(hub_id, config, split=split, revision=revision or None, streaming=True)
    except (ValueError, RuntimeError, DatasetsError) as error:  # an unknown config or split, a loading script
        raise InputError(f"{name}: {_first(error)}") from error
    except OSError as error:  # no connection, no such data set
        if local:
            raise InputError(f"{name}: no data set in this folder ({_first(error)})") from error
        raise IsoglotError(f"{name}: cannot be fetched ({_first(error)}); go online, or give its folder") from error


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
