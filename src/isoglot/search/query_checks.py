"""Checks of search arguments."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal, get_args

from isoglot.core.arguments import check_choice, check_kind, check_number, check_whole
from isoglot.core.errors import InputError

Mode = Literal["dense", "lexical", "hybrid"]
Fair = Literal["none", "balanced"]
LONGEST_QUERY = 8192  # characters
LARGEST_K = 1000
LAST = 2000  # last rank that can be paged to
# Lone surrogates, C0 and C1 controls except tab and line ends, and the noncharacters that HTML forbids.
UNSEEN = re.compile("[\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def clean_query(text: str) -> str:
    r"""Return a query with control characters and lone surrogates replaced by spaces, then stripped.

    Every search reads its query like this, as a space or a line end after it would change its vector.

    >>> clean_query(" a\x00b\ud800 \n")
    'a b'
    """
    return UNSEEN.sub(" ", text).strip()


def check_query(query: str, k: int, mode: str, fair: str, quota: float) -> None:
    """Check the main arguments of `Searcher.search`.

    Raises:
        InputError: a query that is empty, too long or no text, or an argument out of its range.
    """
    if not isinstance(query, str):
        raise InputError(f"the query is given as {type(query).__name__}; expected a text")
    if not clean_query(query) or len(query) > LONGEST_QUERY:
        raise InputError(f"the query has {len(clean_query(query))} characters; expected 1 to {LONGEST_QUERY}")
    check_whole("k", k, 1, most=LARGEST_K)
    check_choice("mode", mode, get_args(Mode))
    check_choice("fair", fair, get_args(Fair))
    check_number("quota", quota, "0 to 1", lambda share: 0 <= share <= 1)


def check_offset(offset: int, k: int, reranked: int | None) -> None:
    """Check that a page is within reach.

    Args:
        offset: results to skip.
        k: results per page.
        reranked: how many results are re-ranked; None without re-ranking.

    Raises:
        InputError: an offset below 0, or a page too far down.
    """
    check_whole("offset", offset, 0)
    if offset + k > LAST:
        raise InputError(f"offset {offset} with `k` {k}: results can be read up to the {LAST}th; narrow the search")
    if reranked is not None and offset and offset + k > reranked:
        raise InputError(
            f"offset {offset} with `k` {k}: only the {reranked} best are re-ranked; read on without re-ranking"
        )


def check_feedback(feedback: bool, mode: str) -> None:
    """Check that feedback is possible in a mode.

    Raises:
        InputError: `feedback` is neither True nor False, or the mode is `lexical`.
    """
    check_kind("feedback", feedback, bool, "True or False")
    if feedback and mode == "lexical":
        raise InputError("feedback: moves vectors, and mode 'lexical' has none; take 'dense' or 'hybrid'")


def check_langs(langs: Sequence[str] | None, there: Collection[str]) -> None:
    """Check that an index has the requested languages; None stands for all of them.

    Raises:
        InputError: a language without passages, or an empty list.
    """
    unknown = [code for code in langs or () if code not in there]
    if unknown or (langs is not None and not langs):
        seen = f"no {', '.join(unknown)} in this index" if unknown else "an empty list"
        raise InputError(f"langs: {seen}; there are: {', '.join(there)}")
