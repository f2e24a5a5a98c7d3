"""Convert to ISO 639-3 and ISO 15924 codes, which other tools use for languages and scripts."""

from __future__ import annotations

from isoglot.languages.codes import known_code
from isoglot.languages.scripts import CODES
from isoglot.languages.table import language


def iso_639_3(code: str) -> str:
    """Return the three-letter code of a language; if ISO has none, the given code without its script.

    >>> iso_639_3("de"), iso_639_3("zh-Hant"), iso_639_3("arz")
    ('deu', 'zho', 'arz')
    """
    import langcodes

    base = (known_code(code) or code).partition("-")[0]
    try:
        return langcodes.get(base).to_alpha3()
    except (LookupError, ValueError):
        return base


def iso_15924(code: str) -> str | None:
    """Return the code's script, or else its language's usual one; None if unknown.

    >>> iso_15924("de"), iso_15924("zh"), iso_15924("zh-TW"), iso_15924("sr-Latn"), iso_15924("ko")
    ('Latn', 'Hans', 'Hant', 'Latn', 'Hang')
    """
    written = (known_code(code) or code).partition("-")[2]
    if len(written) == 4:
        return written
    script = language(code).script
    return "Hang" if script == "Hangul" else CODES.get(script)
