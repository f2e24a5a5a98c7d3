"""Encode queries into vectors that are compared with an index's passages."""

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
    """Return the normal form of a query's language code; it need not be a language of the index.

    Args:
        code: language of all queries; None to detect that of each.
        there: languages of the index.

    Raises:
        InputError: not a language code.
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
    """Return precomputed query vectors as float32 (n, d), one row per query.

    Args:
        vectors: an array or nested lists.
        queries: number of queries.
        dimension: of the index.

    Raises:
        InputError: another shape, no numbers, or NaN or infinity among them.
    """
    try:
        rows = np.asarray(vectors, np.float32)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a torch tensor with a gradient
        raise InputError(f"vector: not an array of numbers ({error}); expected what `query_vectors` makes") from error
    if rows.shape != (queries, dimension):
        raise InputError(
            f"vector: {rows.shape[1:] if queries == 1 else rows.shape} numbers; expected what `query_vectors` makes, "
            f"{dimension} numbers a query"
        )
    if not np.isfinite(rows).all():
        raise InputError("vector: holds NaN or infinity; encode the query again")
    return rows


class QueryEncoder:
    """The query encoder of an index, opened on first use; its vectors are corrected as the passages' were.

    Args:
        opener: opens the encoder; None if only `lexical` searches are made.
        debias: the index's correction.
        in_context: the index's vectors have one more dimension.
        before: the encoder of the index's previous version; `opener` may return it again.

    Attributes:
        opened: the encoder, once it has been needed.
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
        """The encoder opened last, for this version of the index or an earlier one."""
        return self.opened or self._before

    @property
    def encoder(self) -> Encoder:
        """The encoder, opened on first use.

        Raises:
            InputError: there is no encoder, it cannot be loaded, or it is not the one that the index was made with.
        """
        with self._opening:
            if self.opened is None:
                if self._opener is None:
                    raise InputError("this searcher has no encoder; search with mode='lexical'")
                self.opened = self._opener()
                # Frees the previous encoder if it was replaced.
                self._opener = self._before = None
            return self.opened

    def vectors(self, texts: Sequence[str], lang: str | None) -> Vectors:
        """Return vectors (n, d) of queries.

        Args:
            texts: queries.
            lang: language of all queries; detected for each when None.
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
        """Return unit vectors (n, d) of queries, moved towards the best passages of each (pseudo-relevance feedback).

        Args:
            vectors: of queries.
            index: the index that the passages are taken from.
            where: filter on those passages.
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
        """Return the vector (d,) of a passage as a query vector, to search for passages like it."""
        # The extra dimension only fills the vector up to unit length; it says nothing about similarity.
        return self._filled(units(vector[None, :-1]))[0] if self._in_context else vector

    def _filled(self, vectors: Vectors) -> Vectors:
        return filled_up(vectors, "query") if self._in_context else vectors
