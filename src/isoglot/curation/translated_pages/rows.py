"""Turn a section of a page into a row, or tell why it gives none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
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
_MOST_UNTRANSLATED = 0.5  # of a passage's characters
_NUMBER = re.compile(r"\A(?:[A-Z]\.)?\d+(?:\.\d+)*\.\s+(?=\S)")  # a section's, where the heading begins
_PARAGRAPH = 20  # characters: shorter ones are often names, the same in all languages


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
        heading, title = (_NUMBER.sub("", text) for text in (heading, title))
        query = heading if not title or normalise(title) == normalise(heading) else f"{title}: {heading}"
    passage = cut(text, lang)
    if lang != settings.pivot and original is not None and _untranslated(text, len(passage), original.text):
        return f"not translated: mostly the {settings.pivot} text"
    share = script_share(passage, scripts_of(lang)) if scripts_of(lang) else None
    if share is not None and share < _LEAST_SHARE:
        return "in another script than the language's"
    identify = identifier_if_there()
    if identify is not None and not in_language(passage, lang, identify):
        return "in another language"
    return Row(
        group=f"{page}#{name}",
        lang=lang,
        query=query,
        passage=passage,
        dataset=settings.dataset,
        context=text,
        topic=str(PurePosixPath(page).parent) if "/" in page else "",
    )


def _copied(text: str, original: str) -> bool:
    return normalise(text) == normalise(original) or jaccard(text, original) >= NEAR


def _untranslated(text: str, length: int, original: str) -> bool:
    """Whether paragraphs of the original are most of a text's first characters; catalogues are seldom complete."""
    theirs = {normalise(paragraph) for paragraph in original.split("\n") if len(paragraph) >= _PARAGRAPH}
    paragraphs = text.split("\n")
    ends = accumulate((len(paragraph) + 1 for paragraph in paragraphs), initial=0)
    same = sum(
        min(len(paragraph), length - start)
        for paragraph, start in zip(paragraphs, ends, strict=False)
        if start < length and normalise(paragraph) in theirs
    )
    return same > _MOST_UNTRANSLATED * length
