"""Rows of text into a prepared folder: a memory-mapped Arrow file beside integer arrays."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_folder, read_json, write_json
from isoglot.core.problems import Problems
from isoglot.core.progress import Progress
from isoglot.data.big_arrays import Ints, Room
from isoglot.data.lookups import REPEAT_REMEDY, DuplicateRowError
from isoglot.data.row_table import RowTable
from isoglot.data.rows import FIELDS, Row, read_rows
from isoglot.languages.codes import known_code

FORMAT = 2
_ARRAYS = tuple(field.name for field in fields(RowTable) if field.name not in ("languages", "datasets", "cross_only"))
_LISTS: dict[str, pa.DataType] = {"negatives": pa.list_(pa.string()), "scores": pa.list_(pa.float32())}
_SCHEMA = pa.schema([(name, _LISTS.get(name, pa.string())) for name in FIELDS])


@dataclass(frozen=True)
class Prepared:
    """A prepared folder: the texts (Arrow, memory-mapped) and the integer table over the same rows.

    Attributes:
        folder: where it lies.
        table: groups, languages and components of the rows.
        texts: the file's rows.
        checksum: of the rows' content.
        numbers: (rows,) ascending, which of the file's rows these are; None for all.
    """

    folder: Path
    table: RowTable
    texts: pa.Table
    checksum: str
    numbers: Ints | None = None

    def __len__(self) -> int:
        return len(self.table)

    def batches(self, names: Sequence[str], rows: Ints | None = None) -> Iterator[pa.RecordBatch]:
        """Some columns, a few thousand rows at a time, in the order of the rows; nothing else is read.

        Args:
            names: of the columns.
            rows: ascending row numbers; all when None.
        """
        if self.numbers is not None:
            rows = self.numbers if rows is None else self.numbers[rows]
        for start, batch in zip(self._starts, self.texts.select(list(names)).to_batches(), strict=True):
            if rows is None:
                yield batch
                continue
            begin, end = np.searchsorted(rows, [start, start + len(batch)])
            if end > begin:
                yield batch.take(pa.array(rows[begin:end] - start))

    def column(self, name: str, rows: Sequence[int] | Ints | None = None) -> list[Any]:
        """Values of one column, for the given rows (in any order) or all."""
        if rows is None:
            return [value for batch in self.batches([name]) for value in batch.column(0).to_pylist()]
        wanted, places = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        values = [value for batch in self.batches([name], wanted) for value in batch.column(0).to_pylist()]
        return [values[place] for place in places.tolist()]

    def query_blocks(self, rows: Ints | None = None) -> Iterator[list[str]]:
        """The queries, a few thousand at a time."""
        return (list(map(str, batch.column(0).to_pylist())) for batch in self.batches(["query"], rows))

    def passage_blocks(self, rows: Ints | None = None) -> Iterator[list[str]]:
        """The passages as an encoder sees them (title in front, where there is one), a few thousand at a time."""
        for batch in self.batches(["title", "passage"], rows):
            titles, texts = (column.to_pylist() for column in batch.columns)
            yield [f"{title} {text}" if title else str(text) for title, text in zip(titles, texts, strict=True)]

    def passages(self) -> list[str]:
        """Every row's passage as an encoder sees it."""
        return [text for block in self.passage_blocks() for text in block]

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        lengths = [len(chunk) for chunk in self.texts.column(0).chunks]
        return np.cumsum(lengths, dtype=np.int64) - lengths


def prepare(
    paths: Iterable[Path | str],
    folder: Path | str,
    *,
    langs: tuple[str, ...] | None = None,
    show_progress: bool = True,
) -> Prepared:
    """Read, check and lay out rows; streams, so memory holds a few numbers a group and nothing a row.

    Args:
        paths: row files (see `isoglot.data.rows`).
        folder: where the prepared files go; replaced as a whole when everything was read.
        langs: keep only these languages, in any spelling.
        show_progress: a row counter on stderr.

    Returns:
        The prepared rows, in file order.

    Raises:
        InputError: malformed or repeated rows (all are gathered), a missing file, or a language without rows.
    """
    files, folder = [Path(path) for path in paths], Path(folder)
    if not files:
        raise InputError("no row files given")
    if langs is not None:
        langs = tuple(dict.fromkeys(known_code(code) or code for code in langs))
    with atomic_folder(folder) as temporary:
        _write(files, temporary, langs, show_progress)
    return open_prepared(folder)


def open_prepared(folder: Path) -> Prepared:
    """Open a prepared folder without reading it: arrays and texts are memory-mapped.

    Raises:
        InputError: not a prepared folder, or one of another format version.
    """
    if not (folder / "meta.json").is_file():
        raise InputError(
            f"{folder}: not a prepared folder; name row files, or a folder that `isoglot data prepare` wrote"
        )
    meta = read_json(folder / "meta.json")
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(f"{folder}: not prepared rows of format {FORMAT}; run `isoglot data prepare` again")
    try:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        texts = pa.ipc.open_file(pa.memory_map(str(folder / "rows.arrow"))).read_all()
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{folder}: incomplete ({error}); run `isoglot data prepare` again") from error
    for name in set(FIELDS) - set(texts.column_names):  # fields that came later
        texts = texts.append_column(name, pa.nulls(len(texts)))
    table = RowTable(
        languages=tuple(meta["languages"]),
        datasets=tuple(meta["datasets"]),
        cross_only=tuple(meta.get("cross_only", ())),
        **arrays,
    )
    return Prepared(folder, table, texts, meta["checksum"])


def _write(files: list[Path], folder: Path, langs: tuple[str, ...] | None, show_progress: bool) -> None:
    languages: dict[str, int] = {}
    datasets: dict[str, int] = {}
    kinds: dict[str, str] = {}
    file_of: list[tuple[int, Path]] = []
    checksum = hashlib.sha256()
    present: set[str] = set()
    problems = Problems()
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

        for path, number, row in read_rows(files, problems):
            present.add(row.lang)
            if langs is not None and row.lang not in langs:
                continue
            if kinds.setdefault(row.dataset, row.kind) != row.kind:
                problems.add(
                    path,
                    number,
                    f"field 'kind' is {row.kind} where earlier rows of data set {row.dataset} are "
                    f"{kinds[row.dataset]}; a data set is of one kind: give these rows another `dataset`",
                )
            if not file_of or file_of[-1][1] != path:
                file_of.append((count, path))
            columns.add(
                lang=languages.setdefault(row.lang, len(languages)),
                dataset=datasets.setdefault(row.dataset, len(datasets)),
                name=_hash(row.dataset, row.group),
                passage=_hash(row.lang, row.passage_text),
                query=_hash(row.query),
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
    problems.raise_if_any("Mend these lines or take them out; docs/data.md describes the format.")
    if langs is not None and (not langs or not set(langs) <= present):
        missing = f"no rows in {', '.join(sorted(set(langs) - present))}" if langs else "an empty list"
        raise InputError(f"--langs: {missing}; there are: {', '.join(sorted(present))}")
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
            return f"{file}:{read['place'][row]}"

        raise InputError(
            f"{error.count} rows repeat the (dataset, group, lang) of an earlier one {error.why}, such as "
            f"{where(error.second)} (first at {where(error.first)}); {REPEAT_REMEDY}"
        ) from error
    for field in _ARRAYS:
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
    """Integer columns that grow in files."""

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
        """One value a column."""
        for name, value in values.items():
            self._buffers[name].append(value)

    def flush(self) -> None:
        """Hand what was added over to the files."""
        for name, buffer in self._buffers.items():
            buffer.tofile(self._files[name])
            del buffer[:]

    def arrays(self) -> dict[str, Ints]:
        """The columns, memory-mapped."""
        return {
            name: np.memmap(path, dtype=self._buffers[name].typecode, mode="r") for name, path in self._paths.items()
        }

    def remove(self) -> None:
        """Delete the files."""
        for path in self._paths.values():
            path.unlink()


def _cell(row: Row, field: str) -> Any:
    value = getattr(row, field)
    return (list(value) or None) if isinstance(value, tuple) else value


def _hash(*parts: str) -> int:
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _sorted_numbers(names: dict[str, int]) -> tuple[tuple[str, ...], Ints]:
    """Names alphabetically, so that file order does not change what is sampled, and the new number of each old one."""
    ordered = tuple(sorted(names))
    renumber = np.empty(len(ordered), dtype=np.int16)
    for new, name in enumerate(ordered):
        renumber[names[name]] = new
    return ordered, renumber
