"""Our language codes as translation models spell them: `deu_Latn` (NLLB), `de` (M2M100, MADLAD), `de_DE` (mBART)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from isoglot.languages.codes import known_code

_CODE = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{2,4})?")
# M2M100's Northern Sotho; NLLB's Santali, which is in Ol Chiki whatever its code says.
_MEANT = {"ns": "nso", "sat_Beng": "sat", "sat_Olck": "sat"}
# One language of a group (ISO 639-3's macrolanguages), which stands for the group where no other does.
_OF_GROUP = {"pbt": "ps", "quy": "qu", "fuv": "ff"}


def model_codes(tokens: Iterable[str]) -> dict[str, str]:
    """Our codes to a model's own; of several spellings of one language the shortest, then the first.

    Args:
        tokens: of a tokenizer; those that are no language codes are passed over.

    >>> model_codes(["<s>", "zho_Hans", "zho_Hant", "deu_Latn"])
    {'de': 'deu_Latn', 'zh': 'zho_Hans', 'zh-Hant': 'zho_Hant'}
    """
    codes: dict[str, str] = {}
    for token in sorted(set(tokens), key=lambda token: (len(token), token)):
        ours = _MEANT.get(token) or (known_code(token) if _CODE.fullmatch(token) else None)
        if ours:
            codes.setdefault(ours, token)
    for one, group in _OF_GROUP.items():
        if one in codes:
            codes.setdefault(group, codes[one])
    return codes
