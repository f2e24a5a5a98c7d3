"""Hold out whole pages for testing."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from isoglot.core.errors import InputError
from isoglot.data.near_duplicates import normalise
from isoglot.data.rows import Row


def split_pages(
    rows: Sequence[Row], pages: Mapping[str, str], share: float, seed: int = 0
) -> tuple[list[Row], list[Row]]:
    """Split rows into those to train on and those of held-out pages.

    The pages are chosen by hashes of the seed and their names. Pages that have a passage in common (in any languages:
    some are never translated) stay together, so that no held-out passage is trained on.

    Args:
        rows: rows of all pages.
        pages: page of each group.
        share: share of the pages to hold out, between 0 and 1.
        seed: seed of the choice.

    Raises:
        InputError: the share is not between 0 and 1, or leaves one side empty.
    """
    if not 0 < share < 1:
        raise InputError(f"a split of {share:g}: expected a share of the pages between 0 and 1, such as 0.2")
    parent = {page: page for page in pages.values()}

    def root(page: str) -> str:
        while parent[page] != page:
            page = parent[page] = parent[parent[page]]
        return page

    first: dict[str, str] = {}
    for row in rows:
        page = pages[row.group]
        other = first.setdefault(normalise(row.passage), page)
        one, two = sorted((root(page), root(other)))
        parent[two] = one
    together: dict[str, list[str]] = defaultdict(list)
    for page in parent:
        together[root(page)].append(page)
    wanted, held = round(share * len(parent)), set[str]()
    for name in sorted(together, key=lambda page: hashlib.blake2b(f"{seed}\0{page}".encode()).digest()):
        if len(held) + len(together[name]) <= wanted:
            held.update(together[name])
    test = [row for row in rows if pages[row.group] in held]
    if not test or len(test) == len(rows):
        raise InputError(f"a split of {share:g} of {len(parent)} pages leaves one side empty; give another share")
    return [row for row in rows if pages[row.group] not in held], test
