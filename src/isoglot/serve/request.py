"""What the page's address asks for: a query, filters, and one or two lists side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from isoglot.core.errors import InputError
from isoglot.languages.codes import known_code
from isoglot.search.query_checks import Fair, Mode
from isoglot.serve.cleaning import clean_query
from isoglot.serve.locales import CODES
from isoglot.serve.rerankers import NOT_RERANKED, reach
from isoglot.serve.settings import ServeSettings
from isoglot.serve.spoken import SpokenError, spoken

MODES: Mapping[str, str] = {"dense": spoken("by meaning"), "lexical": spoken("by words"), "hybrid": spoken("by both")}
FAIRNESS: Mapping[str, str] = {
    "none": spoken("as the model ranks"),
    "balanced": spoken("every language alike"),
}
VIEWS: Mapping[str, str] = {"one": spoken("one list"), "two": spoken("two side by side")}
COUNTS = (10, 20, 50, 100)


class AddressError(SpokenError, InputError):
    """An address that cannot be answered."""


@dataclass(frozen=True)
class ListChoice:
    """How one list of results is found."""

    index: str
    mode: Mode = "dense"
    fair: Fair = "none"
    feedback: bool = False
    rerank: str = NOT_RERANKED

    @property
    def searched_twice(self) -> bool:
        """Whether feedback is on and does something: words alone are searched for once."""
        return self.feedback and self.mode != "lexical"

    @property
    def reranker(self) -> str | None:
        """Name of what scores the best anew, if anything does."""
        return None if self.rerank == NOT_RERANKED else self.rerank


@dataclass(frozen=True)
class PageRequest:
    """The state of the page; everything in it stands in the address.

    Attributes:
        query: as searched.
        langs: languages that are searched; all when empty.
        k: results of a list.
        view: one list or two.
        lists: how each is found.
        where: filter on metadata; empty for none.
        offset: results before the first one shown.
        ui: the page's own language; empty where the browser's is meant.
    """

    query: str
    langs: tuple[str, ...]
    k: int
    view: Literal["one", "two"]
    lists: tuple[ListChoice, ListChoice]
    where: str = ""
    offset: int = 0
    ui: str = ""

    @property
    def shown(self) -> tuple[ListChoice, ...]:
        """The lists in view."""
        return self.lists if self.view == "two" else self.lists[:1]

    def furthest(self, most: int) -> int:
        """The highest offset that can be asked for, where otherwise it is `most`: what was scored anew ends earlier."""
        return min(most, reach(self.k) - self.k) if any(choice.reranker for choice in self.shown) else most

    def address(self, **changes: Any) -> str:
        """The query string that brings this state back, with fields of it changed."""
        state = replace(self, **changes)
        pairs = [("q", state.query)] if state.query else []
        for suffix, choice in zip(("", "2"), state.lists, strict=True):
            pairs += [(f"index{suffix}", choice.index), (f"mode{suffix}", choice.mode)]
            pairs += [(f"fair{suffix}", choice.fair)] if choice.fair != "none" else []
            pairs += [(f"feedback{suffix}", "on")] if choice.feedback else []
            pairs += [(f"rerank{suffix}", choice.rerank)] if choice.reranker else []
        pairs += [("view", state.view), ("k", str(state.k)), *(("lang", code) for code in state.langs)]
        pairs += [("where", state.where)] if state.where else []
        pairs += [("offset", str(state.offset))] if state.offset else []
        pairs += [("ui", state.ui)] if state.ui else []
        return urlencode(pairs)


def default_request(names: Sequence[str], settings: ServeSettings, ui: str = "") -> PageRequest:
    """The page at its bare address: two indexes stand side by side, one alone with and without fairness to choose."""
    two = len(names) > 1
    return PageRequest(
        query="",
        langs=(),
        k=min(COUNTS[0], settings.results),
        view="two" if two else "one",
        lists=(ListChoice(names[0]), ListChoice(names[1]) if two else ListChoice(names[0], fair="balanced")),
        ui=ui,
    )


def read_request(
    params: QueryParams, names: Sequence[str], codes: Sequence[str], rerankers: Sequence[str], settings: ServeSettings
) -> PageRequest:
    """Read an address; what it leaves out takes its default.

    Args:
        params: of the address.
        names: of the indexes.
        codes: of their languages.
        rerankers: that lists may be scored anew by.
        settings: limits.

    Raises:
        AddressError: a value that is none of the choices; the message names it.
    """
    base = default_request(names, settings)
    query = clean_query(params.get("q", ""))
    if len(query) > settings.query_characters:
        raise AddressError(
            spoken("The query has %(seen)s characters; at most %(most)s can be searched for."),
            seen=len(query),
            most=settings.query_characters,
        )
    langs = tuple(dict.fromkeys(known_code(code) or code for code in params.getlist("lang")))
    for code in langs:
        _choice("lang", code, codes)
    first, second = base.lists
    asked = PageRequest(
        query=query,
        langs=tuple(code for code in codes if code in langs),
        k=_count(params.get("k"), base.k, settings.results),
        view=cast("Literal['one', 'two']", _choice("view", params.get("view", base.view), tuple(VIEWS))),
        lists=(_list(params, "", first, names, rerankers), _list(params, "2", second, names, rerankers)),
        where=_where(params.get("where", ""), settings),
        ui=_choice("ui", params["ui"], CODES) if params.get("ui") else "",
    )
    return replace(asked, offset=_offset(params.get("offset"), asked.furthest(settings.offset)))


def _list(
    params: QueryParams, suffix: str, base: ListChoice, names: Sequence[str], rerankers: Sequence[str]
) -> ListChoice:
    # A form sends a mode always, and a switch only when it is on.
    off = "none" if f"mode{suffix}" in params else base.fair
    fair, mode, feedback, rerank = (f"{name}{suffix}" for name in ("fair", "mode", "feedback", "rerank"))
    return ListChoice(
        index=_choice(f"index{suffix}", params.get(f"index{suffix}", base.index), names),
        mode=cast(Mode, _choice(mode, params.get(mode, base.mode), tuple(MODES))),
        fair=cast(Fair, _choice(fair, params.get(fair, off), tuple(FAIRNESS))),
        feedback=_choice(feedback, params.get(feedback, "off"), ("off", "on")) == "on",
        rerank=_choice(rerank, params.get(rerank, base.rerank), (NOT_RERANKED, *rerankers)),
    )


def _choice(field: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise AddressError(
            spoken("%(seen)s is no value of %(field)s in the address; possible are: %(choices)s."),
            seen=repr(clean_query(value)[:40]),
            field=field,
            choices=", ".join(choices),
        )
    return value


def _where(value: str, settings: ServeSettings) -> str:
    where = clean_query(value)
    if len(where) > settings.query_characters:
        raise AddressError(
            "where: the filter has %(seen)s characters; expected at most %(most)s",
            seen=len(where),
            most=settings.query_characters,
        )
    return where


def _offset(value: str | None, most: int) -> int:
    if not value:
        return 0
    if not (value.isascii() and value.isdigit() and len(value) < 8 and int(value) <= most):
        raise AddressError(
            spoken("The first result wanted is %(seen)s; expected 0 to %(most)s to be skipped."),
            seen=repr(clean_query(value)[:40]),
            most=most,
        )
    return int(value)


def _count(value: str | None, default: int, most: int) -> int:
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 6 and 1 <= int(value) <= most):
        raise AddressError(
            spoken("The number of results is %(seen)s; expected 1 to %(most)s."),
            seen=repr(clean_query(value)[:40]),
            most=most,
        )
    return int(value)
