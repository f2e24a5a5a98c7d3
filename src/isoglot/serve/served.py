"""What is served: open indexes by name, with every failure of theirs turned into one error."""

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
from isoglot.serve.asking import Answer, Ask, answer
from isoglot.serve.model_facts import TokenIdsError, decoded, dimensions_of
from isoglot.serve.spoken import SpokenError, spoken

T = TypeVar("T")
_log = logging.getLogger(__name__)


class UnavailableError(SpokenError):
    """A collection does not answer: its index was removed, is damaged, or its disk is gone."""


class ServedIndex(NamedTuple):
    """A collection as it was opened last; what is answered out of one of these is of one version.

    Attributes:
        name: of the collection.
        searcher: the index.
        languages: passages in each language when it was opened.
        embed: its model, where it may be asked for vectors.
    """

    name: str
    searcher: Searcher
    languages: Mapping[str, int]
    embed: Embedder | None = None

    @property
    def model(self) -> str:
        """The model's name; of a folder only the last two parts, since the rest is this machine's business."""
        name = PurePath(self.searcher.model_name)
        return "/".join(name.parts[-2:]) if name.is_absolute() else self.searcher.model_name

    def ask(self, ask: Ask, vector: Vectors | None = None) -> Answer:
        """All that a request asks for; `vector` is the query's, where it was encoded before.

        Raises:
            FilterError: the filter or a field cannot be.
            NoPassageError: there is no passage to be like.
            UnavailableError: the index does not answer; the server's log says why.
        """
        return _answer(self.name, lambda: answer(ask, self.searcher, self.languages, vector))

    def fields(self) -> list[str]:
        """The fields that filters may name.

        Raises:
            UnavailableError: the index does not answer.
        """
        return list(_answer(self.name, self.searcher.fields))


class Collection:
    """An open index under the name that addresses use.

    Args:
        name: of it.
        searcher: the index as it is now.
        embed: its model, where it may be asked for vectors.

    Attributes:
        behind: what is published now cannot be opened, and what was open before is served.

    Raises:
        UnavailableError: the index does not answer.
    """

    def __init__(self, name: str, searcher: Searcher, embed: Embedder | None = None) -> None:
        self.name = name
        # Where the index is followed: opens what took this one's place, and says whether another one is served now.
        self.renew: Callable[[Searcher], bool] = lambda before: False
        self.behind = False
        self._sizes: tuple[int, ...] | None = None
        self._opened = self._served(searcher, embed)

    def open(self, searcher: Searcher) -> None:
        """Serve this from the next request on; where the index's own model embeds, the new one's does then.

        Raises:
            UnavailableError: it does not answer; what was served before stays.
        """
        before = self._opened
        own = before.embed is not None and before.embed is before.searcher.open_encoder
        # One assignment: a search under way keeps the searcher and the languages that belong together.
        self._opened = self._served(searcher, searcher.encoder if own else before.embed)
        if self.embed is not before.embed and self._sizes is not None:
            self._sizes = None
            with suppress(UnavailableError):
                self.sizes()  # now, for the document of the API

    def _served(self, searcher: Searcher, embed: Embedder | None) -> ServedIndex:
        return ServedIndex(self.name, searcher, dict(_answer(self.name, searcher.languages)), embed)

    @property
    def opened(self) -> ServedIndex:
        """What is served now; whoever asks several questions for one answer asks them of this."""
        return self._opened

    @property
    def searcher(self) -> Searcher:
        """The index."""
        return self._opened.searcher

    @property
    def languages(self) -> Mapping[str, int]:
        """Passages in each language when it was opened."""
        return self._opened.languages

    @property
    def embed(self) -> Embedder | None:
        """The index's model, where it may be asked for vectors."""
        return self._opened.embed

    @property
    def model(self) -> str:
        """The model's name, as `ServedIndex.model`."""
        return self._opened.model

    @property
    def passages(self) -> int:
        """How many it holds."""
        return sum(self.languages.values())

    def answered(self, question: Callable[[ServedIndex], T]) -> T:
        """The answer to a question, out of one version of the index.

        An index that was replaced since it was opened does not answer any more. Where it is followed, what took its
        place is opened now, not at the next look, and asked instead.

        Raises:
            UnavailableError: the index does not answer, and nothing took its place; or whatever the question raises.
        """
        before = self._opened
        try:
            return question(before)
        except UnavailableError:
            if not self.renew(before.searcher):
                raise
        return question(self._opened)

    def ask(self, ask: Ask, vector: Vectors | None = None, of: ServedIndex | None = None) -> Answer:
        """All that a request asks for, as `ServedIndex.ask`.

        Args:
            ask: what is looked for.
            vector: the query's, where it was encoded before.
            of: what was open by then: another version may have another model, or correct its queries otherwise.
        """
        return self.answered(lambda now: now.ask(ask, vector if now is of else None))

    def document(self, id: str) -> list[Passage]:
        """The passages of a document, in their order; none where there is no such document.

        Raises:
            UnavailableError: the index does not answer; the server's log says why.
        """
        return self.answered(lambda now: _answer(self.name, lambda: now.searcher.document(id)))

    def fields(self) -> list[str]:
        """The fields that filters may name, as `ServedIndex.fields`."""
        return self.answered(lambda now: now.fields())

    def vectors(self, queries: list[str]) -> Vectors:
        """Vectors (n, d) of queries.

        Raises:
            UnavailableError: the model failed; the server's log says why.
        """
        return _answer(self.name, lambda: self.searcher.query_vectors(queries))

    def encode(self, texts: list[str], role: Role) -> Encoded:
        """Texts to vectors, for a collection that can embed.

        Raises:
            UnavailableError: the model failed; the server's log says why.
        """
        embed = self.embed
        if embed is None:
            raise UnavailableError("the index %(index)s is served without its model", index=repr(self.name))
        return _answer(self.name, lambda: encode(embed, texts, role))

    def sizes(self) -> tuple[int, ...]:
        """The dimensions that vectors of its model can be given with, as `dimensions_of`.

        Raises:
            UnavailableError: the model failed; the server's log says why.
        """
        if self._sizes is None:
            self._sizes = dimensions_of(self.embed, self.encode(["isoglot"], "passage"))
        return self._sizes

    def decode(self, lists: list[list[int]]) -> list[str]:
        """Texts that token ids of the model's own tokenizer stand for.

        Raises:
            TokenIdsError: it has no such tokens, or shows no tokenizer.
            UnavailableError: the model failed; the server's log says why.
        """
        return _answer(self.name, lambda: decoded(self.embed, lists))

    def check(self) -> None:
        """Search for one word: it takes the model and the index to answer.

        Raises:
            UnavailableError: the index does not answer.
        """
        if self.languages:
            self.answered(lambda now: _answer(self.name, lambda: self._looked_up(now.searcher)))

    def _looked_up(self, searcher: Searcher) -> None:
        hits = searcher.search("isoglot", k=1)
        if self.behind and hits:
            # The files of what is open may be gone, while vectors and what was read before are in memory.
            searcher.document(hits[0].document)


def open_collections(
    searchers: Mapping[str, Searcher], embed: Mapping[str, Embedder] | None = None
) -> list[Collection]:
    """Name the searchers; the first is the default.

    Raises:
        UnavailableError: one does not answer.
        InputError: there is none, or something else than searchers by name.
    """
    expected = "open indexes by name, such as {'notes': Searcher.open('notes-index')}"
    check_kind("searchers", searchers, Mapping, expected)
    if not searchers:
        raise InputError(f"searchers: there is none; expected {expected}")
    for name, searcher in searchers.items():
        check_kind("searchers: the name of one", name, str, "a text")
        check_kind(f"searchers: {name!r}", searcher, Searcher, "an open index, as Searcher.open gives it")
    odd = [name for name in embed or {} if name not in searchers]
    if odd:
        raise InputError(f"embed: {odd[0]!r} is the name of no index here; expected some of {', '.join(searchers)}")
    return [Collection(name, searcher, (embed or {}).get(name)) for name, searcher in searchers.items()]


def _answer(name: str, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (FilterError, NoPassageError, TokenIdsError, UnavailableError):
        raise  # of the request or of another model, and fit for whoever asked
    except (IsoglotError, OSError, RuntimeError, ValueError) as error:
        # The reason can hold paths, which are for the log and not for the network.
        _log.error("%s: %s", name, error)
        raise UnavailableError(
            spoken(
                "the index %(index)s does not answer; it may have been removed or replaced: see the server's messages, "
                "then start the server again"
            ),
            index=repr(name),
        ) from error
