"""Read any data set on the Hub (or a folder of its files) as rows, given the names of its columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError, IsoglotError, first_line
from isoglot.core.problems import Problems
from isoglot.data.rows import Row, check_rows, is_blank
from isoglot.languages.codes import known_code

_REMEDY = "Name other columns, or remove these records."


@dataclass(frozen=True)
class Columns:
    """The columns that hold the fields of rows; a dot leads into a column of records (`answers.text`).

    Attributes:
        query: column with the query.
        passage: column with a text, or a list of texts (several positives).
        lang: column with the language, or (if there is no such column) a code such as `de` for all records.
        group: column with the group, which translations of one pair share; if None, the record's number is the group.
        title, negatives: columns with these optional fields; None if there are none.
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
    notes: Counter[str] | None = None,
) -> Iterator[Row]:
    """Stream the rows of a data set; records without a passage, such as unanswerable questions, are left out.

    Args:
        name: `ID@REVISION` (the revision is required, so that the rows can be reproduced), or a folder.
        columns: the columns that hold the fields of rows.
        dataset: name of the data set in the rows.
        config: configuration of the data set.
        split: split of the data set.
        limit: read only this many records, the first ones; all if None.
        notes: counts what was left out.

    Raises:
        InputError: no revision, no such column, no record with a passage, or records that are not valid rows (all are
            reported together).
        IsoglotError: the data set cannot be downloaded.
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
    problems, number, empty = Problems(), 0, 0
    for number, record in enumerate(islice(_records(stream, name), limit), 1):
        passages = _passages(record, columns.passage)
        if not passages:
            empty += 1
            continue
        yield from _rows(record, passages, number, name, columns, constant, dataset, problems)
    problems.raise_if_any(_REMEDY)
    if empty == number:
        raise InputError(f"{name}: none of {number} records has a text in {columns.passage!r}; name another column")
    if notes is not None:
        notes["records without a passage left out"] += empty


def _passages(record: dict[str, Any], column: str) -> Any:
    """Return the texts of a list, each once; of another column its value, or None if that is blank."""
    value = _value(record, column)
    if isinstance(value, list):
        return list(dict.fromkeys(text for text in value if isinstance(text, str) and not is_blank(text)))
    return None if isinstance(value, str) and is_blank(value) else value


def _rows(
    record: dict[str, Any],
    passages: Any,
    number: int,
    name: str,
    columns: Columns,
    lang: str | None,
    dataset: str,
    problems: Problems,
) -> list[Row]:
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
    """Return a group's name; None for an empty field (None, or NaN in a column of numbers)."""
    return None if value is None or value != value else str(value)


def _records(stream: Any, name: str) -> Iterator[dict[str, Any]]:
    """Yield the records and translate the errors of reading them.

    Raises:
        InputError: a file of the data set is broken.
        IsoglotError: the connection was lost.
    """
    from datasets.exceptions import DatasetsError
    from pyarrow import ArrowException

    records = iter(stream)
    while True:
        try:
            record = next(records, None)
        except (ArrowException, DatasetsError, ValueError, TypeError) as error:
            raise InputError(f"{name}: a file of it cannot be read ({first_line(error)})") from error
        except OSError as error:
            raise IsoglotError(f"{name}: reading stopped ({first_line(error)}); try again") from error
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
        raise InputError(f"{name}: {first_line(error)}") from error
    except OSError as error:  # no connection, no such data set
        if local:
            raise InputError(f"{name}: no data set in this folder ({first_line(error)})") from error
        raise IsoglotError(f"{name}: cannot be fetched ({first_line(error)}); go online, or give its folder") from error
