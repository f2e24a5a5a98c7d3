"""Write a prepared folder from a stream of rows: texts to an Arrow file, numbers to arrays sorted block by block."""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import fields
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
    languages: dict[str, int] = {}
    datasets: dict[str, int] = {}
    kinds: dict[str, str] = {}
    file_of: list[tuple[int, Path | None]] = []
    checksum = hashlib.sha256()
    present: set[str] = set()
    batch: list[Row] = []
    count = 0
    with (
        Progress("rows", enabled=show_progress) as progress,
        pa.OSFile(str(folder / "rows.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA) as writer,
        _Columns(folder, lang="h", dataset="h", name="q", passage="q", query="q", place="q") as columns,
    ):

        def flush() -> None:
            values = [pa.array([_cell(row, field.name) for row in batch], type=field.type) for field in _SCHEMA]
            writer.write_batch(pa.record_batch(values, schema=_SCHEMA))
            columns.flush()
            batch.clear()

        for path, number, row in rows:
            present.add(row.lang)
            if langs is not None and row.lang not in langs:
                continue
            if kinds.setdefault(row.dataset, row.kind) != row.kind:
                problems.add(
                    _place(path, number),
                    None,
                    f"field 'kind' is {row.kind} where earlier rows of data set {row.dataset} are "
                    f"{kinds[row.dataset]}; a data set is of one kind: give these rows another `dataset`",
                )
            if not file_of or file_of[-1][1] != path:
                file_of.append((count, path))
            columns.add(
                lang=languages.setdefault(row.lang, len(languages)),
                dataset=datasets.setdefault(row.dataset, len(datasets)),
                name=_hash(row.dataset, row.group),
                passage=_hash(row.lang, _composed(row.passage_text)),
                query=_hash(_composed(row.query)),
                place=number,
            )
            if row.kind != "qa":
                checksum.update(f"{row.kind}\0".encode())
            checksum.update(f"{row.dataset}\0{row.group}\0{row.lang}\0{row.query}\0{row.passage_text}\0".encode())
            batch.append(row)
            count += 1
            if len(batch) == 4096:
                flush()
            progress.advance()
        if batch:
            flush()
    problems.raise_if_any(REMEDY)
    if not present:
        raise InputError("no rows: the input has columns, but they are empty")
    if langs is not None and (not langs or not set(langs) <= present):
        missing = f"no rows in {', '.join(sorted(set(langs) - present))}" if langs else "an empty list"
        raise InputError(f"langs: {missing}; there are: {', '.join(sorted(present))}")
    order_l, numbers_l = _sorted_numbers(languages)
    order_d, numbers_d = _sorted_numbers(datasets)
    read = columns.arrays()
    cross_only = tuple(sorted(name for name, kind in kinds.items() if kind == "bitext"))
    try:
        with Progress("laying out the rows", enabled=show_progress):
            table = RowTable.from_numbers(
                order_l,
                order_d,
                read["lang"],
                read["dataset"],
                read["name"],
                read["passage"],
                read["query"],
                renumber=(numbers_l, numbers_d),
                cross_only=cross_only,
                room=Room(folder),
            )
    except DuplicateRowError as error:

        def where(row: int) -> str:
            file = next(path for start, path in reversed(file_of) if start <= row)
            return _place(file, read["place"][row])

        told = [f"{where(second)} {why} (first at {where(first)})" for first, second, why in error.found]
        if error.count > len(told):
            told.append(f"... and {error.count - len(told)} more")
        said = f"{error.count} rows repeat the (dataset, group, lang) of an earlier one"
        raise InputError("\n".join([f"{said}:", *told, REPEAT_REMEDY.capitalize()])) from error
    for field in ARRAYS:
        if not (folder / f"{field}.npy").exists():
            np.save(folder / f"{field}.npy", getattr(table, field))
    columns.remove()
    write_json(
        folder / "meta.json",
        {
            "format": FORMAT,
            "languages": order_l,
            "datasets": order_d,
            "cross_only": cross_only,
            "rows": count,
            "checksum": checksum.hexdigest(),
        },
    )


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
