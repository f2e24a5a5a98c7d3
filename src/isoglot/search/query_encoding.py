"""From queries to vectors that an index's passages are compared with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.encoders.debias import Debias
from isoglot.encoders.embedder import Encoder, Vectors, readable
from isoglot.encoders.feedback import PASSAGES, drawn_to
from isoglot.encoders.in_context import filled_up
from isoglot.encoders.unit_vectors import units
from isoglot.languages.codes import UNKNOWN, normal_code
from isoglot.languages.detection import detect
from isoglot.search.filters.tree import Filter
from isoglot.search.index.protocol import Index

_log = logging.getLogger(__name__)


def query_code(code: str | None, there: Collection[str]) -> str | None:
    """Normal form of a query's language; one that the index lacks may still be asked in.

    Args:
        code: of all queries; None where that of each is guessed.
        there: languages of the index.

    Raises:
        InputError: no code of a language.
    """
    if code is None or code in there:
        return code
    check_kind("query_lang", code, str, "a code such as 'de'")
    try:
        return normal_code(code)
    except InputError as error:
        raise InputError(
            f"query_lang {error}; {UNKNOWN!r} stands for a language without one; leave it out to have it guessed"
        ) from error


def as_rows(vectors: Any, queries: int, dimension: int) -> Vectors:
    """Vectors of queries that were made before, float32 (n, d), one a query.

    Args:
        vectors: an array or nested lists.
        queries: how many there are.
        dimension: of the index.

    Raises:
        InputError: another shape, no numbers, or NaN among them.
    """
    try:
        rows = np.asarray(vectors, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"vector: no array of numbers ({error}); expected what `query_vectors` makes") from error
    if rows.shape != (queries, dimension):
        raise InputError(
            f"vector: {rows.shape[1:] if queries == 1 else rows.shape} numbers; expected what `query_vectors` makes, "
            f"{dimension} numbers a query"
        )
    if not np.isfinite(rows).all():
        raise InputError("vector: holds NaN or infinity; encode anew")
    return rows


class QueryEncoder:
    """The encoder of an index's queries, opened at the first need; its vectors are corrected as the passages' were.

    Args:
        opener: opens it; None where only words are searched for.
        debias: the index's correction.
        in_context: the index's passages have one dimension more.
        before: the encoder of the version of the index before, which may be the same.

    Attributes:
        opened: the encoder, once it was needed.
    """

    def __init__(
        self,
        opener: Callable[[], Encoder] | None,
        debias: Debias | None,
        in_context: bool,
        before: Encoder | None = None,
    ) -> None:
        self._opener, self._debias, self._in_context, self._before = opener, debias, in_context, before
        self._opening = threading.Lock()
        self.opened: Encoder | None = None

    @property
    def latest(self) -> Encoder | None:
        """The encoder that was opened last, of this version of the index or of one before."""
        return self.opened or self._before

    @property
    def encoder(self) -> Encoder:
        """The encoder, opened now where it was not.

        Raises:
            InputError: there is none, it cannot be loaded, or is not the one that the index was made with.
        """
        with self._opening:
            if self.opened is None:
                if self._opener is None:
                    raise InputError("this searcher has no encoder; search with mode='lexical'")
                self.opened = self._opener()
                # Another one of before, and its memory, is let go of.
                self._opener = self._before = None
            return self.opened

    def vectors(self, texts: Sequence[str], lang: str | None) -> Vectors:
        """Vectors (n, d) of queries.

        Args:
            texts: queries.
            lang: of all of them; that of each is guessed when None.
        """
        encoded = self.encoder.encoded(list(texts), "query")
        if encoded.cut:
            _log.warning(
                "%d of %d queries are longer than %d tokens: their ends were not read",
                encoded.cut,
                len(texts),
                encoded.length or 0,
            )
        vectors = encoded.vectors
        if self._debias is not None:
            codes = [lang or detect(readable(text), among=self._debias.languages, threshold=0.0) for text in texts]
            vectors = self._debias.apply(vectors, codes, "query")
        return self._filled(vectors)

    def drawn(self, vectors: Vectors, index: Index, where: Filter | None) -> Vectors:
        """Unit vectors (n, d) of queries, drawn to the best passages of each.

        Args:
            vectors: of queries.
            index: whose passages.
            where: only passages that are so.
        """
        kept = slice(-1 if self._in_context else None)
        hubs = None if self._debias is None else self._debias.hubs
        found = [index.nearest_vectors(row, PASSAGES, where) for row in vectors]
        moved = [
            drawn_to(row[None, kept], near.vectors[None, :, kept], near.cosines[None], hubs)[0]
            for row, near in zip(vectors, found, strict=True)
        ]
        return self._filled(np.array(moved, np.float32).reshape(vectors[:, kept].shape))

    def from_passage(self, vector: Vectors) -> Vectors:
        """The vector (d,) of a passage, as that of a query for others like it."""
        # The dimension that fills it up says nothing of what is alike.
        return self._filled(units(vector[None, :-1]))[0] if self._in_context else vector

    def _filled(self, vectors: Vectors) -> Vectors:
        return filled_up(vectors, "query") if self._in_context else vectors
