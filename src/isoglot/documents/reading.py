"""Documents out of files and folders: JSONL, CSV, Parquet, BEIR, Markdown, text, HTML, PDF."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError, MissingPackageError
from isoglot.core.problems import Problems
from isoglot.documents.html import html_page
from isoglot.documents.markdown import markdown_page
from isoglot.documents.page import Page, plain_page
from isoglot.languages.codes import known_code

ID_FIELDS = ("id", "_id", "docid", "doc_id")
TEXT_FIELDS = ("text", "passage", "contents", "content", "body")
TITLE_FIELDS = ("title",)
LANG_FIELDS = ("lang", "language")
ENCODINGS = "UTF-8 or UTF-16 (with or without a mark), or what charset-normalizer recognises"

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
        id: its own, or made of the file's path under the input folder (and the line).
        text: without control characters and half surrogates.
        lang: as the data say; None where they do not.
        title: empty where it has none.
        source: file, or file:line.
        metadata: what else the record holds.
        done: bytes of all inputs read so far, for progress.
    """

    id: str
    text: str
    lang: str | None = None
    title: str = ""
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0

    @property
    def place(self) -> tuple[str, int | None]:
        """File and line of `source`."""
        file, _, line = self.source.rpartition(":")
        return (file, int(line)) if file and line.isdecimal() else (self.source, None)


@dataclass(frozen=True)
class Source:
    """One file to read, with the name its documents get and the bytes of the files before it."""

    path: Path
    name: str
    start: int
    size: int


def find_sources(inputs: list[Path]) -> list[Source]:
    """Files behind inputs, in a fixed order; a BEIR folder gives its corpus, other folders all files of known kinds.

    Raises:
        InputError: an input that does not exist, is of an unknown kind, or holds nothing to index.
    """
    found: list[tuple[Path, str]] = []
    for given in inputs:
        if given.is_dir():
            own = _folder(given)
            if not own:
                raise InputError(f"{given}: no file to index in this folder; the kinds are {', '.join(READERS)}")
            found += own
        elif given.is_file():
            if _kind(given) is None:
                raise InputError(f"{given}: not a kind of file that can be indexed; the kinds are {', '.join(READERS)}")
            found.append((given, given.name))
        else:
            raise InputError(f"{given}: no such file or folder")
    if not found:
        raise InputError("nothing to index; name files or folders")
    sources, start = [], 0
    for path, name in found:
        size = path.stat().st_size
        sources.append(Source(path, name, start, size))
        start += size
    return sources


def read_documents(sources: list[Source], problems: Problems) -> Iterator[Document]:
    """Stream documents in order; what cannot be read is noted in `problems` and passed over."""
    for source in sources:
        read = READERS[_kind(source.path) or ".txt"]
        try:
            for document in read(source, problems):
                if document.text:
                    yield document
                else:
                    problems.add(*document.place, "no text")
        except (OSError, EOFError, zlib.error) as error:
            problems.add(source.path, None, f"cannot be read ({error})")


def clean(text: str) -> str:
    """Text without control characters and half surrogates (blanks in their place), trimmed."""
    return _CONTROL.sub(" ", text).strip()


def decode(data: bytes) -> str | None:
    """Text of a file's bytes; None where no encoding fits.

    UTF-16 where there is a mark, or where every second byte of the beginning is zero; then UTF-8, then what
    charset-normalizer recognises.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    # Zero bytes are letters to UTF-8, but nobody writes them.
    halves = [part.count(0) / max(1, len(part)) for part in (data[:2000:2], data[1:2000:2])]
    if max(halves) > 0.7 and min(halves) < 0.3:
        return data.decode("utf-16-be" if halves[0] > halves[1] else "utf-16-le", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        raise _missing("charset-normalizer", "texts that are not UTF-8") from error
    best = from_bytes(data).best()
    return None if best is None else str(best)


def _folder(folder: Path) -> list[tuple[Path, str]]:
    for name in ("corpus.jsonl", "corpus.jsonl.gz"):
        if (folder / name).is_file():
            return [(folder / name, name)]
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            if not name.startswith(".") and _kind(path) and path.is_file():
                found.append((path, path.relative_to(folder).as_posix()))
    return found


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    return next((ending for ending in READERS if name.endswith(ending)), None)


def _jsonl(source: Source, problems: Problems) -> Iterator[Document]:
    zipped = source.path.name.lower().endswith(".gz")
    with source.path.open("rb") as file:
        stream: Any = gzip.GzipFile(fileobj=file) if zipped else file
        read = 0
        for number, line in enumerate(stream, 1):
            read += len(line)
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except UnicodeDecodeError as error:
                problems.add(source.path, number, f"not UTF-8 (byte {error.start})")
                continue
            except (ValueError, RecursionError) as error:  # also a number of over 4300 digits
                problems.add(source.path, number, f"not a JSON object ({error})")
                continue
            done = source.start + (file.tell() if zipped else read)
            document = _record(record, source, number, done, problems)
            if document is not None:
                yield document


def _csv(source: Source, problems: Problems) -> Iterator[Document]:
    csv.field_size_limit(2**31 - 1)
    delimiter = "\t" if source.path.name.lower().endswith(".tsv") else ","
    try:
        with source.path.open("rb") as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, delimiter=delimiter)
            for record in reader:
                record.pop(None, None)
                filled = {key: value for key, value in record.items() if value}
                done = source.start + file.tell()
                document = _record(filled, source, reader.line_num, done, problems)
                if document is not None:
                    yield document
    except UnicodeDecodeError as error:
        problems.add(source.path, None, f"not UTF-8 ({error.reason}); the rest of the file is passed over, convert it")
    except csv.Error as error:
        problems.add(source.path, None, f"not a readable table ({error})")


def _parquet(source: Source, problems: Problems) -> Iterator[Document]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source.path) as file:
            total, number = max(1, file.metadata.num_rows), 0
            names = [name for name in file.schema_arrow.names if name != "vector"]
            for batch in file.iter_batches(batch_size=2048, columns=names):
                for record in batch.to_pylist():
                    number += 1
                    present = {key: value for key, value in record.items() if value is not None}
                    done = source.start + source.size * number // total
                    document = _record(present, source, number, done, problems)
                    if document is not None:
                        yield document
    except pa.ArrowException as error:
        problems.add(source.path, None, f"not a readable Parquet file ({error})")


def _record(record: Any, source: Source, number: int, done: int, problems: Problems) -> Document | None:
    """Turn a record into a Document, or note why it is none."""
    if not isinstance(record, dict):
        problems.add(source.path, number, f"expected an object with a text, got {type(record).__name__}")
        return None
    text = _first(record, TEXT_FIELDS)
    if not isinstance(text, str) or not text.strip():
        problems.add(source.path, number, f"no text; expected a field {' or '.join(TEXT_FIELDS)}")
        return None
    known = _first(record, ID_FIELDS)
    title, lang = _first(record, TITLE_FIELDS), _first(record, LANG_FIELDS)
    nested = record.get("metadata")
    more = dict(nested) if isinstance(nested, dict) else {}
    if lang is None:
        lang = _first(more, LANG_FIELDS)
    if lang is not None:
        code = known_code(lang) if isinstance(lang, str) else None
        if code is None:
            problems.add(source.path, number, f"language {lang!r} is no code such as 'de'; it will be detected")
        lang = code
    used = {*ID_FIELDS, *TEXT_FIELDS, *TITLE_FIELDS, *LANG_FIELDS, "metadata"}
    more |= {key: value for key, value in record.items() if key not in used}
    return Document(
        id=clean(str(known)) if known not in (None, "") else f"{source.name}:{number}",
        text=clean(text),
        lang=lang,
        title=clean(title) if isinstance(title, str) else "",
        source=f"{source.name}:{number}",
        metadata=more,
        done=done,
    )


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _whole(parse: Callable[[str], Page]) -> Callable[[Source, Problems], Iterator[Document]]:
    """A reader of files that are one document each."""

    def read(source: Source, problems: Problems) -> Iterator[Document]:
        text = decode(source.path.read_bytes())
        if text is None:
            problems.add(source.path, None, f"not a text in a known encoding; expected {ENCODINGS}")
            return
        yield _document(source, parse(text))

    return read


def _pdf(source: Source, problems: Problems) -> Iterator[Document]:
    try:
        import logging

        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise _missing("pypdf", "PDF files") from error
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    # pypdf meets broken files with more than its own errors.
    broken = (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, struct.error)
    try:
        reader = PdfReader(source.path)
        if reader.is_encrypted and not reader.decrypt(""):
            problems.add(source.path, None, "the PDF wants a password; save it without one")
            return
        text = "\n\n".join(page.extract_text() for page in reader.pages)
        title = str((reader.metadata or {}).get("/Title") or "")
        lang = reader.trailer["/Root"].get("/Lang")
    except (*broken, NotImplementedError, zlib.error, OSError) as error:
        problems.add(source.path, None, f"not a readable PDF ({type(error).__name__}: {error})")
        return
    if not clean(text):
        problems.add(source.path, None, "the PDF holds no text (a scan?); recognise its text first")
        return
    yield _document(source, plain_page(text, title, str(lang) if lang else None))


def _document(source: Source, page: Page) -> Document:
    return Document(
        id=source.name,
        text=clean(page.text),
        lang=known_code(page.lang) if page.lang else None,
        title=clean(page.title) or source.path.stem,
        source=source.name,
        done=source.start + source.size,
    )


def _missing(package: str, what: str) -> MissingPackageError:
    return MissingPackageError(f"{what}: want {package}; pip install 'isoglot[search]'")


_Reader = Callable[[Source, Problems], Iterator[Document]]
READERS: dict[str, _Reader] = {
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".md": _whole(markdown_page),
    ".markdown": _whole(markdown_page),
    ".txt": _whole(plain_page),
    ".html": _whole(html_page),
    ".htm": _whole(html_page),
    ".pdf": _pdf,
}
