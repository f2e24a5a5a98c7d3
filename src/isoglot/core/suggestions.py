"""Suggest the name that was probably meant, when an unknown one is given."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


def near_name(name: str, names: Iterable[str]) -> str | None:
    """Return the most similarly spelt name, ignoring case; None if none is similar.

    Args:
        name: as written.
        names: the known ones.

    >>> near_name("YAER", ["lang", "year"]), near_name("colour", ["lang", "year"])
    ('year', None)
    """
    by_spelling = {known.casefold(): known for known in names}
    near = get_close_matches(name.casefold(), by_spelling, 1)
    return by_spelling[near[0]] if near else None


def no_such(what: str, name: str, there: Collection[str]) -> str:
    """Return the message for an unknown name.

    Args:
        what: the kind of thing that was named.
        name: as written.
        there: the known names.

    >>> no_such("parameter", "langs", ["q", "lang"]), no_such("parameter", "limit", ["q", "k"])
    ('there is no such parameter; did you mean lang? there are: q, lang', 'there is no such parameter; there are: q, k')
    """
    near = near_name(name, there)
    meant = f" did you mean {near}?" if near else ""
    return f"there is no such {what};{meant} there are: {', '.join(there)}"
