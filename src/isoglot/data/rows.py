"""Read and write parallel rows: each is one language version of a question-answer pair (JSONL, .jsonl.gz, Parquet)."""

from __future__ import annotations

import glob
import gzip
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write, remove_leftovers
from isoglot.core.problems import Problems
from isoglot.core.short_repr import brief
from isoglot.data.parquet_rows import parquet_rows
from isoglot.data.records import jsonl_records
from isoglot.languages.codes import normal_code
from isoglot.languages.equal_letters import IGNORABLE

REQUIRED = ("group", "lang", "query", "passage")
OPTIONAL_TEXT = ("dataset", "title", "context", "topic", "translated_by", "generated_by")
FIELDS = (*REQUIRED, *OPTIONAL_TEXT, "negatives", "scores")

# The content of a data set: questions with passages that answer them, or texts with their translations.
Kind = Literal["qa", "bitext"]
REMEDY = "Fix or remove these lines; docs/data.md describes the format."
_BLANK = re.compile(rf"[\s{IGNORABLE}]*")


@dataclass(frozen=True, slots=True)
class Row:
    """One row; (dataset, group) identifies the pair, `negatives` are texts known not to answer the query.

    `scores` are a teacher's scores of the passage, then of each negative. `translated_by` names the model that
    translated the row, `generated_by` the model that wrote its query. In `bitext` rows, query and passage are the same
    text, which is paired only with its translations.
    """

    group: str
    lang: str
    query: str
    passage: str
    dataset: str
    title: str | None = None
    context: str | None = None
    topic: str | None = None
    negatives: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    translated_by: str | None = None
    generated_by: str | None = None
    kind: Kind = "qa"

    __repr__ = brief

    @property
    def passage_text(self) -> str:
        """The text that is encoded: the title, if there is one, then the passage."""
        return f"{self.title} {self.passage}" if self.title else self.passage


_NAMES = tuple(field.name for field in fields(Row))
_ENCODER = json.JSONEncoder(ensure_ascii=False)  # creating one takes longer than encoding a row


def read_rows(paths: Iterable[Path], problems: Problems | None = None) -> Iterator[tuple[Path, int, Row]]:
    """Stream the rows of files in order, each with its file and 1-based line (Parquet: row) number.

    Args:
        paths: `.jsonl`, `.jsonl.gz` or `.parquet` files (any other extension except `.csv` and `.tsv` is read as
            JSONL).
        problems: collects malformed lines, which are skipped; if None, they are raised together at the end.

    Raises:
        InputError: a file is missing, unreadable, a table (`.csv`, `.tsv`) or without rows, or lines are malformed.
    """
    gathered = Problems() if problems is None else problems
    for path in paths:
        if path.is_dir():
            raise InputError(
                f"{path}: a folder; expected row files (.jsonl, .jsonl.gz, .parquet) or one prepared folder"
            )
        if not path.is_file():
            raise InputError(f"{path}: no such file; give JSONL (.jsonl, .jsonl.gz) or Parquet rows")
        if _is_table(path):
            raise InputError(
                f"{path}: not a row file (JSONL or Parquet); convert with `isoglot data from-pairs LANG={path}`, or "
                f"where a column holds the language with `isoglot data from-pairs {path} --lang-column NAME` "
                "(`--group-column NAME` for what translations of one question share)"
            )
        before, found = gathered.count, 0
        records = _parquet_records(path) if _is_parquet(path) else jsonl_records(path, gathered)
        for number, record in records:
            for row in check_rows(record, path, number, gathered):
                found += 1
                yield path, number, row
        if not found and gathered.count == before:
            gathered.add(path, None, "the file holds no rows")
    if problems is None:
        gathered.raise_if_any(REMEDY)


def write_rows(rows: Iterable[Row], path: Path) -> int:
    """Write rows atomically as JSONL (gzipped if the name ends in .gz); equal rows give identical bytes.

    Returns:
        The number of rows written.

    Raises:
        InputError: the name would not be read as JSONL, or the path cannot be written.
        IsoglotError: the disk is full.
    """
    require_rows_name(path)
    remove_leftovers(path.parent, f".{glob.escape(path.name)}.????????.tmp")  # each may be as large as the rows
    count = 0
    with atomic_write(path) as temporary, _writing(temporary, gzipped=path.suffix.lower() == ".gz") as out:
        for row in rows:
            # Like `asdict`, but without copying every text.
            record = {name: value for name in _NAMES if (value := getattr(row, name)) not in (None, ())}
            if row.kind == "qa":
                del record["kind"]
            out.write(_ENCODER.encode(record) + "\n")
            count += 1
    return count


def is_blank(text: str) -> bool:
    """Whether a text has no visible character: only white space, direction marks, joiners and the like."""
    return _BLANK.fullmatch(text) is not None


def has_surrogate(text: str) -> bool:
    """Whether a text holds half of a surrogate pair, which JSON can express but UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def require_rows_name(path: Path) -> None:
    """Check that a file with this name would be read as JSONL, the format that rows are written in.

    Raises:
        InputError: the extension is that of a Parquet, CSV or TSV file.
    """
    if _is_parquet(path) or _is_table(path):
        raise InputError(f"{path}: rows are written as JSON lines; give a name that ends in .jsonl or .jsonl.gz")


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def _is_table(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))


@contextmanager
def _writing(path: Path, *, gzipped: bool) -> Iterator[TextIO]:
    with path.open("wb") as file:
        if not gzipped:
            with io.TextIOWrapper(file, encoding="utf-8", newline="\n") as out:
                yield out
            return
        # The header gets no file name (it would be the temporary one) and no time, so that the bytes are reproducible.
        # Level 9 would take twice as long to save 1 %.
        with (
            gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as zipped,
            io.TextIOWrapper(zipped, encoding="utf-8", newline="\n") as out,
        ):
            yield out


def columns_of_rows(where: Path | str, names: Sequence[str]) -> list[str]:
    """Return the columns of a table that are fields of rows.

    Raises:
        InputError: a required column is missing.
    """
    missing = [name for name in REQUIRED if name not in names]
    if missing and not (missing == ["passage"] and "passages" in names):
        raise InputError(f"{where}: no column {', '.join(missing)}; the columns are: {', '.join(names)}")
    return [name for name in names if name in (*FIELDS, "passages", "kind")]


def _parquet_records(path: Path) -> Iterator[tuple[int, Any]]:
    def choose(names: Sequence[str]) -> dict[str, str]:
        return {name: name for name in columns_of_rows(path, names)}

    for number, record in parquet_rows(path, choose):
        yield number, {key: value for key, value in record.items() if value is not None}


def check_rows(record: Any, path: Path | str, number: int | None, problems: Problems) -> list[Row]:
    """Convert a parsed record to rows, one per passage; if it is invalid, add a problem and return an empty list.

    Args:
        record: a dict of a row's fields. Instead of `passage` it may have `passages`, a list whose entries are texts
            or `{"title": ..., "text": ...}`; `scores` then has one score per passage, followed by one per negative.
        path: the file (or a text in its place) that problems name.
        number: 1-based line or row in it; None if `path` already says it.
        problems: collects what is wrong.
    """
    if not isinstance(record, dict) or record.get("passages") is None:
        row = check_row(record, path, number, problems)
        return [] if row is None else [row]
    passages, rest = record["passages"], {key: value for key, value in record.items() if key != "passages"}
    if rest.get("passage") is not None or rest.get("title") is not None:
        problems.add(path, number, "fields 'passages' and 'passage' or 'title' exclude each other")
        return []
    if not isinstance(passages, list) or not passages:
        problems.add(path, number, "field 'passages' is not a list of one or more passages")
        return []
    scores, negatives = rest.get("scores") or [], rest.get("negatives") or []
    if not isinstance(scores, list) or not isinstance(negatives, list):
        check_row({**rest, "passage": "one of several"}, path, number, problems)
        return []
    if scores and len(scores) != len(passages) + len(negatives):
        problems.add(
            path,
            number,
            f"field 'scores' has {len(scores)} values for {len(passages)} passages and {len(negatives)} negatives",
        )
        return []
    rows: list[Row] = []
    for at, entry in enumerate(passages):
        texts = (
            {"title": entry.get("title"), "passage": entry.get("text")}
            if isinstance(entry, dict)
            else {"passage": entry}
        )
        own = [scores[at], *scores[len(passages) :]] if scores else scores
        row = check_row({**rest, **texts, "scores": own}, path, number, problems)
        if row is None:
            return []
        rows.append(row)
    if len({row.passage_text for row in rows}) < len(rows):
        problems.add(path, number, "field 'passages' holds a passage twice")
        return []
    return rows


def check_row(record: Any, path: Path | str, number: int | None, problems: Problems) -> Row | None:
    """Convert a parsed record to a `Row`; if it is invalid, add a problem and return None."""
    if not isinstance(record, dict):
        problems.add(path, number, f"expected a JSON object, got {type(record).__name__}")
        return None
    kind: Any = record.get("kind") or "qa"
    negatives, scores = record.get("negatives") or [], record.get("scores") or []
    texts, wrong = _checked_texts(record)
    if kind not in get_args(Kind):
        wrong.append(f"field 'kind' is {kind!r}; expected qa or bitext")
    wrong += _wrong_lists(negatives, scores)
    if not wrong and any(has_surrogate(text) for text in (*texts.values(), *negatives) if text):
        wrong.append("a text holds half of a surrogate pair (\\ud800-\\udfff), which is no character")
    if wrong:
        problems.add(path, number, "; ".join(wrong))
        return None
    return Row(
        group=str(texts["group"]),
        lang=str(texts["lang"]),
        query=str(texts["query"]),
        passage=str(texts["passage"]),
        dataset=texts["dataset"] or Path(path).name.split(".")[0],
        title=texts["title"],
        context=texts["context"],
        topic=texts["topic"],
        translated_by=texts["translated_by"],
        generated_by=texts["generated_by"],
        negatives=tuple(negatives),
        scores=tuple(float(score) for score in scores),
        kind=kind,
    )


def _checked_texts(record: dict[Any, Any]) -> tuple[dict[str, str | None], list[str]]:
    """Return a record's text fields, its language as a normal code, and what is wrong with them."""
    wrong: list[str] = []
    texts: dict[str, str | None] = {}
    for key in REQUIRED:
        value = record.get(key)
        if key == "group" and isinstance(value, Integral) and not isinstance(value, bool):
            value = str(int(value))
        if not isinstance(value, str):
            near = f"; the fields are: {', '.join(map(str, record))}" if key not in record else ""
            wrong.append(f"field {key!r} is {'missing' if key not in record else 'not a text'}{near}")
        elif is_blank(value):
            wrong.append(f"field {key!r} is empty")
        else:
            texts[key] = value
    for key in OPTIONAL_TEXT:
        value = record.get(key)
        if value is not None and not isinstance(value, str):
            wrong.append(f"field {key!r} is not a text")
        else:
            texts[key] = value or None
    code = texts.get("lang")
    if code is not None:
        try:
            texts["lang"] = normal_code(code)
        except InputError as error:
            wrong.append(f"field 'lang': {error}")
    return texts, wrong


def _wrong_lists(negatives: Any, scores: Any) -> list[str]:
    """What is wrong with a row's negatives and scores."""
    if not isinstance(negatives, list) or not all(isinstance(text, str) and not is_blank(text) for text in negatives):
        return ["field 'negatives' is not a list of texts"]
    if not isinstance(scores, list) or not all(_is_number(score) for score in scores):
        return ["field 'scores' is not a list of numbers"]
    if scores and len(scores) != 1 + len(negatives):
        return [f"field 'scores' has {len(scores)} values for a passage and {len(negatives)} negatives"]
    return []


def _is_number(value: Any) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False
