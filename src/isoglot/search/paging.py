"""Pages of a ranking: each holds the best of what earlier pages did not show, whichever page is asked for first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from isoglot.search.candidates import Candidate, best
from isoglot.search.collapsing import Collapse, identity
from isoglot.search.passage import Passage

DEEPEST = 10_000  # passages requested from an index at a time
_FURTHER = 4


class Looked(NamedTuple):
    """What an index returned down to some depth.

    Attributes:
        candidates: best first.
        more: languages that may have more candidates below; None stands for all languages searched together.
    """

    candidates: list[Candidate]
    more: Collection[str | None]


Look = Callable[[int], Looked]


def paged(
    look: Look, k: int, offset: int, *, depth: int, share: float = 0.0, collapse: Sequence[Collapse] = ()
) -> list[Candidate]:
    """Return the k candidates after the first `offset`, of a sequence that is the same for every offset.

    The sequence consists of pages of k. A page holds the best candidates that earlier pages have not shown, with a
    minimum for every language. The index is searched again, deeper, only if what is left does not fill a page: fused
    and approximate rankings may change with the depth.

    Args:
        look: searches the index to a depth.
        k: candidates per page.
        offset: candidates to skip.
        depth: of the first search.
        share: share of a page's places that is divided evenly between languages (see `with_quota`).
        collapse: show only one candidate per document or text.
    """
    pages = _Pages(look, depth, collapse)
    while len(pages.shown) < offset + k:
        page = best(pages.left(k), k, share)
        if not page:
            break
        pages.show(page)
    return pages.shown[offset : offset + k]


class _Pages:
    def __init__(self, look: Look, depth: int, collapse: Sequence[Collapse]) -> None:
        self._ask, self._collapse = look, collapse
        self.shown: list[Candidate] = []
        self._seen: set[tuple[str, str]] = set()
        self._keys: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {}
        self._rest: list[Candidate] = []
        self._langs: Counter[str] = Counter()
        self._look(depth)

    def show(self, page: list[Candidate]) -> None:
        self.shown += page
        for candidate in page:
            self._seen.update(self._identity(candidate.passage))
        # The rest shares no identity with the page, so it need not be filtered by `_unseen` again.
        self._langs.subtract(candidate.passage.lang for candidate in page)
        gone = set(map(id, page))
        if all(id(candidate) in gone for candidate in self._rest[: len(page)]):
            del self._rest[: len(page)]
        else:
            self._rest = [candidate for candidate in self._rest if id(candidate) not in gone]

    def left(self, k: int) -> list[Candidate]:
        """Return what no page has shown; search deeper, to `DEEPEST` at most, until each language fills a page."""
        while any((len(self._rest) if code is None else self._langs[code]) < k for code in self._more):
            if self._depth >= DEEPEST:
                break
            self._look(min(DEEPEST, self._depth * _FURTHER))
        return self._rest

    def _look(self, depth: int) -> None:
        looked = self._ask(depth)
        self._depth, self._more, self._rest = depth, looked.more, self._unseen(looked.candidates)
        self._langs = Counter(candidate.passage.lang for candidate in self._rest)

    def _identity(self, passage: Passage) -> tuple[tuple[str, str], ...]:
        # Cached: a deeper search finds most passages again, and extracting the words of a text is slow.
        place = (passage.document, passage.id)
        if place not in self._keys:
            self._keys[place] = identity(passage, self._collapse)
        return self._keys[place]

    def _unseen(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        first: dict[tuple[str, str], Candidate] = {}
        also: dict[int, list[str]] = {}
        rest = []
        for candidate in candidates:
            keys = self._identity(candidate.passage)
            if any(key in self._seen for key in keys):
                continue
            same = next((first[key] for key in keys if key in first), None)
            if same is not None:
                also[id(same)].append(candidate.passage.id)
            else:
                rest.append(candidate)
                also[id(candidate)] = []
                first |= dict.fromkeys(keys, candidate)
        if self._collapse:
            for candidate in rest:
                candidate.also = tuple(also[id(candidate)])
        return rest
