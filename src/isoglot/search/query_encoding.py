"""From queries to vectors that an index's passages are compared with."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.encoders.debias import Debias
from isoglot.encoders.embedder import Encoder, Vectors, readable
from isoglot.encoders.in_context import filled_up
from isoglot.languages.codes import UNKNOWN, normal_code
from isoglot.languages.detection import detect

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


def query_vectors(
    encoder: Encoder, texts: Sequence[str], lang: str | None, debias: Debias | None, *, in_context: bool = False
) -> Vectors:
    """Vectors (n, d) of queries, corrected as the passages were.

    Args:
        encoder: of the index.
        texts: queries.
        lang: of all of them; that of each is guessed when None.
        debias: the index's correction.
        in_context: the index's passages have one dimension more.
    """
    encoded = encoder.encoded(list(texts), "query")
    if encoded.cut:
        _log.warning(
            "%d of %d queries are longer than %d tokens: their ends were not read",
            encoded.cut,
            len(texts),
            encoded.length or 0,
        )
    vectors = encoded.vectors
    if debias is not None:
        codes = [lang or detect(readable(text), among=debias.languages, threshold=0.0) for text in texts]
        vectors = debias.apply(vectors, codes, "query")
    return filled_up(vectors, "query") if in_context else vectors
