"""Search results as values for the page's templates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from isoglot.languages.table import language
from isoglot.search.hit import Hit
from isoglot.search.passage import Passage
from isoglot.search.snippets import snippet
from isoglot.serve.balance_view import Balance
from isoglot.serve.cleaning import plain, shown
from isoglot.serve.facet_views import FacetView
from isoglot.serve.highlight import Piece, highlight
from isoglot.serve.locales import SOURCE, PageLocale, page_locale
from isoglot.serve.page_request import ListChoice, PageRequest
from isoglot.serve.served import Collection, ServedIndex

TONES = 12
"""Number of colours of the bar; further languages reuse them, since each segment is also labelled."""
_SNIPPET = 400  # characters
_ROOM_FOR_CODE = 4.5
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class LanguageView(NamedTuple):
    """How a language is shown: the `lang` and `dir` of its text's element, the name and the colour of its badge."""

    code: str
    name: str
    dir: str
    tone: int


class Segment(NamedTuple):
    """A language's segment of a bar; start and width in per cent of the bar's."""

    language: LanguageView
    passages: int
    start: float
    width: float

    @property
    def named(self) -> bool:
        """Whether the language code fits into the segment."""
        return self.width >= _ROOM_FOR_CODE


@dataclass(frozen=True)
class HitView:
    """One result.

    Attributes:
        part, cut: the snippet, and whether text before and after it is left out.
        parts: further scores, by name.
        link, date: the document's metadata `url` and `date`; empty if missing or not an http(s) address or a date.
        linked: whether an address can name the passage; it cannot contain lone surrogates.
    """

    rank: int
    language: LanguageView
    title: list[Piece]
    text: list[Piece]
    part: list[Piece]
    cut: tuple[bool, bool]
    score: str
    parts: list[tuple[str, str]]
    source: str
    link: str
    date: str
    id: str
    document: str
    linked: bool


class AroundView(NamedTuple):
    """A passage of a document; `here` if it is the requested one."""

    language: LanguageView
    text: list[Piece]
    here: bool


@dataclass(frozen=True)
class ListView:
    """One list of results with its bar; `balance` only on the first page of balanced results."""

    choice: ListChoice
    model: str
    hits: list[HitView]
    sampled: int
    found: list[Segment]
    collection: list[Segment]
    seconds: float
    balance: Balance | None = None
    facets: Sequence[FacetView] = ()

    @property
    def rows(self) -> list[tuple[LanguageView, float, float]]:
        """The bars as a table: language, and its shares of the sample and of the collection in per cent."""
        found = {segment.language.code: segment.width for segment in self.found}
        return [(part.language, found.get(part.language.code, 0.0), part.width) for part in self.collection]


def languages_of(collections: Sequence[Collection], locale: PageLocale | None = None) -> dict[str, LanguageView]:
    """Return the languages of all collections by code, in alphabetical order, each with its colour."""
    codes = sorted({code for entry in collections for code in entry.languages})
    return {code: language_view(code, place % TONES, locale) for place, code in enumerate(codes)}


def language_view(code: str, tone: int = 0, locale: PageLocale | None = None) -> LanguageView:
    """Describe a language; if its script is unknown, the text itself determines the direction.

    >>> language_view("ar").dir, language_view("el").dir, language_view("und").dir
    ('rtl', 'ltr', 'auto')
    """
    known = language(code)
    direction = "auto" if known.script == "unknown" else "rtl" if known.right_to_left else "ltr"
    name = (locale or page_locale(SOURCE)).language_name(code)
    return LanguageView(shown(code), shown(name), direction, tone)


def segments(counts: Mapping[str, int], languages: Mapping[str, LanguageView]) -> list[Segment]:
    """Return the segments of a bar, in the order of `languages`; their widths add up to 100."""
    total = sum(counts.values())
    place = {code: number for number, code in enumerate(languages)}
    parts: list[Segment] = []
    start = 0.0
    for code in sorted(counts, key=lambda code: (place.get(code, len(place)), code)):
        width = 100 * counts[code] / total
        parts.append(Segment(languages.get(code) or language_view(code), counts[code], start, width))
        start += width
    return parts


def list_view(
    asked: PageRequest,
    choice: ListChoice,
    collection: ServedIndex,
    found: Sequence[Hit],
    sampled: Sequence[Hit],
    seconds: float,
    *,
    languages: Mapping[str, LanguageView],
    locale: PageLocale,
    balance: Balance | None = None,
    facets: Sequence[FacetView] = (),
) -> ListView:
    """Return a list of the hits found, with bars for the languages of the sampled hits and of the collection."""
    among = {code: count for code, count in collection.languages.items() if not asked.langs or code in asked.langs}
    return ListView(
        choice=choice,
        model=shown(collection.model),
        hits=[_hit(rank, hit, asked.query, languages, locale) for rank, hit in enumerate(found, 1 + asked.offset)],
        sampled=len(sampled),
        found=segments(Counter(hit.lang for hit in sampled), languages),
        collection=segments(among, languages),
        seconds=seconds,
        balance=balance,
        facets=facets,
    )


def around_view(passage: Passage, here: Passage, query: str, languages: Mapping[str, LanguageView]) -> AroundView:
    """Return a passage for the view of its document, in which the passage `here` was requested."""
    language = languages.get(passage.lang) or language_view(passage.lang)
    return AroundView(language, highlight(shown(passage.text), query), passage.id == here.id)


def _hit(rank: int, hit: Hit, query: str, languages: Mapping[str, LanguageView], locale: PageLocale) -> HitView:
    text = shown(hit.text)
    part = snippet(text, query, _SNIPPET)
    link, date = (str(hit.metadata.get(name) or "") for name in ("url", "date"))
    return HitView(
        rank=rank,
        language=languages.get(hit.lang) or language_view(hit.lang, locale=locale),
        title=highlight(shown(hit.title), query),
        text=highlight(text, query),
        part=highlight(part.text, query),
        cut=(part.before, part.after),
        score=locale.number(hit.score, 3),
        parts=[(shown(name), locale.number(value, 3)) for name, value in hit.parts.items() if value != hit.score],
        source=shown(hit.source),
        link=shown(link) if link.startswith(("https://", "http://")) else "",
        date=shown(locale.date(date)) if _DAY.match(date) else "",
        id=hit.id,
        document=hit.document,
        linked=all(plain(name) == name for name in (hit.id, hit.document)),
    )
