"""What may be asked of an index, and the refusal of anything else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, get_args

from isoglot.core.arguments import check_kind, check_number, check_whole
from isoglot.core.errors import InputError

Mode = Literal["dense", "lexical", "hybrid"]
Fair = Literal["none", "balanced"]
LONGEST_QUERY = 8192  # characters
LARGEST_K = 1000
LAST = 2000  # place in a ranking that can be read


def check_query(query: str, k: int, mode: str, fair: str, quota: float) -> None:
    """Refuse what `Searcher.search` does not take.

    Raises:
        InputError: an empty or endless query, one that is no text, or an argument out of its range.
    """
    if not isinstance(query, str):
        raise InputError(f"the query is given as {type(query).__name__}; expected a text")
    if not query.strip() or len(query) > LONGEST_QUERY:
        raise InputError(f"the query has {len(query.strip())} characters; expected 1 to {LONGEST_QUERY}")
    check_whole("k", k, 1, most=LARGEST_K)
    if mode not in get_args(Mode):
        raise InputError(f"mode {mode!r}: expected one of {', '.join(get_args(Mode))}")
    if fair not in get_args(Fair):
        raise InputError(f"fair {fair!r}: expected one of {', '.join(get_args(Fair))}")
    check_number("quota", quota, "0 to 1", lambda share: 0 <= share <= 1)


def check_offset(offset: int, k: int, reranked: int | None) -> None:
    """Refuse pages that there are not.

    Args:
        offset: results to pass over.
        k: results of a page.
        reranked: how many a cross-encoder looks at; None without one.

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
    """Refuse feedback where no vectors are compared.

    Raises:
        InputError: it is neither True nor False, or only words are searched for.
    """
    check_kind("feedback", feedback, bool, "True or False")
    if feedback and mode == "lexical":
        raise InputError("feedback: moves vectors, and mode 'lexical' has none; take 'dense' or 'hybrid'")


def check_langs(langs: Sequence[str] | None, there: Collection[str]) -> None:
    """Refuse languages that an index lacks; None stands for all of them.

    Raises:
        InputError: a language without passages, or an empty list.
    """
    unknown = [code for code in langs or () if code not in there]
    if unknown or (langs is not None and not langs):
        seen = f"no {', '.join(unknown)} in this index" if unknown else "an empty list"
        raise InputError(f"langs: {seen}; there are: {', '.join(there)}")
