"""Read documents from records: JSONL, JSON and Parquet."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.data.decoding import decode
from isoglot.data.parquet_rows import parquet_length, parquet_rows
from isoglot.data.records import not_utf8
from isoglot.data.text_streams import as_utf8
from isoglot.documents.document import Document, Source, clean, stated_code
from isoglot.languages.codes import known_code

ID_FIELDS = ("id", "_id", "docid", "doc_id")
TEXT_FIELDS = ("text", "passage", "contents", "content", "body")
TITLE_FIELDS = ("title",)
LANG_FIELDS = ("lang", "language")
FIELDS = {*ID_FIELDS, *TEXT_FIELDS, *TITLE_FIELDS, *LANG_FIELDS, "metadata"}
DEEPEST = 100  # maximum nesting of metadata, which is stored and filtered recursively
_BLANKS = re.compile(r"\s*")


def read_jsonl(source: Source, problems: Problems) -> Iterator[Document]:
    """Read one document per line; a JSON array is read as by `read_json`."""
    zipped = source.path.name.lower().endswith(".gz")
    with source.path.open("rb") as file:
        stream: Any = gzip.GzipFile(fileobj=file) if zipped else file
        number = read = begun = 0
        for chunk in as_utf8(stream):
            read += len(chunk)
            done = source.start + (file.tell() if zipped else min(read, source.size))
            # JSON strings contain no raw line breaks, so a bare carriage return also ends a line.
            for line in chunk.removesuffix(b"\n").removesuffix(b"\r").split(b"\r"):
                number += 1
                if not line.strip():
                    continue
                begun = begun or number
                try:
                    record = json.loads(line)
                except UnicodeDecodeError as error:
                    problems.add(source.path, number, not_utf8(error))
                    continue
                except (ValueError, RecursionError) as error:  # such as an integer of more than 4300 digits
                    if number == begun and line.lstrip().startswith(b"["):
                        yield from read_json(source, problems)  # a JSON array despite the file's extension
                        return
                    problems.add(source.path, number, f"not a JSON object ({error})")
                    continue
                document = record_document(record, source, number, done, problems)
                if document is not None:
                    yield document


def read_json(source: Source, problems: Problems) -> Iterator[Document]:
    """Read an array of documents, concatenated documents, a single one, or an object that holds one array of them."""
    data = source.path.read_bytes()
    if source.path.name.lower().endswith(".gz"):
        data = gzip.decompress(data)
    decoded = decode(data)
    if decoded is None:
        problems.add(source.path, None, "not a text in a known encoding")
        return
    if decoded.note:
        problems.warn(source.path, None, decoded.note)
    try:
        value = _values(decoded.text)
    except (ValueError, RecursionError) as error:
        if _is_json(decoded.text.lstrip().partition("\n")[0]):
            yield from read_jsonl(source, problems)  # JSONL despite the file's extension
        else:
            problems.add(source.path, getattr(error, "lineno", None), f"broken or truncated JSON ({error})")
        return
    if isinstance(value, dict) and _first(_lower(value), TEXT_FIELDS) is None:
        lists = [held for held in value.values() if isinstance(held, list) and held and isinstance(held[0], dict)]
        value = lists[0] if len(lists) == 1 else value
    records = value if isinstance(value, list) else [value]
    for number, record in enumerate(records, 1):
        done = source.start + source.size * number // len(records)
        document = record_document(record, source, number, done, problems)
        if document is not None:
            yield document


def _values(text: str) -> Any:
    """Parse a JSON text; if several values follow each other, return them as a list."""
    decoder, end = json.JSONDecoder(), 0
    values: list[Any] = []
    while start := _BLANKS.match(text, end):
        if start.end() == len(text) and values:
            break
        value, end = decoder.raw_decode(text, start.end())
        values.append(value)
    return values[0] if len(values) == 1 else values


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def read_parquet(source: Source, problems: Problems) -> Iterator[Document]:
    """Read one document per row; a column `vector` is ignored."""
    try:
        total = max(1, parquet_length(source.path))
        for number, record in parquet_rows(source.path, _without_vectors):
            present = {key: value for key, value in record.items() if value is not None}
            done = source.start + source.size * number // total
            document = record_document(present, source, number, done, problems)
            if document is not None:
                yield document
    except InputError as error:
        problems.add(source.path, None, str(error).removeprefix(f"{source.path}: "))


def _without_vectors(columns: Sequence[str]) -> dict[str, str]:
    return {name: name for name in columns if name != "vector"}


def record_document(record: Any, source: Source, number: int, done: int, problems: Problems) -> Document | None:
    """Convert a record to a `Document`; if it is invalid, add a problem and return None.

    Field names may be in any case; unknown fields become metadata.
    """
    if not isinstance(record, dict):
        problems.add(source.path, number, f"expected an object with a text, got {type(record).__name__}")
        return None
    named = _lower(record)
    text = _first(named, TEXT_FIELDS)
    if not isinstance(text, str) or not (cleaned := clean(text)):
        missing = f"expected a field {' or '.join(TEXT_FIELDS)}"
        seen = "" if any(name in named for name in TEXT_FIELDS) else f"; the fields are: {_listed(record)}"
        said = f"no text but {type(text).__name__}" if text is not None and not isinstance(text, str) else "no text"
        problems.add(source.path, number, f"{said}; {missing}{seen}")
        return None
    known = _first(named, ID_FIELDS)
    title, lang = _first(named, TITLE_FIELDS), _first(named, LANG_FIELDS)
    nested = named.get("metadata")
    more = dict(nested) if isinstance(nested, dict) else {} if nested is None else {"metadata": nested}
    if lang is None:
        lang = _first(_lower(more), LANG_FIELDS)
    lang = None if isinstance(lang, str) and not lang.strip() else lang
    code = stated_code(lang) if isinstance(lang, str) else None
    if lang is not None and code is None and not (isinstance(lang, str) and known_code(lang)):
        problems.warn(source.path, number, f"language {lang!r} is not a code such as 'de'; it will be detected")
    more |= {key: value for key, value in record.items() if not _is_own(str(key))}
    if isinstance(title, (dict, list)):
        more["title"], title = title, None
    if _deeper(more, DEEPEST):
        problems.add(source.path, number, f"objects nested more than {DEEPEST} deep")
        return None
    own = clean(str(known)) if known is not None else ""
    return Document(
        id=own or f"{source.name}:{number}",
        text=cleaned,
        lang=code,
        title="" if title is None else clean(str(title)),
        file=source.name,
        line=number,
        metadata=more,
        done=done,
    )


def _is_own(key: str) -> bool:
    """Whether a field is no metadata: one of a document's own, or the index that pandas stores beside the columns."""
    return key.strip().lower() in FIELDS or key.startswith("__index_level_")


def _deeper(value: Any, left: int) -> bool:
    """Whether objects and lists are nested more than `left` levels below this value."""
    if not isinstance(value, (dict, list)):
        return False
    return left < 0 or any(_deeper(inner, left - 1) for inner in (value.values() if isinstance(value, dict) else value))


def _lower(record: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the record with lower-case field names; a field spelled exactly like a known one takes precedence."""
    lowered = {str(key).strip().lower(): value for key, value in record.items()}
    return {**lowered, **{key: value for key, value in record.items() if key in FIELDS and value is not None}}


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _listed(record: Mapping[Any, Any]) -> str:
    names = [str(key)[:40] for key in record]
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "none"
