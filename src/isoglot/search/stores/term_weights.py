"""BM25 as the product of a passage's and a query's sparse vector, for stores that do not compute it themselves."""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import lru_cache

from isoglot.languages.normal_form import search_form
from isoglot.languages.words import query_terms, search_terms
from isoglot.search.index.bm25 import K1, B
from isoglot.search.passage import Passage

LARGEST = 2**32 - 3  # the last two are reserved: 2^32 - 1 means "no term" in some stores, and one may mean "no words"


def terms_of(passage: Passage) -> list[str]:
    """Return the terms that a passage is found by, its title included."""
    return search_terms(search_form(f"{passage.title} {passage.text}"))


def passage_weights(passage: Passage, mean_terms: float) -> dict[int, float]:
    """Return a passage's part of BM25, by term number; the store multiplies it by the term's idf.

    tf (k1 + 1) / (tf + k1 (1 - b + b length / mean length)), k1 1.2, b 0.75.

    Args:
        passage: any.
        mean_terms: mean number of terms per passage in the collection.
    """
    counts = Counter(terms_of(passage))
    ground = K1 * (1 - B + B * counts.total() / max(mean_terms, 1))
    weights: dict[int, float] = {}
    for term, count in counts.items():
        number = term_number(term)
        weights[number] = weights.get(number, 0.0) + count * (K1 + 1) / (count + ground)
    return weights


def query_numbers(query: str, *, signs: bool = True) -> list[int]:
    """Return the numbers of a query's terms, each once; `signs` as in `query_terms`."""
    return list(dict.fromkeys(map(term_number, query_terms(query, signs=signs))))


@lru_cache(maxsize=100_000)
def term_number(term: str) -> int:
    """Return a term as a 32-bit number (a hash); of a million terms some hundred share theirs with another one."""
    number = int.from_bytes(hashlib.blake2b(term.encode(errors="replace"), digest_size=4).digest(), "big")
    return min(number, LARGEST)
