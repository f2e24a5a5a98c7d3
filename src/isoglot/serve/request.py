"""What the page's address asks for: a query, filters, and one or two lists side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from starlette.datastructures import QueryParams

from isoglot.core.errors import InputError
from isoglot.languages.codes import known_code
from isoglot.search.query_checks import Fair, Mode
from isoglot.serve.cleaning import clean_query
from isoglot.serve.settings import ServeSettings

MODES: Mapping[str, str] = {"dense": "by meaning", "lexical": "by words", "hybrid": "by both"}
FAIRNESS: Mapping[str, str] = {"none": "as the model ranks", "balanced": "every language alike"}
VIEWS: Mapping[str, str] = {"one": "one list", "two": "two side by side"}
COUNTS = (10, 20, 50, 100)


@dataclass(frozen=True)
class ListChoice:
    """How one list of results is found."""

    index: str
    mode: Mode = "dense"
    fair: Fair = "none"


@dataclass(frozen=True)
class PageRequest:
    """The state of the page; everything in it stands in the address."""

    query: str
    langs: tuple[str, ...]
    k: int
    view: Literal["one", "two"]
    lists: tuple[ListChoice, ListChoice]

    @property
    def shown(self) -> tuple[ListChoice, ...]:
        """The lists in view."""
        return self.lists if self.view == "two" else self.lists[:1]


def default_request(names: Sequence[str], settings: ServeSettings) -> PageRequest:
    """The page at its bare address: two indexes stand side by side, one alone with and without fairness to choose."""
    two = len(names) > 1
    return PageRequest(
        query="",
        langs=(),
        k=min(COUNTS[0], settings.results),
        view="two" if two else "one",
        lists=(ListChoice(names[0]), ListChoice(names[1]) if two else ListChoice(names[0], fair="balanced")),
    )


def read_request(
    params: QueryParams, names: Sequence[str], codes: Sequence[str], settings: ServeSettings
) -> PageRequest:
    """Read an address; what it leaves out takes its default.

    Raises:
        InputError: a value that is none of the choices; the message names it.
    """
    base = default_request(names, settings)
    query = clean_query(params.get("q", ""))
    if len(query) > settings.query_characters:
        raise InputError(
            f"The query has {len(query)} characters; at most {settings.query_characters} can be searched for."
        )
    langs = tuple(dict.fromkeys(known_code(code) or code for code in params.getlist("lang")))
    for code in langs:
        _choice("language", code, codes)
    first, second = base.lists
    return PageRequest(
        query=query,
        langs=tuple(code for code in codes if code in langs),
        k=_count(params.get("k"), base.k, settings.results),
        view=cast("Literal['one', 'two']", _choice("view", params.get("view", base.view), tuple(VIEWS))),
        lists=(_list(params, "", first, names), _list(params, "2", second, names)),
    )


def _list(params: QueryParams, suffix: str, base: ListChoice, names: Sequence[str]) -> ListChoice:
    # A form sends a mode always, and the switch only when it is on.
    off = "none" if f"mode{suffix}" in params else base.fair
    return ListChoice(
        index=_choice("index", params.get(f"index{suffix}", base.index), names),
        mode=cast(Mode, _choice("mode", params.get(f"mode{suffix}", base.mode), tuple(MODES))),
        fair=cast(Fair, _choice("fairness", params.get(f"fair{suffix}", off), tuple(FAIRNESS))),
    )


def _choice(what: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InputError(f"There is no {what} {clean_query(value)[:40]!r}; there are: {', '.join(choices)}.")
    return value


def _count(value: str | None, default: int, most: int) -> int:
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 6 and 1 <= int(value) <= most):
        raise InputError(f"The number of results is {clean_query(value)[:40]!r}; expected 1 to {most}.")
    return int(value)
