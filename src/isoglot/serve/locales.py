"""Localization of the page: its texts, numbers and text direction in the language that the browser prefers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache, cached_property
from importlib.resources import files
from io import BytesIO

from babel import Locale
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations
from babel.units import format_unit

from isoglot.languages.known_languages import REGISTERED
from isoglot.languages.table import language
from isoglot.serve.translatable import translatable

SOURCE = "en"
"""The language of the page's source texts; the others are catalogues in `locale/`."""
CODES = ("ar", "de", "el", SOURCE, "es", "hi", "ru", "th", "tr", "vi", "zh")
_QUALITY = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


class PageLocale:
    """The page's texts and formats in one language.

    Args:
        code: one of `CODES`.

    Attributes:
        code: code of the language.
        name: name of the language, in that language.
        dir: text direction, `rtl` or `ltr`.
    """

    def __init__(self, code: str) -> None:
        self._locale = Locale.parse(code)
        self._names: dict[str, str] = {}
        self.code = code
        self.name = str(self._locale.get_display_name() or code)
        self.name = self.name[0].upper() + self.name[1:]
        self.dir = "rtl" if self._locale.text_direction == "rtl" else "ltr"

    @cached_property
    def _words(self) -> NullTranslations:
        return _catalogue(self.code)

    def text(self, said: str, **values: object) -> str:
        """Translate a message and fill in its values; English if the catalogue lacks it."""
        found = str(self._words.gettext(said))
        return found % values if values else found

    def counted(self, one: str, many: str, number: int, **values: object) -> str:
        """Translate a message in the plural form for `number`, which fills its `count`."""
        return str(self._words.ngettext(one, many, number)) % {"count": self.number(number), **values}

    def knows(self, said: str) -> bool:
        """Whether this language has a translation of the message."""
        return self.code == SOURCE or str(self._words.gettext(said)) != said

    def number(self, value: float, digits: int | None = None) -> str:
        """Format a number, with `digits` decimals if given."""
        form = None if digits is None else "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, form, locale=self._locale)

    def percent(self, share: float, digits: int = 0) -> str:
        """Format a fraction as a percentage."""
        # The locale's CLDR pattern gives the side of the sign and the space before or after it.
        before, _, after = self._locale.percent_formats[None].pattern.rpartition("0")
        form = f"{before}0.{'0' * digits}{after}" if digits else f"{before}0{after}"
        return format_percent(share, form, locale=self._locale)

    def seconds(self, value: float) -> str:
        """Format a duration in seconds."""
        return format_unit(value, "duration-second", "short", "#,##0.00", locale=self._locale)

    def date(self, value: str) -> str:
        """Format the day of an ISO 8601 date or time; any other text is returned unchanged."""
        try:
            return format_date(date.fromisoformat(value[:10]), "long", locale=self._locale)
        except ValueError:
            return value

    def listed(self, items: Iterable[str]) -> str:
        """Join items into a list."""
        return self.text(translatable(", ")).join(items)

    def language_name(self, code: str) -> str:
        """The name of a language, in this language; in English if Unicode's data (CLDR) lack it."""
        if code not in self._names:
            self._names[code] = self._language_name(code)
        return self._names[code]

    def _language_name(self, code: str) -> str:
        if code in REGISTERED:
            return REGISTERED[code].name
        known = "Unknown language" if code == "und" else language(code).name
        if self.code == SOURCE:
            return known
        names: Mapping[str, str] = self._locale.languages
        base, _, rest = code.partition("-")
        script = self._locale.scripts.get(rest.title())
        if code.replace("-", "_") in names:
            return names[code.replace("-", "_")]
        return f"{names[base]} ({script})" if base in names and script else names.get(code, known)


@cache
def page_locale(code: str) -> PageLocale:
    """Return the locale of one of `CODES`, cached."""
    return PageLocale(code)


def negotiated(accepted: str) -> str:
    """Return the code that an Accept-Language header (RFC 9110, 12.5.4) prefers; English if it accepts none.

    >>> [negotiated(header) for header in ("de-AT,de;q=0.8", "fr, ar;q=0.5, en;q=0.4", "zh-Hant-TW", "*", "")]
    ['de', 'ar', 'zh', 'en', 'en']
    """
    wanted: list[tuple[float, str]] = []
    for part in accepted[:1000].split(","):
        name, _, rest = part.strip().partition(";")
        found = _QUALITY.fullmatch(rest.strip()) if rest else None
        quality = float(found[1]) if found else 0.0 if rest else 1.0
        base = name.strip().lower().partition("-")[0]
        if quality > 0 and base in CODES:
            wanted.append((quality, base))
    # `max` keeps the first of equals.
    return max(wanted, key=lambda each: each[0], default=(0.0, SOURCE))[1]


def _catalogue(code: str) -> NullTranslations:
    if code == SOURCE:
        return NullTranslations()
    with (files("isoglot.serve") / "locale" / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(fp=compiled)
