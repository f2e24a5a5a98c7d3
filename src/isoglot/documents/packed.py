"""Zip files that documents come packed in, read without trusting what they say about their size."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from isoglot.core.errors import MissingPackageError

MOST = 1 << 29  # bytes of one document, unpacked
_RATIO = 250  # XML packs to a thirtieth; zip bombs to a thousandth
_SMALL = 1 << 23


class UnreadableError(ValueError):
    """A document that is not what its name says, or dangerous to read; the message says which."""


@contextmanager
def unpacked(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file that is worth opening.

    Raises:
        UnreadableError: no zip file, a broken one, a zip bomb, or one with a password.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            size, packed = sum(member.file_size for member in members), max(1, path.stat().st_size)
            if size > MOST or (size > _SMALL and size > _RATIO * packed):
                raise UnreadableError(f"it unpacks from {packed} to {size} bytes, as no document does (a zip bomb?)")
            if any(member.flag_bits & 1 for member in members):
                raise UnreadableError("it wants a password; save it without one")
            yield archive
    except UnreadableError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, LookupError, ValueError, struct.error) as error:
        raise UnreadableError(f"broken, or no such file at all ({str(error) or type(error).__name__})") from error


def xml_root(data: bytes) -> Any:
    """Root element of an XML text; entities that it would define are refused.

    Raises:
        UnreadableError: no XML, or one with entities of its own.
        MissingPackageError: defusedxml is not installed.
    """
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    except ImportError as error:
        raise MissingPackageError("XML documents want defusedxml: pip install 'isoglot[documents]'") from error
    try:
        return fromstring(data)
    except DefusedXmlException as error:
        raise UnreadableError(f"it defines entities, which could be a bomb, and is not read ({error})") from error
    except (ParseError, ValueError, LookupError) as error:
        raise UnreadableError(f"no well-formed XML ({error})") from error
