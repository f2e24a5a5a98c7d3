"""Mark messages for translation; they are translated where they are shown."""

from __future__ import annotations

from isoglot.core.errors import IsoglotError


def translatable(text: str) -> str:
    """Mark a text for extraction into the page's catalogues, and return it unchanged."""
    return text


class TranslatableError(IsoglotError):
    """An error whose message the page can translate; `str` of it is English.

    Args:
        said: the message, with placeholders such as `%(name)s`.
        values: values of the placeholders.
    """

    def __init__(self, said: str, **values: object) -> None:
        super().__init__(said % values if values else said)
        self.said, self.values = said, values
