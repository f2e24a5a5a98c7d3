"""The page's state as read from its address: a query, filters, and one or two lists side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from isoglot.core.errors import InputError
from isoglot.languages.codes import known_code
from isoglot.search.query_checks import Fair, Mode, clean_query
from isoglot.serve.locales import CODES
from isoglot.serve.rerankers import NOT_RERANKED, reach
from isoglot.serve.settings import ServeSettings
from isoglot.serve.translatable import TranslatableError, translatable

MODES: Mapping[str, str] = {
    "dense": translatable("by meaning"),
    "lexical": translatable("by words"),
    "hybrid": translatable("by both"),
}
FAIRNESS: Mapping[str, str] = {
    "none": translatable("as the model ranks"),
    "balanced": translatable("every language alike"),
}
VIEWS: Mapping[str, str] = {"one": translatable("one list"), "two": translatable("two side by side")}
COUNTS = (10, 20, 50, 100)


class AddressError(TranslatableError, InputError):
    """An address with an invalid value."""


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
        """Whether feedback is on and has an effect: it has none on a lexical search."""
        return self.feedback and self.mode != "lexical"

    @property
    def reranker(self) -> str | None:
        """Name of the re-ranker, or None."""
        return None if self.rerank == NOT_RERANKED else self.rerank


@dataclass(frozen=True)
class PageRequest:
    """The state of the page, all of it encoded in the address.

    Attributes:
        query: the cleaned query.
        langs: languages to search; all when empty.
        k: results per list.
        view: one list or two.
        lists: how each list is searched for.
        where: filter on metadata; empty for none.
        offset: results before the first one shown.
        ui: language of the page itself; empty for the browser's.
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
        """The highest offset allowed: `most`, or less if a list is re-ranked, which covers the top results only."""
        return min(most, reach(self.k) - self.k) if any(choice.reranker for choice in self.shown) else most

    def address(self, **changes: Any) -> str:
        """Return the query string that encodes this state, with the given fields changed."""
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
    """Return the state at the bare address: two lists if there are several indexes.

    With one index the page shows one list; its second, if the reader opens it, is the balanced one.
    """
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
    """Read the state from an address; missing parameters take their defaults.

    Args:
        params: parameters of the address.
        names: names of the indexes.
        codes: codes of their languages.
        rerankers: names of the available re-rankers.
        settings: limits.

    Raises:
        AddressError: a value is invalid; the message names it.
    """
    base = default_request(names, settings)
    query = clean_query(params.get("q", ""))
    if len(query) > settings.query_characters:
        raise AddressError(
            translatable("The query has %(seen)s characters; at most %(most)s can be searched for."),
            seen=len(query),
            most=settings.query_characters,
        )
    langs = set()
    for code in dict.fromkeys(params.getlist("lang")):
        langs.add(_choice("lang", known_code(code) or code, codes))
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
    # A form always sends the mode, but a checkbox only when it is ticked.
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
            translatable("%(seen)s is no value of %(field)s in the address; possible are: %(choices)s."),
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
            translatable("The first result wanted is %(seen)s; expected 0 to %(most)s to be skipped."),
            seen=repr(clean_query(value)[:40]),
            most=most,
        )
    return int(value)


def _count(value: str | None, default: int, most: int) -> int:
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 6 and 1 <= int(value) <= most):
        raise AddressError(
            translatable("The number of results is %(seen)s; expected 1 to %(most)s."),
            seen=repr(clean_query(value)[:40]),
            most=most,
        )
    return int(value)
