"""Stream XML safely: no entities are expanded and no other files are opened."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import IO, TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from isoglot.core.errors import needs
from isoglot.data.readers.bitext.units import Notes

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def elements(stream: IO[bytes], file: str, wanted: Collection[str], notes: Notes) -> Iterator[tuple[str, Element]]:
    """Stream the starts and ends of elements; memory holds one wanted element at a time.

    Args:
        stream: the XML.
        file: its name, for messages.
        wanted: local names of elements that are yielded only at their end, complete; what is inside them is not.
        notes: collects problems: broken XML, or entities (which could expand without limit or read local files).

    Yields:
        `start` or `end`, and the element, whose tag has no namespace. It is emptied after its `end`.

    Raises:
        MissingPackageError: defusedxml is not installed.
    """
    with needs("TMX and XLIFF need defusedxml", "data"):
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import iterparse
    path: list[Element] = []
    inside = 0
    try:
        for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=False):
            element.tag = element.tag.rpartition("}")[2]
            if event == "start":
                path.append(element)
                inside += element.tag in wanted
                if not inside:
                    yield event, element
                continue
            path.pop()
            inside -= element.tag in wanted
            if inside:
                continue
            yield event, element
            element.clear()
            if path:
                path[-1].remove(element)
    except DefusedXmlException as error:
        notes.problems.add(file, None, f"declares entities or opens other files ({error}); remove them from the file")
    except ParseError as error:
        notes.problems.add(file, error.position[0], f"broken or truncated XML ({error})")
    except (LookupError, ValueError) as error:
        notes.problems.add(file, None, f"XML in an unknown encoding ({error}); save it as UTF-8")


def spoken(element: Element, silent: Collection[str]) -> str:
    """Return the text of a segment without markup; the content of `silent` elements is left out."""
    parts = [element.text or ""]
    for child in element:
        if child.tag.rpartition("}")[2] not in silent:
            parts.append(spoken(child, silent))
        parts.append(child.tail or "")
    return "".join(parts)
