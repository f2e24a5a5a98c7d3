"""Where a project keeps the language versions of its pages: a folder a language, a suffix a language, any pattern."""

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
    """One language version of a page: the page's name (without ending), the language, the file under the folder."""

    page: str
    lang: str
    file: str


@dataclass(frozen=True)
class Layout:
    """Patterns that lead from files to pages.

    Attributes:
        patterns: alternatives; each holds `{path}`, and `{lang}` unless it leads to the pivot's pages. They share
            their paths: what two of them give the same path is one page.
        prefix: put before the names of pages, so that several layouts of one folder do not collide.
        langs: the only languages; any when empty.
        guessed: whether a language is only what hardly means anything else (`new` and `api` are codes, too).
    """

    patterns: tuple[str, ...]
    prefix: str = ""
    langs: frozenset[str] = frozenset()
    guessed: bool = False

    def __str__(self) -> str:
        return "|".join(self.patterns)

    def match(self, file: str, pivot: str) -> PageFile | None:
        """The page that a file is a version of; None where it is none."""
        named = [page for pattern in self.patterns if "{lang}" in pattern for page in self._of(pattern, file, pivot)]
        if named:  # the name of `x.zh-CN.md` is x, not x.zh
            return min(named, key=lambda page: len(page.page))
        plain = (
            page for pattern in self.patterns if "{lang}" not in pattern for page in self._of(pattern, file, pivot)
        )
        return next(plain, None)

    def _of(self, pattern: str, file: str, pivot: str) -> Iterator[PageFile]:
        found = _regex(pattern).fullmatch(file)
        if found is None:
            return
        lang = pivot
        if "{lang}" in pattern:
            lang = folder_code(found["lang"]) or (None if self.guessed else known_code(found["lang"])) or ""
        if lang and (not self.langs or lang in self.langs):
            yield PageFile(self.prefix + without_ending(found["path"]), lang, file)


def parse_layout(text: str) -> Layout:
    """Read a layout as it is printed: patterns such as `docs/{lang}/{path}`, alternatives joined by `|`.

    Raises:
        InputError: a pattern without `{path}`, no `{lang}` at all, or another name in braces.
    """
    patterns = tuple(part.strip().removeprefix("./") for part in text.split("|") if part.strip())
    for pattern in patterns:
        names = re.findall(r"\{(.*?)\}", pattern)
        if names.count("path") != 1 or names.count("lang") > 1 or set(names) - {"path", "lang"}:
            raise InputError(
                f"layout {pattern!r}: expected {{path}} once, {{lang}} at most once and no other name in braces, "
                "such as 'docs/{lang}/{path}' or '{path}.{lang}.md'"
            )
    if not any("{lang}" in pattern for pattern in patterns):
        raise InputError(f"layout {text!r}: no {{lang}}; expected a pattern such as 'docs/{{lang}}/{{path}}'")
    return Layout(patterns)


def numbered(layouts: Sequence[Layout]) -> tuple[Layout, ...]:
    """Layouts that stand side by side, each with a prefix of its own for its pages' names."""
    if len(layouts) < 2:
        return tuple(layouts)
    return tuple(replace(layout, prefix=_fixed(layout.patterns[-1])) for layout in layouts)


def pages_of(files: Iterable[str], layouts: Sequence[Layout], pivot: str) -> dict[str, dict[str, str]]:
    """For each page the file of each language, sorted; of two files of one language the first counts.

    A file that several layouts match belongs to the first that finds it in another language too.
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
        pages |= kept
        claimed = {file for versions in kept.values() for file in versions.values()}
        left = [file for file in left if file not in claimed]
    return dict(sorted(pages.items()))


def without_ending(path: str) -> str:
    """A path without the ending of a document, so that `page.md` and `page.mdx` are one page."""
    pure = PurePosixPath(path)
    return str(pure.with_suffix("")) if pure.suffix.lower() in ENDINGS else path


def _fixed(pattern: str) -> str:
    """What stands before the first brace, up to a slash."""
    head = pattern.partition("{")[0]
    return head[: head.rfind("/") + 1]


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\{lang\}|\{path\})", pattern)
    named = {"{lang}": r"(?P<lang>[^/]+?)", "{path}": r"(?P<path>.+)"}
    return re.compile("".join(named.get(part) or re.escape(part) for part in parts))
