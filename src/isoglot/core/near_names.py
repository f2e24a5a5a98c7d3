"""The name that was probably meant, where there is none of that spelling."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


def near_name(name: str, names: Iterable[str]) -> str | None:
    """The name that is spelt most like another; capitals are small letters. None where none is near.

    Args:
        name: as it was written.
        names: that there are.

    >>> near_name("YAER", ["lang", "year"]), near_name("colour", ["lang", "year"])
    ('year', None)
    """
    by_spelling = {known.casefold(): known for known in names}
    near = get_close_matches(name.casefold(), by_spelling, 1)
    return by_spelling[near[0]] if near else None


def no_such(what: str, name: str, there: Collection[str]) -> str:
    """What is said after a name that stands for nothing.

    Args:
        what: was named.
        name: as it was written.
        there: names that there are.

    >>> no_such("parameter", "langs", ["q", "lang"]), no_such("parameter", "limit", ["q", "k"])
    ('there is no such parameter; did you mean lang? there are: q, lang', 'there is no such parameter; there are: q, k')
    """
    near = near_name(name, there)
    meant = f" did you mean {near}?" if near else ""
    return f"there is no such {what};{meant} there are: {', '.join(there)}"
