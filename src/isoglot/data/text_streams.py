"""Text files opened as streams of text, gunzipped and in whatever encoding they were written in."""

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
    """Open a text file; UTF-8 is streamed, another encoding is recognised and held in memory.

    Args:
        path: gunzipped where its name ends in .gz.
        problems: told where an encoding is a guess, or none fits.

    Yields:
        The text, with line ends as they are in UTF-8 and newlines otherwise (None where it is in no known encoding),
        and the file, whose position tells how much is read.
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
    """Lines of a file of bytes, those of UTF-16 and UTF-32 in UTF-8; marks at the beginning are taken off.

    Without a mark it is UTF-16 where one of the first two bytes is zero, as before or after an ASCII sign.
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
    """Whether all of it is UTF-8 (and not UTF-16, whose zero bytes UTF-8 allows)."""
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
