"""Read documents from files of all supported kinds."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from isoglot.core.errors import MissingPackageError
from isoglot.core.problems import Problems
from isoglot.documents.document import Document, Source
from isoglot.documents.finding import find_sources
from isoglot.documents.kinds import reader_of
from isoglot.languages.checking import clearly_another
from isoglot.languages.detection import identifier_if_there


def read_documents(
    sources: Sequence[Source], problems: Problems, partial: set[str] | None = None, *, as_declared: bool = False
) -> Iterator[Document]:
    """Stream documents in order; what cannot be read, also for lack of a package, is skipped and reported.

    Args:
        sources: the files.
        problems: collects what is skipped.
        partial: receives the names of files that could not be read completely.
        as_declared: keep the language that a page declares even if its text is clearly in another one.
    """
    for source in sources:
        before, found, others = problems.count, False, 0
        try:
            for document in reader_of(source.path)(source, problems):
                found = True
                if document.text:
                    seen = problems.count
                    yield document if as_declared else _in_its_language(document, source, problems)
                    others += problems.count - seen  # problems that the caller added while it had the document
                else:
                    problems.add(source.path, document.line, "no text")
        except MissingPackageError as error:
            problems.add(source.path, None, str(error))
        except (OSError, EOFError, zlib.error) as error:
            problems.add(source.path, None, f"cannot be read ({error})")
        if not found and problems.count == before:
            problems.add(source.path, None, "the file holds no documents")
        if partial is not None and problems.count - others > before:
            partial.add(source.name)


def _in_its_language(document: Document, source: Source, problems: Problems) -> Document:
    """Correct the language of a page whose text is clearly in another language than it declares."""
    identify = identifier_if_there() if document.lang and document.blocks else None
    if identify is None or document.lang is None:
        return document
    prose = "\n\n".join(block.text for block in document.blocks if block.prose)
    read = clearly_another(prose, document.lang, identify)
    if read is None:
        return document
    problems.warn(source.path, None, f"declares the language {document.lang!r}, but is in {read!r}, which is used")
    return replace(document, lang=read)


def read_files(inputs: Path | str | Sequence[Path | str], problems: Problems | None = None) -> Iterator[Document]:
    """Stream the documents of files and folders as they would be in a new index.

    Args:
        inputs: one or several files and folders.
        problems: collects what is skipped, and why.

    Raises:
        InputError: an input does not exist, is of an unknown kind, or contains nothing to index.
    """
    problems = Problems() if problems is None else problems
    return read_documents(find_sources(inputs, problems), problems)
