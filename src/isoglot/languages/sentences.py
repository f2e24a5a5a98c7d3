"""Sentences of a text, by the rules of its language (sentencex)."""

from __future__ import annotations

from isoglot.core.errors import MissingPackageError


def segments(text: str, lang: str) -> list[str]:
    """Cut a text into its sentences; joined they are the text.

    Args:
        text: any length.
        lang: rules of which language; a code without rules gets general ones.

    Raises:
        MissingPackageError: sentencex is not installed.
    """
    try:
        from sentencex import segment
    except ImportError as error:
        raise MissingPackageError(
            "finding sentences needs sentencex: pip install 'isoglot[search]' or 'isoglot[data]'"
        ) from error
    return list(segment(lang.partition("-")[0], text))
