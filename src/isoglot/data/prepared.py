"""Prepared rows: the texts in a memory-mapped Arrow file, everything else in integer arrays."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isoglot.core.arguments import check_kind
from isoglot.core.cache import cache_folder
from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import atomic_folder, read_json, remove_leftovers, share, unwritable
from isoglot.core.output_folders import holds_anything
from isoglot.core.problems import Problems
from isoglot.core.short_repr import few
from isoglot.data.big_arrays import Ints
from isoglot.data.inputs import Given, rows_given
from isoglot.data.prepared_files import ARRAYS, FORMAT, Placed, write_prepared
from isoglot.data.row_table import RowTable
from isoglot.data.rows import FIELDS
from isoglot.languages.table import given_codes

# How texts are compared and what the checksum covers; part of the cache key, so a change invalidates cached rows.
_COMPARED = "passages and queries in NFC, in any language; checksum with negatives"


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared folder: the texts (Arrow, memory-mapped) and the integer table over the same rows.

    `==` compares identity; to compare the content, compare `checksum`.

    Attributes:
        folder: its path.
        table: groups, languages and components of the rows.
        texts: the texts of all rows in the file.
        checksum: checksum of the rows' content.
        numbers: (rows,) ascending numbers of the rows in the file that this object covers; None for all.

    Example:
        >>> from isoglot import Prepared, prepare
        >>> rows = prepare([{"group": 1, "lang": "de", "query": "Wer?", "passage": "Grimm."}], show_progress=False)
        >>> isinstance(rows, Prepared), len(rows), rows.column("query")
        (True, 1, ['Wer?'])
    """

    folder: Path
    table: RowTable
    texts: pa.Table
    checksum: str
    numbers: Ints | None = None

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        languages = few(self.table.languages)
        return f"<Prepared: {len(self)} rows, {self.table.groups} groups, languages {languages}, in {self.folder}>"

    def batches(self, names: Sequence[str], rows: Ints | None = None) -> Iterator[pa.RecordBatch]:
        """Yield some columns in row order, a few thousand rows at a time; the other columns are not read.

        Args:
            names: names of the columns.
            rows: ascending row numbers; all if None.
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
        """Return the values of one column for the given rows (in any order), or for all rows."""
        if rows is None:
            return [value for batch in self.batches([name]) for value in batch.column(0).to_pylist()]
        wanted, places = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        values = [value for batch in self.batches([name], wanted) for value in batch.column(0).to_pylist()]
        return [values[place] for place in places.tolist()]

    def query_blocks(self, rows: Ints | None = None) -> Iterator[list[str]]:
        """Yield the queries, a few thousand at a time."""
        return (list(map(str, batch.column(0).to_pylist())) for batch in self.batches(["query"], rows))

    def passage_blocks(self, rows: Ints | None = None) -> Iterator[list[str]]:
        """Yield the passages as they are encoded (after the title, if there is one), a few thousand at a time."""
        for batch in self.batches(["title", "passage"], rows):
            titles, texts = (column.to_pylist() for column in batch.columns)
            yield [f"{title} {text}" if title else str(text) for title, text in zip(titles, texts, strict=True)]

    def passages(self) -> list[str]:
        """Return every row's passage as it is encoded."""
        return [text for block in self.passage_blocks() for text in block]

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        lengths = [len(chunk) for chunk in self.texts.column(0).chunks]
        return np.cumsum(lengths, dtype=np.int64) - lengths


def prepare(
    rows: Any,
    folder: Path | str | None = None,
    *,
    langs: str | Iterable[str] | None = None,
    show_progress: bool = True,
) -> Prepared:
    """Read, check and prepare rows as a stream: memory holds a few numbers per group and nothing per row.

    Args:
        rows: one or several paths or globs of row files (see `isoglot.data.rows`); an iterable of dicts or `Row`s; a
            mapping of columns; a pandas or polars data frame, a `pyarrow.Table` or a `datasets.Dataset`; or a prepared
            folder, which is opened as it is.
        folder: where to write the prepared files. Prepared rows already there are replaced as a whole once all rows
            have been read; a folder with any other content is an error. If None, the files go to the cache
            (`ISOGLOT_CACHE`) under a checksum of the content, so that the same rows are prepared only once.
        langs: keep only these languages, in any spelling: several codes, or one text with commas.
        show_progress: show a row counter on stderr.

    Returns:
        The prepared rows, in the order of the input.

    Raises:
        InputError: malformed or repeated rows (all are reported, with file and line, or the 1-based row in memory),
            a missing file or column, no rows at all, a language without rows, or a folder that holds something else.

    Example:
        >>> from isoglot import prepare
        >>> passages = {"de": "Das schrieb Grimm.", "en": "Grimm wrote that."}
        >>> rows = [{"group": 1, "lang": lang, "query": "Grimm?", "passage": text} for lang, text in passages.items()]
        >>> prepared = prepare(rows, show_progress=False)
        >>> len(prepared), prepared.table.languages
        (2, ('de', 'en'))
    """
    if folder is not None:
        check_kind("folder", folder, (str, Path), "where the prepared files go, as text or a path")
    found = _already(rows, langs is not None)
    if found is not None:
        return found
    given, codes = rows_given(rows), given_codes(langs)
    if folder is None:
        return _in_cache(given, codes, show_progress)
    folder = Path(folder)
    _refuse_to_replace(folder)
    with atomic_folder(folder) as temporary:
        problems = Problems()
        write_prepared(given.rows(problems), problems, temporary, codes, show_progress=show_progress)
    return open_prepared(folder)


def _refuse_to_replace(folder: Path) -> None:
    if folder.is_file():
        raise InputError(f"{folder}: is a file; expected a folder for the prepared rows, or none yet")
    if folder.is_dir() and holds_anything(folder) and not (folder / "rows.arrow").is_file():
        raise InputError(
            f"{folder}: holds files other than prepared rows, which are kept; give another folder, or none"
        )


def open_prepared(folder: Path) -> Prepared:
    """Open a prepared folder without reading it: arrays and texts are memory-mapped.

    Raises:
        InputError: the folder is not a prepared one, is incomplete, or has another format version.
    """
    if not (folder / "meta.json").is_file():
        raise InputError(
            f"{folder}: not a prepared folder; name row files, or a folder that `isoglot data prepare` wrote"
        )
    meta = read_json(folder / "meta.json")
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise InputError(f"{folder}: not prepared rows of format {FORMAT}; run `isoglot data prepare` again")
    try:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        texts = pa.ipc.open_file(pa.memory_map(str(folder / "rows.arrow"))).read_all()
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{folder}: incomplete ({error}); run `isoglot data prepare` again") from error
    for name in set(FIELDS) - set(texts.column_names):  # fields added after the folder was written
        texts = texts.append_column(name, pa.nulls(len(texts)))
    table = RowTable(
        languages=tuple(meta["languages"]),
        datasets=tuple(meta["datasets"]),
        cross_only=tuple(meta.get("cross_only", ())),
        **arrays,
    )
    return Prepared(folder, table, texts, meta["checksum"])


def _already(rows: Any, restricted: bool) -> Prepared | None:
    """Return the input if it is `Prepared` or a folder of it, opened; None for any other input."""
    if isinstance(rows, (list, tuple)) and len(rows) == 1:
        rows = rows[0]
    if isinstance(rows, (str, Path)) and Path(rows).is_dir():
        rows = open_prepared(Path(rows))
    if not isinstance(rows, Prepared):
        return None
    if restricted:
        raise InputError(
            f"{rows.folder}: the languages of prepared rows are fixed; prepare again from row files to select some"
        )
    return rows


def _in_cache(given: Given, langs: tuple[str, ...] | None, show_progress: bool) -> Prepared:
    """Return prepared rows from the cache, keyed by a checksum of their content; prepare them if they are missing."""
    home = cache_folder() / "rows"
    content = None if given.digest is None else given.digest()
    if content is not None and (found := _cached(_place(home, content, langs))):
        return found
    try:
        home.mkdir(parents=True, exist_ok=True)
        remove_leftovers(home, ".*.tmp")
        temporary = Path(tempfile.mkdtemp(prefix=".", suffix=".tmp", dir=home))
    except OSError as error:
        remedy = "set $ISOGLOT_CACHE to a writable folder (in Python, `prepare(rows, folder)` prepares elsewhere)"
        raise unwritable(home, error, remedy) from error
    try:
        problems, digest = Problems(), hashlib.sha256()

        def read() -> Iterator[Placed]:
            for entry in given.rows(problems):
                if content is None:
                    digest.update(repr(asdict(entry.row)).encode())
                yield entry

        write_prepared(read(), problems, temporary, langs, show_progress=show_progress)
        place = _place(home, content or digest.hexdigest(), langs)
        share(temporary, 0o777)
        with suppress(OSError):  # another process has written the same, and may be reading it
            temporary.rename(place)
        if not _cached(place):  # what is there is damaged, so it can go
            shutil.rmtree(place, ignore_errors=True)
            with suppress(OSError):
                temporary.rename(place)
        return open_prepared(place)
    except OSError as error:
        raise IsoglotError(f"{home}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _place(home: Path, content: str, langs: tuple[str, ...] | None) -> Path:
    kept = "all" if langs is None else ",".join(sorted(langs))
    return home / hashlib.sha256(f"{FORMAT}\0{_COMPARED}\0{content}\0{kept}".encode()).hexdigest()[:32]


def _cached(place: Path) -> Prepared | None:
    try:
        return open_prepared(place)
    except InputError:
        return None
