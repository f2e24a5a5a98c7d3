"""Read gettext message catalogues (PO)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

from isoglot.core.errors import needs
from isoglot.data.readers.bitext.units import Notes, Unit, Wanted
from isoglot.languages.codes import known_code
from isoglot.languages.known_languages import known

# Lines are checked before parsing, because polib does not: it drops a letter if the closing quote is missing.
_LINE = re.compile(
    r'\s*(?:#.*|(?:(?:msgctxt|msgid|msgid_plural|msgstr(?:\s*\[\d+\])?|domain)\s*)?"(?:[^"\\]|\\.)*"\s*)?', re.DOTALL
)
_CODE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*(@\w+)?")


def po_units(stream: IO[bytes], file: str, wanted: Wanted, notes: Notes) -> Iterator[Unit]:
    """Stream messages with their translations; of plurals, the first form on both sides. Memory holds one catalogue.

    The target language is that of the header, else the last of `wanted.langs`, else that in the file's path (`de.po`,
    `de/LC_MESSAGES/x.po`). The source language is the first of `wanted.langs`, else English.
    """
    with needs("PO files need polib", "data"):
        import polib
    data = stream.read()
    found = re.search(rb"charset=([\w.:-]+)", data[:4000])
    encoding = (found[1].decode() if found else "utf-8").replace("CHARSET", "utf-8")
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
        broken = [number for number, line in enumerate(text.split("\n"), 1) if not _LINE.fullmatch(line)]
        for number in broken:
            notes.problems.add(file, number, 'not a line of a PO file; expected a comment or msgid "…", msgstr "…"')
        if broken:
            return
        catalogue = polib.pofile(text)
    except (UnicodeDecodeError, LookupError) as error:
        notes.problems.add(file, None, f"not text in its charset {encoding!r} ({error})")
        return
    except (OSError, ValueError, IndexError) as error:
        line = re.search(r"line (\d+)", str(error))
        notes.problems.add(file, int(line[1]) if line else None, f"not a PO file ({error})")
        return
    lang = catalogue.metadata.get("Language", "").strip() or (wanted.langs[-1] if wanted.langs else _named(file))
    source = wanted.langs[0] if wanted.langs else "en"
    if not lang:
        notes.problems.add(file, None, "its header names no language: add Language: or give `langs` SOURCE,TARGET")
        return
    for entry in catalogue:
        translation = entry.msgstr or entry.msgstr_plural.get(0, "")
        if entry.obsolete:
            notes.left_out["obsolete messages"] += 1
        elif not translation:
            notes.left_out["segments without a translation"] += 1
        elif entry.fuzzy and not wanted.unfinished:
            notes.left_out["segments that are fuzzy or need translation"] += 1
        else:
            yield Unit({source: entry.msgid, lang: translation}, file, entry.linenum or 0)


def _named(file: str) -> str:
    path = PurePosixPath(file)
    folders = [part for part in path.parts[:-1] if part != "LC_MESSAGES"]
    names = [path.name.split(".")[0], *path.name.split(".")[-2:-1], *folders[-1:]]
    if path.parent.name == "LC_MESSAGES":  # the file is named after the program, so look at the folder first
        names.reverse()
    return next((name for name in names if _CODE.fullmatch(name) and _is_known(name)), "")


def _is_known(name: str) -> bool:
    """Whether a name is the code of a language in our table; `app` and `web` are also codes, of rare languages."""
    code = known_code(name)
    return code is not None and code.partition("-")[0] in known()
