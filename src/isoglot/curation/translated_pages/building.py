"""Build parallel rows from a folder of translated documents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.core.progress import Progress
from isoglot.core.short_repr import brief
from isoglot.curation.translated_pages.aligning import Embed, align, slugs
from isoglot.curation.translated_pages.finding import find_pages
from isoglot.curation.translated_pages.layouts import Layout
from isoglot.curation.translated_pages.passages import Cut
from isoglot.curation.translated_pages.reading import Page, read_page
from isoglot.curation.translated_pages.rows import DocsSettings, section_row
from isoglot.data.near_duplicates import normalise
from isoglot.data.rows import Row
from isoglot.documents.sections import Section

_BOILERPLATE = 3  # text on at least this many pages
_PIVOT = "pivot"


class Outcome(NamedTuple):
    """What became of a section: a row (and how it was aligned), or the reason why it was left out."""

    page: str
    lang: str
    section: str
    aligned: str | None
    left_out: str | None


@dataclass
class DocsRows:
    """Rows, with a record of how they were made.

    Attributes:
        layouts: the layouts, given or guessed.
        problems: files that were read, but perhaps not as intended.
        rows: the rows, ordered by page and section.
        pages: page of each row's group.
        outcomes: one for each section of each language version, and for pages and files left out as a whole.
    """

    layouts: tuple[Layout, ...]
    problems: Problems = field(default_factory=Problems)
    rows: list[Row] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    __repr__ = brief

    def counts(self) -> tuple[Counter[str], Counter[str]]:
        """Return the counts of rows by how they were aligned, and of sections by why they were left out."""
        return (
            Counter(entry.aligned for entry in self.outcomes if entry.aligned and not entry.left_out),
            Counter(entry.left_out for entry in self.outcomes if entry.left_out),
        )


def rows_from_docs(folder: Path, settings: DocsSettings, *, cut: Cut, embed: Embed | None = None) -> DocsRows:
    """Turn a folder of translated documents into parallel rows.

    Args:
        folder: holds all language versions.
        settings: layouts, languages, and what becomes the query.
        cut: truncates a text to an encoder's passage length, see `passages.cutter`.
        embed: encoder for aligning sections that identifiers and outlines do not match; None leaves these unmatched.

    Raises:
        InputError: the folder does not exist, has no documents, or no section is there in two languages.
    """
    layouts, pages, left_out, hints = find_pages(folder, settings.layouts, settings.pivot)
    found = DocsRows(layouts)
    for hint in hints:
        found.problems.warn(folder, None, hint)
    found.outcomes += [Outcome(file, "", "", None, reason) for file, reason in left_out]
    with Progress("aligning pages", len(pages)) as progress:
        for page, versions in pages.items():
            wanted = {code: file for code, file in versions.items() if not settings.langs or code in settings.langs}
            _page_rows(folder, page, wanted, settings, found, cut, embed)
            progress.advance()
    _drop(found, _boilerplate(found), "the same text on several pages")
    single = {group for group, count in Counter(row.group for row in found.rows).items() if count == 1}
    _drop(found, {(row.group, row.lang) for row in found.rows if row.group in single}, "in no other language")
    if not found.rows:
        raise InputError(f"{folder}: {'. '.join((_no_rows(found), *hints))}")
    return found


def _page_rows(
    folder: Path,
    page: str,
    versions: dict[str, str],
    settings: DocsSettings,
    found: DocsRows,
    cut: Cut,
    embed: Embed | None,
) -> None:
    """Add a page's rows and outcomes to `found`."""
    read: dict[str, Page] = {}
    for lang, file in versions.items():
        try:
            read[lang] = read_page(folder / file, found.problems)
        except InputError as error:
            found.outcomes.append(Outcome(file, lang, "", None, str(error).partition(": ")[2] or str(error)))
    if not versions:
        found.outcomes.append(Outcome(page, "", "", None, "page in none of the languages to keep"))
    if len(read) < 2:
        found.outcomes += [Outcome(page, lang, "", None, "page in one language only") for lang in read]
        return
    pivot = settings.pivot if settings.pivot in read else max(read, key=lambda lang: len(read[lang].sections))
    groups, alone = _grouped(read, pivot, embed, settings.threshold)
    found.outcomes += [Outcome(page, lang, title, None, "no counterpart in the original") for lang, title in alone]
    for name, members in groups.items():
        original = members[pivot][0] if pivot in members else None
        for lang, (section, how) in members.items():
            row = section_row(page, name.removeprefix("+"), lang, section, read[lang].title, original, settings, cut)
            if isinstance(row, str):
                found.outcomes.append(Outcome(page, lang, section.title, how, row))
                continue
            found.outcomes.append(Outcome(page, lang, name.removeprefix("+"), how, None))
            found.rows.append(row)
            found.pages[row.group] = page


def _grouped(
    read: Mapping[str, Page], pivot: str, embed: Embed | None, threshold: float
) -> tuple[dict[str, dict[str, tuple[Section, str]]], list[tuple[str, str]]]:
    """Align the versions of a page with the pivot's.

    Returns:
        Name of a section -> language -> section and how it was aligned, with `+` before the names of sections that the
        pivot lacks; and (language, title) of each section without a counterpart.
    """
    names = _names(read[pivot].sections)
    groups: dict[str, dict[str, tuple[Section, str]]] = defaultdict(dict)
    alone: list[tuple[str, str]] = []
    for name, section in zip(names, read[pivot].sections, strict=True):
        groups[name][pivot] = (section, _PIVOT)
    for lang in sorted(read.keys() - {pivot}):
        own = read[lang].sections
        matches = align(read[pivot].sections, own, embed=embed, threshold=threshold)
        for match in matches:
            groups[names[match.original]][lang] = (own[match.translation], match.how)
        for number in set(range(len(own))) - {match.translation for match in matches}:
            # A section missing from the original may exist in several translations, matched by its identifier.
            ident = own[number].ident
            if ident and ident not in groups:
                groups[f"+{ident}"].setdefault(lang, (own[number], "identifier"))
            else:
                alone.append((lang, own[number].title))
    return groups, alone


def _no_rows(found: DocsRows) -> str:
    left_out = found.counts()[1]
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    headless = "; for pages without headings, give `query` first-sentence" if left_out["no heading"] else ""
    return (
        f"no section exists in two languages under {' and '.join(map(str, found.layouts))} (left out: {reasons}); "
        f"if the languages are elsewhere, give `layouts`{headless}"
    )


def _names(sections: Sequence[Section]) -> list[str]:
    """Name each section, uniquely within the page: by its identifier, else a slug of its heading, else its number."""
    taken: Counter[str] = Counter()
    names = []
    for number, section in enumerate(sections, 1):
        name = section.ident or min(slugs(section.title), key=len, default="") or str(number)
        taken[name] += 1
        names.append(name if taken[name] == 1 else f"{name}-{taken[name]}")
    return names


def _boilerplate(found: DocsRows) -> set[tuple[str, str]]:
    """Return (group, language) of sections that several pages share: banners, licences, calls to contribute."""
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in found.rows:
        places[row.lang, normalise(row.context or row.passage)].append(row.group)
    return {
        (group, lang)
        for (lang, _), groups in places.items()
        if len({found.pages[group] for group in groups}) >= _BOILERPLATE
        for group in groups
    }


def _drop(found: DocsRows, keys: set[tuple[str, str]], reason: str) -> None:
    if not keys:
        return
    found.rows = [row for row in found.rows if (row.group, row.lang) not in keys]
    for number, entry in enumerate(found.outcomes):
        if not entry.left_out and (f"{entry.page}#{entry.section}", entry.lang) in keys:
            found.outcomes[number] = entry._replace(left_out=reason)
