"""Rows of text into a prepared folder: a memory-mapped Arrow file beside integer arrays."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from isoglot.data.problems import Problems
from isoglot.data.rows import FIELDS, Row, read_rows
from isoglot.data.table import DuplicateRowError, RowTable, build_table
from isoglot.errors import InputError
from isoglot.files import atomic_folder, read_json, write_json
from isoglot.progress import Progress

FORMAT = 1
_ARRAYS = tuple(field.name for field in fields(RowTable) if field.name not in ("languages", "datasets"))
_LISTS: dict[str, pa.DataType] = {"negatives": pa.list_(pa.string()), "scores": pa.list_(pa.float32())}
_SCHEMA = pa.schema([(name, _LISTS.get(name, pa.string())) for name in FIELDS])


@dataclass(frozen=True)
class Prepared:
    """A prepared folder: the texts (Arrow, memory-mapped) and the integer table over the same rows."""

    folder: Path
    table: RowTable
    texts: pa.Table
    checksum: str

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str, rows: Sequence[int] | np.ndarray[Any, Any] | None = None) -> list[Any]:
        """Values of one column, for the given rows or all."""
        column = self.texts.column(name)
        return (column if rows is None else column.take(pa.array(rows))).to_pylist()

    def passages(self) -> list[str]:
        """Every row's passage as an encoder sees it (title in front, where there is one)."""
        titles = self.texts.column("title")
        passages = self.column("passage")
        if titles.null_count == len(titles):
            return passages
        return [f"{title} {text}" if title else text for title, text in zip(titles.to_pylist(), passages, strict=True)]


def prepare(
    paths: Iterable[Path | str],
    folder: Path | str,
    *,
    langs: tuple[str, ...] | None = None,
    show_progress: bool = True,
) -> Prepared:
    """Read, check and lay out rows; streams, so memory holds integers only.

    Args:
        paths: row files (see `isoglot.data.rows`).
        folder: where the prepared files go; replaced as a whole when everything was read.
        langs: keep only these languages.
        show_progress: a row counter on stderr.

    Returns:
        The prepared rows, in file order.

    Raises:
        InputError: malformed or repeated rows (all are gathered), a missing file, or a language without rows.
    """
    files, folder = [Path(path) for path in paths], Path(folder)
    if not files:
        raise InputError("no row files given")
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
    table = RowTable(languages=tuple(meta["languages"]), datasets=tuple(meta["datasets"]), **arrays)
    return Prepared(folder, table, texts, meta["checksum"])


def _write(files: list[Path], folder: Path, langs: tuple[str, ...] | None, show_progress: bool) -> None:
    languages: dict[str, int] = {}
    datasets: dict[str, int] = {}
    lang, dataset, name, passage, place = array("h"), array("h"), array("q"), array("q"), array("q")
    file_of: list[tuple[int, Path]] = []
    checksum = hashlib.sha256()
    present: set[str] = set()
    problems = Problems()
    batch: list[Row] = []
    with (
        Progress("rows", enabled=show_progress) as progress,
        pa.OSFile(str(folder / "rows.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, _SCHEMA) as writer,
    ):

        def flush() -> None:
            columns = [pa.array([_cell(row, field.name) for row in batch], type=field.type) for field in _SCHEMA]
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
            batch.clear()

        for path, number, row in read_rows(files, problems):
            present.add(row.lang)
            if langs is not None and row.lang not in langs:
                continue
            if not file_of or file_of[-1][1] != path:
                file_of.append((len(lang), path))
            lang.append(languages.setdefault(row.lang, len(languages)))
            dataset.append(datasets.setdefault(row.dataset, len(datasets)))
            name.append(_hash(row.dataset, row.group))
            passage.append(_hash(row.lang, row.passage_text))
            place.append(number)
            checksum.update(f"{row.dataset}\0{row.group}\0{row.lang}\0{row.query}\0{row.passage_text}\0".encode())
            batch.append(row)
            if len(batch) == 4096:
                flush()
            progress.advance()
        if batch:
            flush()
    problems.raise_if_any("Mend these lines or take them out; docs/data.md describes the format.")
    if langs is not None and (not langs or not set(langs) <= present):
        missing = f"no rows in {', '.join(sorted(set(langs) - present))}" if langs else "an empty list"
        raise InputError(f"--langs: {missing}; there are: {', '.join(sorted(present))}")
    order_l, numbers_l = _sorted_numbers(languages, lang)
    order_d, numbers_d = _sorted_numbers(datasets, dataset)
    try:
        table = build_table(
            order_l, order_d, numbers_l, numbers_d, np.asarray(name, np.int64), np.asarray(passage, np.int64)
        )
    except DuplicateRowError as error:

        def where(row: int) -> str:
            file = next(path for start, path in reversed(file_of) if start <= row)
            return f"{file}:{place[row]}"

        raise InputError(
            f"{error.count} rows repeat the (dataset, group, lang) of an earlier one, such as {where(error.second)} "
            f"(first at {where(error.first)}); one group has one row a language: rename the group or drop the row"
        ) from error
    for field in _ARRAYS:
        np.save(folder / f"{field}.npy", getattr(table, field))
    write_json(
        folder / "meta.json",
        {
            "format": FORMAT,
            "languages": order_l,
            "datasets": order_d,
            "rows": len(lang),
            "checksum": checksum.hexdigest(),
        },
    )


def _cell(row: Row, field: str) -> Any:
    value = getattr(row, field)
    return (list(value) or None) if isinstance(value, tuple) else value


def _hash(*parts: str) -> int:
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _sorted_numbers(names: dict[str, int], numbers: array[int]) -> tuple[tuple[str, ...], np.ndarray[Any, Any]]:
    """Renumber names alphabetically, so that file order does not change what is sampled."""
    ordered = tuple(sorted(names))
    renumber = np.empty(len(ordered), dtype=np.int32)
    for new, name in enumerate(ordered):
        renumber[names[name]] = new
    return ordered, renumber[np.asarray(numbers)]
