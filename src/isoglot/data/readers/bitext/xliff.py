"""Read XLIFF 1.x and 2.x, the exchange formats of translation tools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from isoglot.data.readers.bitext.units import Notes, Unit, Wanted
from isoglot.data.readers.bitext.xml_events import elements, spoken
from isoglot.languages.codes import known_code

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SILENT = frozenset({"x", "bx", "ex", "bpt", "ept", "ph", "it", "sub", "sc", "ec", "cp", "sm", "em"})
_DONE = frozenset({None, "translated", "final", "signed-off", "reviewed"})


def xliff_units(stream: IO[bytes], file: str, wanted: Wanted, notes: Notes) -> Iterator[Unit]:
    """Stream source texts with their targets; unfinished segments are left out unless `wanted.unfinished`.

    The languages are attributes of `file` (1.x) or of `xliff` (2.x), which distinguishes the versions.
    """
    source_lang = target_lang = ""
    number = 0
    for event, element in elements(stream, file, {"trans-unit", "unit"}, notes):
        if event == "start":
            if element.tag == "xliff":
                source_lang, target_lang = element.get("srcLang", ""), element.get("trgLang", "")
            elif element.tag == "file" and (element.get("source-language") or not source_lang):
                # Overwrite both, so that a file without a target language does not inherit that of the file before.
                source_lang, target_lang = element.get("source-language", ""), element.get("target-language", "")
            continue
        if element.tag not in ("trans-unit", "unit"):
            continue
        number += 1
        if element.get("translate") == "no":
            notes.left_out["segments that are not to be translated"] += 1
            continue
        if not source_lang or not target_lang:
            notes.problems.add(file, None, "no target language (target-language or trgLang); add it to the file")
            return
        unknown = next((lang for lang in (source_lang, target_lang) if known_code(lang) is None), None)
        if unknown is not None:
            notes.problems.add(file, None, f"{unknown!r} is not a language code such as 'de'")
            return
        segments = [element] if element.tag == "trans-unit" else [part for part in element if _name(part) == "segment"]
        for segment in segments:
            pair = _pair(segment, element, wanted, notes)
            if pair is not None:
                yield Unit({source_lang: pair[0], target_lang: pair[1]}, file, number)
    if not number and not notes.problems.count:
        notes.problems.add(file, None, "no units (<trans-unit> or <unit>); is this XLIFF?")


def _pair(segment: Element, unit: Element, wanted: Wanted, notes: Notes) -> tuple[str, str] | None:
    source, target = (next((part for part in segment if _name(part) == name), None) for name in ("source", "target"))
    if source is None or target is None or not spoken(target, _SILENT).strip():
        notes.left_out["segments without a translation"] += 1
        return None
    state = target.get("state") or segment.get("state")
    unfinished = state not in _DONE or unit.get("approved") == "no"
    if unfinished and not wanted.unfinished:
        notes.left_out["segments that are fuzzy or need translation"] += 1
        return None
    return spoken(source, _SILENT), spoken(target, _SILENT)


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
