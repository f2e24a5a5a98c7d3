"""A Python client of `isoglot serve`: search, embeddings and re-ranking over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError, IsoglotError, needs
from isoglot.core.short_repr import brief
from isoglot.languages.table import given_codes

with needs("isoglot.client needs httpx", "client"):
    import httpx

T = TypeVar("T")
_TEXTS = 128  # texts of one request: the servers' default limit
_BYTES = 1_000_000  # bytes of those texts as JSON; with the rest of the body this stays below the servers' 1 MiB


class ServerError(IsoglotError):
    """The server rejected the request, failed, or could not be reached.

    Attributes:
        status: HTTP status; None if there was no response.
        retry_after: seconds after which to retry, if the server says so.
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
    """A document's position in the request (from 0) and its score."""

    index: int
    score: float


@dataclass(frozen=True)
class Facet:
    """How many passages have each value of a field, as counted by `Searcher.facets`.

    Attributes:
        counts: number of passages for each value, most frequent first.
        more: number of further values.
        passages: number of passages counted.
        without: number of those that have no value.
    """

    counts: Mapping[str | float | bool, int]
    more: int
    passages: int
    without: int


class Client:
    """A persistent connection to a server; threads may share it.

    Args:
        url: address of the server, such as `http://127.0.0.1:8000` or `https://search.example.org/find`.
        key: an API key, if the server requires one.
        timeout: seconds to wait for a response.
        transport: httpx transport, for proxies and tests.

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
            query: the query, in any language.
            k: most passages to return.
            langs: search only these languages, such as `["de", "en"]` or `"de,en"`; all when None.
            mode: search by meaning (`dense`), by words (`lexical`), or both (`hybrid`).
            fair: `balanced` removes the model's preference for some languages.
            feedback: search a second time with the query and the best passages, which finds translations of these;
                not with `lexical`.
            rerank: name of the re-ranker for the top results, such as `late`; an unknown name's error lists the
                server's.
            where: filter on metadata, such as `year >= 2020`.
            offset: number of results to skip.
            collapse: keep one result per `document`, per `text`, or both.
            index: name of the index; the server's first when None.

        Raises:
            ServerError: the server rejected the request, failed, or could not be reached.
            InputError: the query is blank or not a text, `langs` names no languages, or `collapse` is not a list.
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
        """Count the values of fields over all passages that match the languages and the filter.

        Args:
            names: fields, such as `lang` and `source`; at most eight.
            langs: as in `search`.
            where: filter on metadata, as in `search`.
            index: name of the index; the server's first when None.

        Raises:
            ServerError: the server rejected the request, failed, or could not be reached.
            InputError: `names` is not a list, or `langs` names no languages.
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
        """Return unit vectors (n, d) of texts, float32, in as many requests as needed; (0, 0) for no texts.

        Args:
            texts: non-empty texts.
            role: whether they are queries or passages.
            model: name of the index whose model to use; the server's first when None.

        Raises:
            ServerError: the server rejected the request, failed, or could not be reached.
            InputError: `texts` is not a list.
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
        """Rank documents for a query, best first.

        Args:
            query: the query, in any language.
            documents: the documents' texts.
            top_n: most documents to return; all when None.
            model: name of a re-ranking model or an index; the server's first when None.

        Raises:
            ServerError: the server rejected the request, failed, or could not be reached.
            InputError: `documents` is not a list.
        """
        body = {"query": query, "documents": _several("documents", documents), "top_n": top_n, "model": model}
        results = self._ask("POST", "v1/rerank", json=body)["results"]
        return [Ranked(entry["index"], entry["relevance_score"]) for entry in results]

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, **what: Any) -> Any:
        try:
            answer = self._http.request(method, path, **_encodable(what))
        except httpx.HTTPError as error:
            raise ServerError(f"{self._http.base_url}: no answer ({error}); is the server running?") from error
        try:
            content = answer.json()
        except ValueError as error:
            raise ServerError(
                f"{answer.url}: {answer.status_code}, and the answer is not JSON", answer.status_code
            ) from error
        if answer.is_success:
            return content
        said = content.get("detail", "") if isinstance(content, dict) else ""
        wait = answer.headers.get("retry-after", "")
        raise ServerError(f"{answer.status_code} {said}", answer.status_code, float(wait) if wait.isdigit() else None)


def _in_requests(texts: Sequence[str]) -> Iterator[list[str]]:
    """Split texts, in order, into lists as large as a request may hold, each of at least one text."""
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
    """Return an argument as a list; a single text is an error, not a list of its characters."""
    check_kind(name, given, Iterable, "a list")
    if isinstance(given, str):
        raise InputError(f"{name}: given as one text; expected a list")
    return list(given)


def _codes(langs: str | Sequence[str] | None) -> list[str]:
    """Return language codes, given as for `Searcher.search`; an empty list, which is never sent, for None."""
    codes = given_codes(langs)
    if langs is not None and not codes:
        raise InputError(f"langs {langs!r}: names no language; expected codes such as ['de', 'en'], or None for all")
    return list(codes or ())


def _encodable(given: Any) -> Any:
    """Return a parameter or body with lone surrogates in its texts, which UTF-8 lacks, replaced by `?`."""
    if isinstance(given, str):
        return given.encode("utf-8", "replace").decode()
    if isinstance(given, dict):
        return {name: _encodable(value) for name, value in given.items()}
    return [_encodable(one) for one in given] if isinstance(given, list) else given
