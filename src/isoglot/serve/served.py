"""The served indexes by name; any failure of one is raised as `UnavailableError`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import NamedTuple, TypeVar

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError, IsoglotError
from isoglot.encoders.embedder import Embedder, Encoded, Role, Vectors
from isoglot.encoders.encoding import encode
from isoglot.search.filters.tokens import FilterError
from isoglot.search.lookup import NoPassageError
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.serve.model_facts import TokenIdsError, decoded, dimensions_of
from isoglot.serve.search_request import Answer, Ask, answer
from isoglot.serve.translatable import TranslatableError, translatable

T = TypeVar("T")
_log = logging.getLogger(__name__)


class UnavailableError(TranslatableError):
    """A collection does not answer, for example because its index was removed or damaged, or its disk is gone."""


class ServedIndex(NamedTuple):
    """A collection as last opened. Everything answered from one instance comes from one version of the index.

    Attributes:
        name: name of the collection.
        searcher: the index.
        languages: number of passages per language when it was opened.
        embed: its model, if it serves embeddings.
    """

    name: str
    searcher: Searcher
    languages: Mapping[str, int]
    embed: Embedder | None = None

    @property
    def model(self) -> str:
        """The model's name; of an absolute path only the last two parts, to keep this machine's folders private."""
        name = PurePath(self.searcher.model_name)
        return "/".join(name.parts[-2:]) if name.is_absolute() else self.searcher.model_name

    def ask(self, ask: Ask, vector: Vectors | None = None) -> Answer:
        """Answer a request; `vector` is the query's, if already encoded.

        Raises:
            FilterError: the filter or a field is invalid.
            NoPassageError: the passage to compare with does not exist.
            UnavailableError: the index does not answer; the server's log says why.
        """
        return _answer(self.name, lambda: answer(ask, self.searcher, self.languages, vector))

    def fields(self) -> list[str]:
        """Return the fields that filters may use.

        Raises:
            UnavailableError: the index does not answer.
        """
        return list(_answer(self.name, self.searcher.fields))


class Collection:
    """An open index under the name used in addresses; a new version can replace it while it is served.

    Args:
        name: its name.
        searcher: the index as it is now.
        embed: its model, if it serves embeddings.

    Attributes:
        behind: True while the published version cannot be opened and the previous one is still served.

    Raises:
        UnavailableError: the index does not answer.
    """

    def __init__(self, name: str, searcher: Searcher, embed: Embedder | None = None) -> None:
        self.name = name
        # Set when the index is followed: opens its replacement, and returns whether a different one is served now.
        self.renew: Callable[[Searcher], bool] = lambda before: False
        self.behind = False
        self._sizes: tuple[int, ...] | None = None
        self._opened = self._served(searcher, embed)

    def open(self, searcher: Searcher) -> None:
        """Serve this index from the next request on, and embed with its model if the old one embedded with its own.

        Raises:
            UnavailableError: it does not answer; the old index stays served.
        """
        before = self._opened
        own = before.embed is not None and before.embed is before.searcher.open_encoder
        # One assignment, so that a search in progress keeps a matching searcher and languages.
        self._opened = self._served(searcher, searcher.encoder if own else before.embed)
        if self.embed is not before.embed and self._sizes is not None:
            self._sizes = None
            with suppress(UnavailableError):
                self.sizes()  # now, so that building the OpenAPI document need not

    def _served(self, searcher: Searcher, embed: Embedder | None) -> ServedIndex:
        return ServedIndex(self.name, searcher, dict(_answer(self.name, searcher.languages)), embed)

    @property
    def opened(self) -> ServedIndex:
        """The version served now; a response built from several queries takes them all from one of these."""
        return self._opened

    @property
    def searcher(self) -> Searcher:
        """The index."""
        return self._opened.searcher

    @property
    def languages(self) -> Mapping[str, int]:
        """Number of passages per language when it was opened."""
        return self._opened.languages

    @property
    def embed(self) -> Embedder | None:
        """The index's model, if it serves embeddings."""
        return self._opened.embed

    @property
    def model(self) -> str:
        """The model's name, as in `ServedIndex.model`."""
        return self._opened.model

    @property
    def passages(self) -> int:
        """The number of passages in the index."""
        return sum(self.languages.values())

    def answered(self, question: Callable[[ServedIndex], T]) -> T:
        """Return `question` applied to one version of the index.

        An index that was replaced since it was opened may no longer answer. If it is followed, its replacement is
        opened at once, rather than at the next check, and asked instead.

        Raises:
            UnavailableError: the index does not answer and has no replacement. Other errors of `question` pass through.
        """
        before = self._opened
        try:
            return question(before)
        except UnavailableError:
            if not self.renew(before.searcher):
                raise
        return question(self._opened)

    def ask(self, ask: Ask, vector: Vectors | None = None, of: ServedIndex | None = None) -> Answer:
        """Answer a request, as `ServedIndex.ask`.

        Args:
            ask: the search.
            vector: the query's vector, if already encoded.
            of: the version that encoded `vector`. Another version ignores `vector`, since its model or its correction
                of query vectors may differ.
        """
        return self.answered(lambda now: now.ask(ask, vector if now is of else None))

    def document(self, id: str) -> list[Passage]:
        """Return the passages of a document in order; an empty list if there is no such document.

        Raises:
            UnavailableError: the index does not answer; the server's log says why.
        """
        return self.answered(lambda now: _answer(self.name, lambda: now.searcher.document(id)))

    def fields(self) -> list[str]:
        """Return the fields that filters may use, as `ServedIndex.fields`."""
        return self.answered(lambda now: now.fields())

    def vectors(self, queries: list[str]) -> Vectors:
        """Return the vectors (n, d) of queries.

        Raises:
            UnavailableError: the model failed; the server's log says why.
        """
        return _answer(self.name, lambda: self.searcher.query_vectors(queries))

    def encode(self, texts: list[str], role: Role) -> Encoded:
        """Encode texts, for a collection that serves embeddings.

        Raises:
            UnavailableError: it serves none, or the model failed; the server's log says why.
        """
        embed = self.embed
        if embed is None:
            raise UnavailableError("the index %(index)s is served without its model", index=repr(self.name))
        return _answer(self.name, lambda: encode(embed, texts, role))

    def sizes(self) -> tuple[int, ...]:
        """Return the numbers of dimensions in which its model's vectors can be returned, as `dimensions_of`.

        Raises:
            UnavailableError: the model failed; the server's log says why.
        """
        if self._sizes is None:
            self._sizes = dimensions_of(self.embed, self.encode(["isoglot"], "passage"))
        return self._sizes

    def decode(self, lists: list[list[int]]) -> list[str]:
        """Decode token ids of the model's own tokenizer into texts.

        Raises:
            TokenIdsError: the ids are not in its vocabulary, or it exposes no tokenizer.
            UnavailableError: the model failed; the server's log says why.
        """
        return _answer(self.name, lambda: decoded(self.embed, lists))

    def check(self) -> None:
        """Search for one word, which exercises both the model and the index.

        Raises:
            UnavailableError: the index does not answer.
        """
        if self.languages:
            self.answered(lambda now: _answer(self.name, lambda: self._looked_up(now.searcher)))

    def _looked_up(self, searcher: Searcher) -> None:
        hits = searcher.search("isoglot", k=1)
        if self.behind and hits:
            # The files of the open version may be gone although its vectors and what was already read are in memory.
            searcher.document(hits[0].document)


def open_collections(
    searchers: Mapping[str, Searcher], embed: Mapping[str, Embedder] | None = None
) -> list[Collection]:
    """Return a collection for each searcher, in order; the first is the default.

    Raises:
        UnavailableError: one does not answer.
        InputError: there is none, `searchers` is no mapping of names to searchers, or `embed` has an unknown name.
    """
    expected = "open indexes by name, such as {'notes': Searcher.open('notes-index')}"
    check_kind("searchers", searchers, Mapping, expected)
    if not searchers:
        raise InputError(f"searchers: there is none; expected {expected}")
    for name, searcher in searchers.items():
        check_kind("searchers: the name of one", name, str, "a text")
        check_kind(f"searchers: {name!r}", searcher, Searcher, "an open index, as Searcher.open returns it")
    odd = [name for name in embed or {} if name not in searchers]
    if odd:
        raise InputError(f"embed: no index here is named {odd[0]!r}; expected some of {', '.join(searchers)}")
    return [Collection(name, searcher, (embed or {}).get(name)) for name, searcher in searchers.items()]


def _answer(name: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (FilterError, NoPassageError, TokenIdsError, UnavailableError):
        raise  # caused by the request or by another model; the message may be shown to the client
    except (IsoglotError, OSError, RuntimeError, ValueError) as error:
        # The reason may contain paths, which belong in the log and not on the network.
        _log.error("%s: %s", name, error)
        raise UnavailableError(
            translatable(
                "the index %(index)s does not answer; it may have been removed or replaced: see the server's messages, "
                "then start the server again"
            ),
            index=repr(name),
        ) from error
