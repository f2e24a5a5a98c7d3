"""Sentences for people that are translated where they are shown."""

from __future__ import annotations

from isoglot.core.errors import IsoglotError


def spoken(text: str) -> str:
    """Marks a text for the page's catalogues."""
    return text


class SpokenError(IsoglotError):
    """An error whose words the page can say in the reader's language; as text it is English.

    Args:
        said: what is wrong, with places for the values.
        values: what stands in these places.
    """

    def __init__(self, said: str, **values: object) -> None:
        super().__init__(said % values if values else said)
        self.said, self.values = said, values
