"""Open zip-based document files safely: reject zip bombs, encrypted files and XML entities."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from html.entities import html5
from pathlib import Path
from typing import Any

from isoglot.core.errors import needs

MOST = 1 << 29  # maximum size of a document in bytes, unpacked
_RATIO = 250  # compression ratio: XML reaches about 30, zip bombs about 1000
_SMALL = 1 << 23
_PIECE = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that documents use
_DEEPEST = 256  # nested elements, as in libxml2; reading takes time proportional to the depth
_COMPOUND = bytes.fromhex("d0cf11e0a1b11ae1")  # start of Word and PowerPoint files before 2007, and of encrypted ones
_REFERENCE = re.compile(rb"""<[\w:.-]*cipherreference\s[^<>]*?uri\s*=\s*["']([^"'<>]+)""")
_TEXTS = (b".xhtml", b".html", b".htm", b".xml", b".opf")
_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]*);")


class UnreadableError(ValueError):
    """Raised if a document is broken, not of the kind its name says, or unsafe to read; the message says which."""


@contextmanager
def unpacked(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file after checking that it is safe to read.

    Raises:
        UnreadableError: it is not a zip file, broken, a zip bomb, or protected by a password.
    """
    with path.open("rb") as file:
        if file.read(8) == _COMPOUND:
            raise UnreadableError(
                "it needs a password, or is in the format before 2007; save it again, without a password"
            )
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            size, packed = sum(member.file_size for member in members), max(1, path.stat().st_size)
            if size > MOST or (size > _SMALL and size > _RATIO * packed):
                raise UnreadableError(
                    f"it unpacks from {packed} to {size} bytes, too much for a document (a zip bomb?)"
                )
            if any(member.flag_bits & 1 for member in members):
                raise UnreadableError("it needs a password; save it without")
            for member in members:
                _refuse_longer(archive, member)
            if _is_locked(archive):
                raise UnreadableError("it needs a password, or is protected; save it without")
            yield archive
    except UnreadableError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, LookupError, ValueError, struct.error) as error:
        raise UnreadableError(f"broken, or another kind of file ({str(error) or type(error).__name__})") from error


def _refuse_longer(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Unpack a file in pieces, and refuse it if it is longer than stated.

    `ZipFile.read` unpacks a file as a whole, however long it is, before it cuts it off at the stated size.
    """
    if member.compress_type not in _METHODS:
        raise UnreadableError(f"{member.filename} is compressed in a way that documents do not use")
    probe = copy(member)
    probe.file_size += 1
    with archive.open(probe) as stream:
        while piece := stream.read(_PIECE):
            probe.file_size -= len(piece)
    if probe.file_size < 1:
        raise UnreadableError(f"{member.filename} is longer than stated (a zip bomb?)")


def _is_locked(archive: zipfile.ZipFile) -> bool:
    """Whether OpenDocument's or EPUB's manifest says that text is encrypted (in EPUB, encrypted fonts are fine)."""
    names = set(archive.namelist())
    if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
        return True
    if "META-INF/encryption.xml" not in names:
        return False
    return any(name.endswith(_TEXTS) for name in _REFERENCE.findall(archive.read("META-INF/encryption.xml").lower()))


def xml_root(data: bytes) -> Any:
    """Parse XML and return its root element; entity definitions are an error.

    Raises:
        UnreadableError: the data are not well-formed XML, nested too deep, or define entities.
        MissingPackageError: defusedxml is not installed.
    """
    with needs("XML documents need defusedxml", "documents"):
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    try:
        try:
            root = fromstring(data)
        except ParseError as error:
            if "undefined entity" not in str(error) or b"<!ENTITY" in data:
                raise
            # Character names such as &nbsp; from a document type definition, which is not loaded.
            root = fromstring(_ENTITY.sub(_character, data))
    except DefusedXmlException as error:
        raise UnreadableError(
            "it defines entities, possibly a bomb, so it was not read; expand them first, "
            f"as by `xmllint --noent --dropdtd` ({error})"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise UnreadableError(f"not well-formed XML ({error})") from error
    level = [root]
    for _ in range(_DEEPEST):
        level = [child for element in level for child in element]
    if level:
        raise UnreadableError(f"its elements are nested more than {_DEEPEST} deep")
    return root


def _character(name: re.Match[bytes]) -> bytes:
    said = html5.get(f"{name[1].decode()};", "")
    known = said and name[1] not in (b"amp", b"lt", b"gt", b"quot", b"apos")
    return "".join(f"&#{ord(char)};" for char in said).encode() if known else name[0]
