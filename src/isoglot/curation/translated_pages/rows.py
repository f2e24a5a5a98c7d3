"""Turn a section of a page into a row, or tell why it gives none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from isoglot.curation.translated_pages.aligning import THRESHOLD
from isoglot.curation.translated_pages.layouts import Layout
from isoglot.curation.translated_pages.passages import Cut, first_sentence
from isoglot.data.near_duplicates import NEAR, jaccard, normalise
from isoglot.data.rows import Row
from isoglot.documents.sections import Section
from isoglot.languages.checking import in_language, script_share, scripts_of
from isoglot.languages.detection import identifier_if_there

Query = Literal["heading", "first-sentence"]

_LEAST_BYTES = 40  # of a passage: about 40 Latin letters, 20 Cyrillic letters or 14 Han characters
# Share of letters in the language's script: technical prose often consists mostly of names and code in Latin letters.
_LEAST_SHARE = 0.1


@dataclass(frozen=True)
class DocsSettings:
    """How documents become rows.

    Attributes:
        layouts: where the language versions are; guessed when empty.
        pivot: language of the originals.
        langs: keep only these languages; all when empty.
        query: what becomes a section's query: its heading (with the page's title), or its first sentence.
        dataset: name of the data set.
        threshold: threshold of matches by the encoder, as in `align`.
        least_bytes: minimum length of a passage, in UTF-8 bytes.
    """

    layouts: tuple[Layout, ...] = ()
    pivot: str = "en"
    langs: tuple[str, ...] = ()
    query: Query = "heading"
    dataset: str = "docs"
    threshold: float = THRESHOLD
    least_bytes: int = _LEAST_BYTES


def section_row(
    page: str,
    name: str,
    lang: str,
    section: Section,
    title: str,
    original: Section | None,
    settings: DocsSettings,
    cut: Cut,
) -> Row | str:
    """Return the row of a section, or the reason why it gives none."""
    text, heading = section.text, section.title or title
    if len(text.encode()) < settings.least_bytes:
        return "little or no prose"
    if lang != settings.pivot and original is not None and _copied(text, original.text):
        return f"not translated: the {settings.pivot} text"
    if settings.query == "first-sentence":
        query, text = first_sentence(text, lang)
        if len(text.encode()) < settings.least_bytes:
            return "one sentence only"
    else:
        if not heading:
            return "no heading"
        query = heading if not title or normalise(title) == normalise(heading) else f"{title}: {heading}"
    share = script_share(text, scripts_of(lang)) if scripts_of(lang) else None
    if share is not None and share < _LEAST_SHARE:
        return "in another script than the language's"
    identify = identifier_if_there()
    if identify is not None and not in_language(text, lang, identify):
        return "in another language"
    return Row(
        group=f"{page}#{name}",
        lang=lang,
        query=query,
        passage=cut(text, lang),
        dataset=settings.dataset,
        context=text,
        topic=str(PurePosixPath(page).parent) if "/" in page else "",
    )


def _copied(text: str, original: str) -> bool:
    return normalise(text) == normalise(original) or jaccard(text, original) >= NEAR
