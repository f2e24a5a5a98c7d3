"""Which language a text is in."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from isoglot.core.errors import MissingPackageError

UNKNOWN = "und"
THRESHOLD = 0.7
_LOOKED_AT = 2000  # characters


def detect(text: str, among: Iterable[str] = (), *, threshold: float = THRESHOLD) -> str:
    """Guess the language of a text.

    Args:
        text: its first 2,000 characters are looked at.
        among: the only codes to choose from; all 140 that py3langid knows when empty (codes it does not know are
            passed over).
        threshold: probability under which the answer is `und`.

    Raises:
        MissingPackageError: py3langid is not installed.
    """
    part = text[:_LOOKED_AT]
    if not any(char.isalpha() for char in part):
        return UNKNOWN
    identifier = _identifier(tuple(sorted(set(among))))
    if identifier is None:
        return UNKNOWN
    lang, probability = identifier.classify(part)
    return str(lang) if probability >= threshold else UNKNOWN


@cache
def _identifier(among: tuple[str, ...]) -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingPackageError("telling languages apart wants py3langid: pip install 'isoglot[search]'") from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if among:
        known = [code for code in among if code in identifier.nb_classes]
        if not known:
            return None
        identifier.set_languages(known)
    return identifier
