"""Map our language codes to those of translation models: `deu_Latn` (NLLB), `de` (M2M100, MADLAD), `de_DE` (mBART)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from isoglot.languages.codes import known_code

_CODE = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{2,4})?")
# M2M100's code of Northern Sotho; NLLB's codes of Santali, which is in Ol Chiki despite the `Beng` in one of them.
_MEANT = {"ns": "nso", "sat_Beng": "sat", "sat_Olck": "sat"}
# Members of macrolanguages (ISO 639-3) that stand for the macrolanguage if the model has no code for it.
_OF_GROUP = {"pbt": "ps", "quy": "qu", "fuv": "ff"}


def model_codes(tokens: Iterable[str]) -> dict[str, str]:
    """Return a dict from our codes to the model's; of several codes for a language the shortest, then the first.

    Args:
        tokens: tokens of the model's tokenizer; those that are not language codes are ignored.

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
