"""Read bitext with one unit per line: parallel files that match line by line (Moses), and tab-separated columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import IO

from isoglot.data.readers.bitext.units import Notes, Unit, Wanted
from isoglot.data.records import not_utf8
from isoglot.data.text_streams import as_utf8
from isoglot.languages.codes import known_code


def moses_units(streams: Sequence[tuple[str, str, IO[bytes]]], notes: Notes) -> Iterator[Unit]:
    """Stream line n of every file as one unit.

    Args:
        streams: (language, name, content) of each file.
        notes: collects problems: lines that are not UTF-8, and files of different lengths.
    """
    for number, lines in enumerate(zip_longest(*(as_utf8(stream) for *_, stream in streams)), 1):
        ended = [name for (_, name, _), line in zip(streams, lines, strict=True) if line is None]
        if ended:
            going = next(name for (_, name, _), line in zip(streams, lines, strict=True) if line is not None)
            notes.problems.add(
                ended[0], number - 1, f"ends here, but {going} has more lines; line n must match in all files"
            )
            return
        texts = {}
        for (lang, name, _), line in zip(streams, lines, strict=True):
            text = _decoded(line, name, number, notes)
            if text is not None:
                texts[lang] = text
        yield Unit(texts, streams[0][1], number)


def tsv_units(stream: IO[bytes], file: str, wanted: Wanted, notes: Notes) -> Iterator[Unit]:
    """Stream tab-separated lines; the languages of the columns are `wanted.langs`, or else named in the first line."""
    langs = list(wanted.langs)
    for number, raw in enumerate(as_utf8(stream), 1):
        line = _decoded(raw, file, number, notes)
        if line is None or not line.strip():
            continue
        fields = line.rstrip("\r\n").split("\t")
        if number == 1 and not langs:
            langs = [name.strip() for name in fields]
            unknown = [name for name in langs if known_code(name) is None]
            if unknown:
                seen = f"{unknown[0][:40]!r} is not a language code such as 'de'"
                notes.problems.add(file, 1, f"{seen}; name the columns' languages here, or in `langs`, source first")
                return
            continue
        if number == 1 and list(map(known_code, fields)) == list(map(known_code, langs)):
            continue  # a header that names the same languages
        if len(fields) != len(langs):
            notes.problems.add(file, number, f"{len(fields)} columns; expected {len(langs)} ({', '.join(langs)})")
            continue
        yield Unit(dict(zip(langs, fields, strict=True)), file, number)


def _decoded(line: bytes, file: str, number: int, notes: Notes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        notes.problems.add(file, number, not_utf8(error))
        return None
