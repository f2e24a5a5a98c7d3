"""Write a prepared folder from a stream of rows: texts to an Arrow file, numbers to arrays sorted block by block."""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa

from isoglot.core.errors import InputError
from isoglot.core.files import write_json
from isoglot.core.problems import Problems
from isoglot.core.progress import Progress
from isoglot.data.big_arrays import Ints, Room
from isoglot.data.lookups import REPEAT_REMEDY, DuplicateRowError
from isoglot.data.row_table import RowTable
from isoglot.data.rows import FIELDS, REMEDY, Row

FORMAT = 2
_BATCH = 4096  # rows per record batch of the Arrow file
ARRAYS = tuple(field.name for field in fields(RowTable) if field.name not in ("languages", "datasets", "cross_only"))
_LISTS: dict[str, pa.DataType] = {"negatives": pa.list_(pa.string()), "scores": pa.list_(pa.float32())}
_SCHEMA = pa.schema([(name, _LISTS.get(name, pa.string())) for name in FIELDS])


class Placed(NamedTuple):
    """A row and its origin: the file (None: memory) and the 1-based line or row in it."""

    file: Path | None
    number: int
    row: Row


def write_prepared(
    rows: Iterable[Placed], problems: Problems, folder: Path, langs: tuple[str, ...] | None, *, show_progress: bool
) -> None:
    """Write rows into an empty folder.

    Args:
        rows: the rows, in the order that the prepared rows will have.
        problems: filled while `rows` is iterated; raised after the last row.
        folder: where the files go.
        langs: keep only these languages; all if None.
        show_progress: show a row counter on stderr.

    Raises:
        InputError: there are problems, repeated rows, no rows at all, or no rows of a language in `langs`.
    """
    present: set[str] = set()
    with _RowFiles(folder, problems) as written, Progress("rows", enabled=show_progress) as progress:
        for placed in rows:
            present.add(placed.row.lang)
            if langs is None or placed.row.lang in langs:
                written.add(placed)
                progress.advance()
    problems.raise_if_any(REMEDY)
    _refuse_missing_languages(present, langs)
    with Progress("laying out the rows", enabled=show_progress):
        table = _row_table(written, folder)
    for field in ARRAYS:
        if not (folder / f"{field}.npy").exists():
            np.save(folder / f"{field}.npy", getattr(table, field))
    written.columns.remove()
    write_json(
        folder / "meta.json",
        {
            "format": FORMAT,
            "languages": table.languages,
            "datasets": table.datasets,
            "cross_only": table.cross_only,
            "rows": written.count,
            "checksum": written.checksum.hexdigest(),
        },
    )


def _refuse_missing_languages(present: set[str], langs: tuple[str, ...] | None) -> None:
    if not present:
        raise InputError("no rows: the input has columns, but they are empty")
    if langs is not None and (not langs or not set(langs) <= present):
        missing = f"no rows in {', '.join(sorted(set(langs) - present))}" if langs else "an empty list"
        raise InputError(f"langs: {missing}; there are: {', '.join(sorted(present))}")


def _row_table(written: _RowFiles, folder: Path) -> RowTable:
    """Compute the look-ups of the written rows; large ones are written to the folder."""
    languages, language_numbers = _sorted_numbers(written.languages)
    datasets, dataset_numbers = _sorted_numbers(written.datasets)
    columns = written.columns.arrays()
    try:
        return RowTable.from_numbers(
            languages,
            datasets,
            columns["lang"],
            columns["dataset"],
            columns["name"],
            columns["passage"],
            columns["query"],
            renumber=(language_numbers, dataset_numbers),
            cross_only=tuple(sorted(name for name, kind in written.kinds.items() if kind == "bitext")),
            room=Room(folder),
        )
    except DuplicateRowError as error:
        place = partial(written.place, columns["place"])
        lines = [f"{error.count} rows repeat the (dataset, group, lang) of an earlier one:"]
        lines += [f"{place(second)} {why} (first at {place(first)})" for first, second, why in error.found]
        if error.count > len(error.found):
            lines.append(f"... and {error.count - len(error.found)} more")
        raise InputError("\n".join([*lines, REPEAT_REMEDY.capitalize()])) from error


class _RowFiles:
    """Rows on their way to disk: texts in an Arrow file, numbers in one file per column.

    Attributes:
        columns: the numbers of each row.
        languages, datasets: names by their numbers in the columns, in the order of their first rows.
        kinds: the kind of each data set.
        count: number of rows.
        checksum: of all rows' contents.
    """

    def __init__(self, folder: Path, problems: Problems) -> None:
        self.columns = _Columns(folder, lang="h", dataset="h", name="q", passage="q", query="q", place="q")
        self.languages: dict[str, int] = {}
        self.datasets: dict[str, int] = {}
        self.kinds: dict[str, str] = {}
        self.count = 0
        self.checksum = hashlib.sha256()
        self._problems = problems
        self._path = folder / "rows.arrow"
        self._open = ExitStack()
        self._batch: list[Row] = []
        self._files: list[tuple[int, Path | None]] = []  # the first row of each file

    def __enter__(self) -> _RowFiles:
        sink = self._open.enter_context(pa.OSFile(str(self._path), "wb"))
        self._writer = self._open.enter_context(pa.ipc.new_file(sink, _SCHEMA))
        self._open.enter_context(self.columns)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        with self._open:
            if kind is None:
                self._flush()

    def add(self, placed: Placed) -> None:
        """Append a row; one whose data set is of another kind is a problem."""
        path, number, row = placed
        if self.kinds.setdefault(row.dataset, row.kind) != row.kind:
            self._problems.add(
                _place(path, number),
                None,
                f"field 'kind' is {row.kind} where earlier rows of data set {row.dataset} are "
                f"{self.kinds[row.dataset]}; a data set is of one kind: give these rows another `dataset`",
            )
        if not self._files or self._files[-1][1] != path:
            self._files.append((self.count, path))
        self.columns.add(
            lang=self.languages.setdefault(row.lang, len(self.languages)),
            dataset=self.datasets.setdefault(row.dataset, len(self.datasets)),
            name=_hash(row.dataset, row.group),
            passage=_hash(_composed(row.passage_text)),
            query=_hash(_composed(row.query)),
            place=number,
        )
        if row.kind != "qa":
            self.checksum.update(f"{row.kind}\0".encode())
        self.checksum.update(f"{row.dataset}\0{row.group}\0{row.lang}\0{row.query}\0{row.passage_text}\0".encode())
        if row.negatives or row.scores:
            self.checksum.update(f"{row.negatives}\0{row.scores}\0".encode())
        self._batch.append(row)
        self.count += 1
        if len(self._batch) == _BATCH:
            self._flush()

    def place(self, places: Ints, row: int) -> str:
        """Name a row's origin, given the column of places."""
        file = next(path for start, path in reversed(self._files) if start <= row)
        return _place(file, int(places[row]))

    def _flush(self) -> None:
        if self._batch:
            values = [pa.array([_cell(row, field.name) for row in self._batch], type=field.type) for field in _SCHEMA]
            self._writer.write_batch(pa.record_batch(values, schema=_SCHEMA))
            self.columns.flush()
            self._batch.clear()


class _Columns:
    """Integer columns that are appended to files."""

    def __init__(self, folder: Path, **types: str) -> None:
        self._paths = {name: folder / f"{name}.column" for name in types}
        self._buffers = {name: array(code) for name, code in types.items()}
        self._files: dict[str, IO[bytes]] = {}
        self._open = ExitStack()

    def __enter__(self) -> _Columns:
        self._files = {name: self._open.enter_context(path.open("wb")) for name, path in self._paths.items()}
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def add(self, **values: int) -> None:
        """Append one value to each column."""
        for name, value in values.items():
            self._buffers[name].append(value)

    def flush(self) -> None:
        """Write the buffered values to the files."""
        for name, buffer in self._buffers.items():
            buffer.tofile(self._files[name])
            del buffer[:]

    def arrays(self) -> dict[str, Ints]:
        """Return the columns, memory-mapped."""
        return {
            name: np.memmap(path, dtype=self._buffers[name].typecode, mode="r") for name, path in self._paths.items()
        }

    def remove(self) -> None:
        """Delete the files."""
        for path in self._paths.values():
            path.unlink()


def _place(file: Path | None, number: int) -> str:
    return f"row {number}" if file is None else f"{file}:{number}"


def _cell(row: Row, field: str) -> Any:
    value = getattr(row, field)
    return (list(value) or None) if isinstance(value, tuple) else value


def _composed(text: str) -> str:
    """Normalise a text to NFC, as for encoding: texts that differ only in composed letters are the same passage."""
    return unicodedata.normalize("NFC", text)


def _hash(*parts: str) -> int:
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _sorted_numbers(names: dict[str, int]) -> tuple[tuple[str, ...], Ints]:
    """Sort names, so that file order does not affect sampling; also return the new number of each old number."""
    ordered = tuple(sorted(names))
    renumber = np.empty(len(ordered), dtype=np.int16)
    for new, name in enumerate(ordered):
        renumber[names[name]] = new
    return ordered, renumber
