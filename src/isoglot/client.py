"""A client of `isoglot serve` for Python: search, vectors and re-ranking from elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_kind
from isoglot.core.brief import brief
from isoglot.core.errors import InputError, IsoglotError, MissingPackageError
from isoglot.languages.table import given_codes

try:
    import httpx
except ImportError as error:
    raise MissingPackageError("isoglot.client needs httpx: pip install 'isoglot[client]'") from error

T = TypeVar("T")
_TEXTS = 128  # of one request, as servers allow
_BYTES = 1_000_000  # of its texts, likewise: 1 MiB with all that stands around them


class ServerError(IsoglotError):
    """A server refused, failed or was not reached.

    Attributes:
        status: of HTTP; None where there was no answer.
        retry_after: seconds after which it may be asked again, where it says so.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


@dataclass(frozen=True)
class Hit:
    """One passage, as `isoglot.search.Hit`, with its rank from 1."""

    rank: int
    id: str
    document: str
    lang: str
    title: str
    text: str
    score: float
    parts: Mapping[str, float | None]
    source: str
    metadata: Mapping[str, Any]
    also: Sequence[str] = ()

    __repr__ = brief


@dataclass(frozen=True)
class Ranked:
    """Place of a document in the request, and its score."""

    index: int
    score: float


@dataclass(frozen=True)
class Facet:
    """How often the values of a field are there, as `Searcher.facets` counts them.

    Attributes:
        counts: passages that have each value, most first.
        more: how many values there are besides.
        passages: those that were counted.
        without: those of them that have no value.
    """

    counts: Mapping[str | float | bool, int]
    more: int
    passages: int
    without: int


class Client:
    """A connection to a server, kept open; threads may share it.

    Args:
        url: of the server, such as `http://127.0.0.1:8000` or `https://search.example.org/find`.
        key: one of its keys, where it has any.
        timeout: seconds to wait for an answer.
        transport: of httpx, for proxies and tests.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     client.search("Wie entstehen Gezeiten?", langs=["ar", "th"], fair="balanced")
    """

    def __init__(
        self, url: str, key: str | None = None, *, timeout: float = 30.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=f"{url.rstrip('/')}/", headers=headers, timeout=timeout, transport=transport)
        self._model: str | None = None

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        langs: Sequence[str] | None = None,
        mode: Literal["dense", "lexical", "hybrid"] = "dense",
        fair: Literal["none", "balanced"] = "none",
        feedback: bool = False,
        rerank: str | None = None,
        where: str | None = None,
        offset: int = 0,
        collapse: Sequence[Literal["document", "text"]] = (),
        index: str | None = None,
    ) -> list[Hit]:
        """Find passages.

        Args:
            query: in any language.
            k: how many at most.
            langs: only these languages, such as `["de", "en"]` or `"de,en"`; all where none is named.
            mode: by meaning, by words, or both.
            fair: `balanced` prefers no language.
            feedback: search twice, the second time for what is like the best passages too, which finds their
                translations; not with `lexical`.
            rerank: what scores the best anew, such as `late`; the server says what it has.
            where: only passages that are so, such as `year >= 2020`.
            offset: results to pass over.
            collapse: one result of each `document`, of each `text`, or of both.
            index: name of the index; the server's first when None.

        Raises:
            ServerError: refused, failed, or not reached.
            InputError: the query is no text or has nothing but spaces, `langs` is neither codes nor a text, or
                `collapse` no list.
        """
        check_kind("query", query, str, "a text")
        if not query.strip():
            raise InputError("query: has nothing but spaces; expected a text to search for")
        asked: dict[str, Any] = {"q": query, "k": k, "lang": _codes(langs), "mode": mode, "fair": fair}
        if feedback:
            asked["feedback"] = True
        if rerank is not None:
            asked["rerank"] = rerank
        if where is not None:
            asked["where"] = where
        if offset:
            asked["offset"] = offset
        if collapse:
            asked["collapse"] = _several("collapse", collapse)
        if index is not None:
            asked["index"] = index
        hits = self._ask("GET", "search", params=asked)["hits"]
        return [Hit(**{name: hit[name] for name in Hit.__dataclass_fields__ if name in hit}) for hit in hits]

    def facets(
        self,
        names: Sequence[str],
        *,
        langs: Sequence[str] | None = None,
        where: str | None = None,
        index: str | None = None,
    ) -> dict[str, Facet]:
        """Count the values of fields among all passages that a search with these languages and filter looks at.

        Args:
            names: of fields, such as `lang` and `source`; at most eight.
            langs: as in `search`.
            where: only passages that are so.
            index: name of the index; the server's first when None.

        Raises:
            ServerError: refused, failed, or not reached.
            InputError: `names` is no list of texts, or `langs` neither codes nor a text.
        """
        asked: dict[str, Any] = {"q": "", "k": 1, "facets": _several("names", names), "lang": _codes(langs)}
        asked |= {name: value for name, value in (("where", where), ("index", index)) if value is not None}
        found = self._ask("GET", "search", params=asked)["facets"]
        return {
            name: Facet(
                {entry["value"]: entry["count"] for entry in counted["values"]},
                counted["more"],
                counted["passages"],
                counted["without"],
            )
            for name, counted in found.items()
        }

    def embed(
        self, texts: Sequence[str], role: Literal["query", "passage"] = "passage", *, model: str | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors (n, d) of texts, in as many requests as they take.

        Args:
            texts: none of them empty.
            role: what they are.
            model: name of an index, whose model embeds; the server's first when None.

        Raises:
            ServerError: refused, failed, or not reached.
            InputError: `texts` is no list.
        """
        given = _several("texts", texts)
        if model is None:
            self._model = self._model or self._ask("GET", "v1/models")["data"][0]["id"]
        asked = {"model": model or self._model, "input_type": role, "encoding_format": "base64"}
        rows: list[NDArray[np.float32]] = []
        for some in _in_requests(given):
            body = {**asked, "input": some}
            for entry in self._ask("POST", "v1/embeddings", json=body)["data"]:
                rows.append(np.frombuffer(base64.b64decode(entry["embedding"]), "<f4").astype(np.float32))
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def rerank(
        self, query: str, documents: Sequence[str], *, top_n: int | None = None, model: str | None = None
    ) -> list[Ranked]:
        """Documents in order for a query, best first.

        Args:
            query: in any language.
            documents: texts.
            top_n: how many at most.
            model: a re-ranking model or an index; the server's first when None.

        Raises:
            ServerError: refused, failed, or not reached.
            InputError: `documents` is no list.
        """
        body = {"query": query, "documents": _several("documents", documents), "top_n": top_n, "model": model}
        results = self._ask("POST", "v1/rerank", json=body)["results"]
        return [Ranked(entry["index"], entry["relevance_score"]) for entry in results]

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, **what: Any) -> Any:
        try:
            answer = self._http.request(method, path, **what)
        except httpx.HTTPError as error:
            raise ServerError(f"{self._http.base_url}: no answer ({error}); is the server running?") from error
        try:
            content = answer.json()
        except ValueError as error:
            raise ServerError(f"{answer.url}: {answer.status_code}, and no JSON", answer.status_code) from error
        if answer.is_success:
            return content
        said = content.get("detail", "") if isinstance(content, dict) else ""
        wait = answer.headers.get("retry-after", "")
        raise ServerError(f"{answer.status_code} {said}", answer.status_code, float(wait) if wait.isdigit() else None)


def _in_requests(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in their order, as many together as a request may hold; one at least."""
    some: list[str] = []
    taken = 0
    for text in texts:
        size = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")) + 1
        if some and (len(some) == _TEXTS or taken + size > _BYTES):
            yield some
            some, taken = [], 0
        some.append(text)
        taken += size
    if some:
        yield some


def _several(name: str, given: Iterable[T]) -> list[T]:
    """What an argument holds; one text is no list of its characters."""
    check_kind(name, given, Iterable, "a list")
    if isinstance(given, str):
        raise InputError(f"{name}: given as one text; expected a list")
    return list(given)


def _codes(langs: str | Sequence[str] | None) -> list[str]:
    """Codes as `Searcher.search` takes them; none for all languages."""
    codes = given_codes(langs)
    if isinstance(langs, str) and not codes:
        raise InputError(f"langs {langs!r}: names no language; expected a text such as 'de,en', or None for all")
    return list(codes or ())
