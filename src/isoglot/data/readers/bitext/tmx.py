"""Read translation memories (TMX 1.1 to 1.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from isoglot.data.readers.bitext.units import Notes, Unit, Wanted
from isoglot.data.readers.bitext.xml_events import XML_LANG, elements, spoken
from isoglot.languages.codes import known_code

# Elements that hold markup codes of the original, or separate texts inside them (`sub`).
_SILENT = frozenset({"bpt", "ept", "ph", "it", "ut", "sub"})


def tmx_units(stream: IO[bytes], file: str, wanted: Wanted, notes: Notes) -> Iterator[Unit]:
    """Stream the units of a translation memory; of several texts in one language, the first is kept."""
    number = 0
    for event, element in elements(stream, file, {"tu"}, notes):
        if event != "end" or element.tag != "tu":
            continue
        number += 1
        texts: dict[str, str] = {}
        for version in element.iter():
            if version.tag.rpartition("}")[2] != "tuv":
                continue
            lang = version.get(XML_LANG) or version.get("lang")
            segment = next((part for part in version if part.tag.rpartition("}")[2] == "seg"), None)
            if not lang:
                notes.problems.add(file, None, f"unit {number}: a text without xml:lang")
            elif known_code(lang) is None:
                notes.problems.add(file, None, f"unit {number}: {lang!r} is not a language code such as 'de'")
            elif segment is None:
                notes.left_out["segments without text"] += 1
            elif lang in texts:
                notes.left_out["further texts in one language of a unit"] += 1
            else:
                texts[lang] = spoken(segment, _SILENT)
        if texts:
            yield Unit(texts, file, number)
    if not number and not notes.problems.count:
        notes.problems.add(file, None, "no translation units (<tu>); is this TMX?")
