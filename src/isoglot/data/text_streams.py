"""Open text files in any encoding, also gzipped, as text streams."""

from __future__ import annotations

import gzip
import io
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from isoglot.core.problems import Problems
from isoglot.data.decoding import MARKS, decode


@contextmanager
def text_stream(path: Path, problems: Problems) -> Iterator[tuple[Any, IO[bytes]]]:
    """Open a text file; UTF-8 is streamed, any other encoding is detected and the text held in memory.

    Args:
        path: the file; it is decompressed if the name ends in .gz.
        problems: collects a warning if the encoding is a guess or bytes were replaced, an error if no encoding fits.

    Yields:
        The text stream (None if no encoding fits), with unchanged line ends in UTF-8 and newlines otherwise; and the
        underlying file, whose position shows how much has been read.
    """
    with path.open("rb") as file:
        data: Any = gzip.GzipFile(fileobj=file) if path.name.lower().endswith(".gz") else file
        if _is_utf8(data):
            data.seek(0)
            with io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as stream:
                yield stream, file
            return
        data.seek(0)
        decoded = decode(data.read())
        if decoded is None:
            problems.add(path, None, "not UTF-8, nor in another known encoding; convert it")
            yield None, file
            return
        if decoded.note:
            problems.warn(path, None, decoded.note)
        yield io.StringIO(decoded.text, newline=""), file


def as_utf8(stream: Any) -> Iterator[bytes]:
    """Return the lines of a binary stream, with UTF-16 and UTF-32 converted to UTF-8 and the BOM removed.

    Without a BOM the text is taken as UTF-16 if exactly one of the first two bytes is zero, as in an ASCII character.
    """
    start = stream.peek(4)[:4] if hasattr(stream, "peek") else b""
    mark, encoding = next((known for known in MARKS if start.startswith(known[0])), (b"", "utf-8"))
    if not mark and len(start) > 1 and (start[0] == 0) != (start[1] == 0):
        encoding = "utf-16-be" if start[0] == 0 else "utf-16-le"
    stream.read(len(mark))
    if encoding == "utf-8":
        return iter(stream)
    text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="\n")
    return (line.encode(errors="replace") for line in text)


def _is_utf8(stream: Any) -> bool:
    """Whether the whole stream is UTF-8 without zero bytes (which are valid UTF-8, but mean UTF-16)."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        while chunk := stream.read(1 << 20):
            if b"\0" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
