"""Parallel rows laid out: texts in a memory-mapped Arrow file beside integer arrays."""

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
from isoglot.core.brief import few
from isoglot.core.cache import cache_folder
from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import atomic_folder, masked, read_json, unwritable
from isoglot.core.output_folders import holds_anything
from isoglot.core.problems import Problems
from isoglot.data.big_arrays import Ints
from isoglot.data.given import Given, rows_given
from isoglot.data.prepared_files import ARRAYS, FORMAT, Placed, write_prepared
from isoglot.data.row_table import RowTable
from isoglot.data.rows import FIELDS
from isoglot.languages.table import given_codes

_COMPARED = "NFC"  # how passages are told apart: what was kept under another way is made anew


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prepared folder: the texts (Arrow, memory-mapped) and the integer table over the same rows.

    `==` compares identity; to compare the content, compare `checksum`.

    Attributes:
        folder: where it lies.
        table: groups, languages and components of the rows.
        texts: the file's rows.
        checksum: of the rows' content.
        numbers: (rows,) ascending, which of the file's rows these are; None for all.

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
    rows: Any,
    folder: Path | str | None = None,
    *,
    langs: str | Iterable[str] | None = None,
    show_progress: bool = True,
) -> Prepared:
    """Read, check and lay out rows; streams, so memory holds a few numbers a group and nothing a row.

    Args:
        rows: paths or globs of row files (see `isoglot.data.rows`), one or several; an iterable of dicts or `Row`s; a
            mapping of columns; a frame of pandas or polars, a `pyarrow.Table`, a `datasets.Dataset`; or a prepared
            folder, which is opened as it is.
        folder: where the prepared files go; prepared rows that are there are replaced as a whole when everything was
            read, anything else is refused. When None they go to the cache (`ISOGLOT_CACHE`), under a checksum of the
            content: the same rows are laid out once.
        langs: keep only these languages, in any spelling; several, or one text with commas.
        show_progress: a row counter on stderr.

    Returns:
        The prepared rows, in the order given.

    Raises:
        InputError: malformed or repeated rows (all are gathered, with their file and line, or the 1-based row in
            memory), a missing file or column, no rows at all, a language without rows, or a folder that holds
            something else.

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
        raise InputError(f"{folder}: holds other things than prepared rows, which stay; give another folder, or none")


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
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
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


def _already(rows: Any, restricted: bool) -> Prepared | None:
    """Rows that are prepared, opened; None for others."""
    if isinstance(rows, (list, tuple)) and len(rows) == 1:
        rows = rows[0]
    if isinstance(rows, (str, Path)) and Path(rows).is_dir():
        rows = open_prepared(Path(rows))
    if not isinstance(rows, Prepared):
        return None
    if restricted:
        raise InputError(
            f"{rows.folder}: prepared rows keep the languages that they have; prepare again from row files to keep some"
        )
    return rows


def _in_cache(given: Given, langs: tuple[str, ...] | None, show_progress: bool) -> Prepared:
    """Prepared rows under a checksum of their content."""
    home = cache_folder() / "rows"
    content = None if given.digest is None else given.digest()
    if content is not None and (found := _cached(_place(home, content, langs))):
        return found
    try:
        home.mkdir(parents=True, exist_ok=True)
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
        if not _cached(place):
            # Gone only where it was damaged. A process that was faster has written the same.
            shutil.rmtree(place, ignore_errors=True)
            with suppress(OSError):
                temporary.chmod(masked(0o777))
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
