"""Layouts: patterns of where a project keeps its language versions, such as a folder or a suffix per language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.curation.translated_pages.codes import folder_code
from isoglot.documents.kinds import page_kinds
from isoglot.languages.codes import known_code

ENDINGS = tuple(page_kinds())


class PageFile(NamedTuple):
    """One language version of a page: its name (without file extension), language, and path under the folder."""

    page: str
    lang: str
    file: str


@dataclass(frozen=True)
class Layout:
    """Patterns that map files to pages.

    Attributes:
        patterns: alternatives; each contains `{path}`, and also `{lang}` unless it is for pages in the pivot language.
            If it occurs twice (`{lang}/{path}.{lang}.html`), both stand for the same language. Files with the same
            `{path}` are versions of one page, even if they match different patterns.
        prefix: prefix of page names, so that those of several layouts in one folder do not collide.
        langs: accept only these languages; any when empty.
        guessed: accept only language codes that rarely mean anything else (`new` and `api` are codes, too).
    """

    patterns: tuple[str, ...]
    prefix: str = ""
    langs: frozenset[str] = frozenset()
    guessed: bool = False

    def __str__(self) -> str:
        return "|".join(self.patterns)

    def match(self, file: str, pivot: str) -> PageFile | None:
        """Return the page that a file is a version of, or None."""
        named = [page for pattern in self.patterns if "{lang}" in pattern for page in self._of(pattern, file, pivot)]
        if named:  # the page of `x.zh-CN.md` is x, not x.zh
            return min(named, key=lambda page: len(page.page))
        plain = (
            page for pattern in self.patterns if "{lang}" not in pattern for page in self._of(pattern, file, pivot)
        )
        return next(plain, None)

    def _of(self, pattern: str, file: str, pivot: str) -> Iterator[PageFile]:
        found = _regex(pattern).fullmatch(file)
        if found is None:
            return
        codes = {
            folder_code(text) or (None if self.guessed else known_code(text)) or ""
            for name, text in found.groupdict().items()
            if name != "path"
        }
        lang = min(codes, default=pivot)
        if lang and len(codes) < 2 and (not self.langs or lang in self.langs):
            yield PageFile(self.prefix + without_ending(found["path"]), lang, file)


def parse_layout(text: str) -> Layout:
    """Parse a layout: patterns such as `docs/{lang}/{path}`, with alternatives separated by `|`.

    Raises:
        InputError: a pattern has no `{path}` or two, none has `{lang}`, or there is another name in braces.
    """
    patterns = tuple(part.strip().removeprefix("./") for part in text.split("|") if part.strip())
    for pattern in patterns:
        names = re.findall(r"\{(.*?)\}", pattern)
        if names.count("path") != 1 or set(names) - {"path", "lang"}:
            raise InputError(
                f"layout {pattern!r}: expected {{path}} once, and no other name in braces but {{lang}}, "
                "such as 'docs/{lang}/{path}' or '{path}.{lang}.md'"
            )
    if not any("{lang}" in pattern for pattern in patterns):
        raise InputError(f"layout {text!r}: no {{lang}}; expected a pattern such as 'docs/{{lang}}/{{path}}'")
    return Layout(patterns)


def numbered(layouts: Sequence[Layout]) -> tuple[Layout, ...]:
    """Return the layouts, each with its own prefix for page names if there are several."""
    if len(layouts) < 2:
        return tuple(layouts)
    return tuple(replace(layout, prefix=_fixed(layout.patterns[-1])) for layout in layouts)


def pages_of(files: Iterable[str], layouts: Sequence[Layout], pivot: str) -> dict[str, dict[str, str]]:
    """Return for each page, sorted, the file of each language; the first file wins if a language has several.

    A file that matches several layouts belongs to the first one under which its page exists in another language, too.
    Of pages with the same name (`page.html` and, under a later layout, `page.pdf`), that of the first layout is kept.
    """
    pages: dict[str, dict[str, str]] = {}
    left = sorted(files)
    for number, layout in enumerate(layouts, 1):
        own: dict[str, dict[str, str]] = {}
        for file in left:
            found = layout.match(file, pivot)
            if found is not None:
                own.setdefault(found.page, {}).setdefault(found.lang, file)
        kept = own if number == len(layouts) else {page: files for page, files in own.items() if len(files) > 1}
        pages = kept | pages
        claimed = {file for versions in kept.values() for file in versions.values()}
        left = [file for file in left if file not in claimed]
    return dict(sorted(pages.items()))


def without_ending(path: str) -> str:
    """Return a path without the extension of a document, so that `page.md` and `page.mdx` are one page."""
    pure = PurePosixPath(path)
    return str(pure.with_suffix("")) if pure.suffix.lower() in ENDINGS else path


def _fixed(pattern: str) -> str:
    """Return the folder before the first brace of a pattern, with the slash."""
    head = pattern.partition("{")[0]
    return head[: head.rfind("/") + 1]


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\{lang\}|\{path\})", pattern)
    named = {"{lang}": r"(?P<lang{}>[^/]+?)", "{path}": r"(?P<path>.+)"}
    found = (named[part].replace("{}", str(at)) if part in named else re.escape(part) for at, part in enumerate(parts))
    return re.compile("".join(found))
