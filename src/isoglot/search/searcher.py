"""Search an index: a query in any language in, ranked passages out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from isoglot.core.arguments import check_function, check_kind
from isoglot.core.errors import InputError
from isoglot.encoders.debias import Debias
from isoglot.encoders.embedder import Encoder, Model, Vectors, check_texts
from isoglot.encoders.encoding import as_encoder
from isoglot.encoders.options import ModelOptions
from isoglot.encoders.unit_vectors import units
from isoglot.search.filters.checking import checked_filter
from isoglot.search.filters.tree import And, Compare, Filter, Not
from isoglot.search.hit import Hit, to_hit
from isoglot.search.index.about import About
from isoglot.search.index.encoder_check import gives, open_like, refuse_unlike
from isoglot.search.index.protocol import Index
from isoglot.search.lookup import Lookup
from isoglot.search.query_checks import clean_query
from isoglot.search.query_encoding import QueryEncoder, as_rows, query_code
from isoglot.search.request import SearchRequest, SearchSettings, SimilarSettings
from isoglot.search.reranking import Rerankers
from isoglot.search.signatures import takes_settings
from isoglot.search.stores.named import open_place
from isoglot.search.stores.protocol import Opened


class Searcher(Lookup):
    """An open index together with its query encoder.

    `Searcher.open` opens a stored index; the constructor takes any `Index` and any embedder. Threads and coroutines may
    share one searcher: an encoder that is not thread-safe is used by one caller at a time.

    Args:
        index: the index to search.
        model: a Sentence Transformer or any `Embedder`; None if only `lexical` searches are made.
        model_name: name of the model, for display.
        debias: correction of query vectors; the same one that the passages were corrected with.
        in_context: the passages were encoded in the context of their documents, so their vectors have one more
            dimension.

    Attributes:
        version: number of the open index version; None if the index has no versions.

    Raises:
        InputError: `index` is a path.
    """

    def __init__(
        self,
        index: Index,
        model: Model | None = None,
        *,
        model_name: str = "",
        debias: Debias | None = None,
        in_context: bool = False,
    ) -> None:
        if isinstance(index, (str, Path)):
            raise InputError(f"index: given as a path, {str(index)!r}; expected an Index; Searcher.open opens a folder")
        super().__init__(index)
        self._queries = QueryEncoder(None if model is None else partial(as_encoder, model), debias, in_context)
        self.model_name = model_name
        self._rerankers = Rerankers()
        self._renew: Callable[[Searcher], Searcher | None] = lambda now: None
        self.version: int | None = None

    def __repr__(self) -> str:
        version = "" if self.version is None else f", version {self.version} of the index"
        return f"<Searcher: model {self.model_name or '(not named)'}{version}>"

    @classmethod
    def open(
        cls,
        path: Path | str | Opened,
        model: Model | str | Path | None = None,
        *,
        device: str | None = None,
        options: ModelOptions | None = None,
        light: bool = False,
        opener: Callable[[About], Encoder] | None = None,
    ) -> Searcher:
        """Open an index; the encoder is loaded, and compared with the one recorded in the index, on first use.

        Args:
            path: a folder made by `isoglot index`; a place in a store (`NAME:rest`, see `isoglot list stores`), such as
                `memory:FOLDER`, `qdrant://localhost:6333/docs` or `s3://bucket/index`; or an `Opened` of a store.
            model: the encoder, as `open_embedder` takes it; None for the model that the index was made with.
            device: device of the encoder.
            options: how to open the encoder; None to open it as it was opened for the index.
            light: open the encoder without Sentence Transformers if its folder allows that and it reproduces the
                index's vectors: halves the time until the first result.
            opener: opens the encoder, given the index's `About`; used instead of the arguments above.

        Raises:
            InputError: there is no index, it has another format, or there is no such store.

        Example:
            With `folder` as a `pathlib.Path`, and letter counts as an encoder:

            >>> from isoglot import Searcher, build_index
            >>> def embed(texts, role):
            ...     return [[text.count("e"), text.count("a"), 1] for text in texts]
            >>> texts = {"de": "Der Mond zieht das Meer an.", "es": "La luna atrae el mar."}
            >>> notes = [{"lang": lang, "text": text} for lang, text in texts.items()]
            >>> built = build_index(notes, folder / "index", embed)
            >>> searcher = Searcher.open(folder / "index", embed)
            >>> [(hit.lang, hit.text) for hit in searcher.search("mar", mode="lexical")]
            [('es', 'La luna atrae el mar.')]
            >>> [hit.lang for hit in searcher.search("la pampa", fair="balanced")]
            ['es', 'de']
        """
        if options is not None:
            check_kind("options", options, ModelOptions, "a ModelOptions of isoglot.encoders")
        if opener is not None:
            check_function("opener", opener, 1, "a function that takes an About and returns an encoder")
        chosen = options or ModelOptions()
        chosen = chosen if device is None else replace(chosen, device=device)
        model = str(model) if isinstance(model, Path) else model
        return cls._over(
            open_place(path), model, opener or partial(open_like, model=model, options=chosen, light=light)
        )

    @classmethod
    def _over(
        cls,
        opened: Opened,
        model: Model | str | None,
        opener: Callable[[About], Encoder],
        before: Encoder | None = None,
    ) -> Searcher:
        about = opened.about or About("", opened.index.dimension)
        name = model if isinstance(model, str) else None

        def encoder() -> Encoder:
            if before is None:
                return opener(about)
            if model is None:
                return before if gives(about, before) else opener(about)
            refuse_unlike(about, before, name)  # the caller chose this model, so no other one may replace it
            return before

        def renew(now: Searcher) -> Searcher | None:
            again = opened.renew()
            return None if again is None else cls._over(again, model, opener, now._queries.latest)

        searcher = cls(opened.index, model_name=name or about.model)
        searcher._queries = QueryEncoder(encoder, about.debias, about.in_context, before)
        searcher._renew, searcher.version = renew, opened.version
        return searcher

    def renewed(self) -> Searcher | None:
        """Return a searcher of the index as published now; None if it has not changed.

        This searcher stays open. The new one shares its encoder, unless the index was rebuilt with another model and no
        model was given to `open`: then that model is opened.

        Raises:
            InputError: the index is gone, or has another format.
        """
        return self._renew(self)

    @property
    def open_encoder(self) -> Encoder | None:
        """The encoder if it is already open, else None."""
        return self._queries.opened

    def warm(self) -> None:
        """Load the encoder now.

        Raises:
            InputError: the encoder cannot be loaded, or is not the one that the index was made with.
        """
        self.encoder(["warm"], "query")

    @property
    def encoder(self) -> Encoder:
        """The query encoder, opened on first use.

        Raises:
            InputError: there is no encoder, it cannot be loaded, or it is not the one that the index was made with.
        """
        return self._queries.encoder

    @takes_settings
    def search(self, query: str, *, vector: Vectors | None = None, **how: Unpack[SearchSettings]) -> list[Hit]:
        """Find passages.

        Args:
            query: the query, in any language.
            k: how many results to return at most.
            langs: only passages in these languages, in any spelling of their codes.
            where: filter on metadata, such as `year >= 2020 AND source LIKE 'docs/%'` (see docs/filters.md).
            offset: results to skip, for the next page of k results.
            collapse: show only the best result of each `document`, of each `text` (compared by its words), or both.
            mode: `dense` by cosine, `lexical` by BM25, `hybrid` by both.
            fair: `balanced` searches each language separately and removes the model's preference for some languages
                from the scores (see `isoglot.encoders.levels`); in `lexical` search the languages are interleaved.
            quota: with `balanced`, the share of results that is divided evenly between languages (0 to 1).
            query_lang: language of the query, for an index with a correction; detected when None. A language that the
                correction was not fitted on gets the average of all, like `und`.
            rerank: re-rank the 50 (or k) best: a folder or Hub id of a cross-encoder or another encoder, `late` for
                late interaction with the index's own model (`late:MODEL` with another), or an object with `predict`.
            expand: function that rewrites the query first (see `isoglot.search.expansion.Expander`).
            feedback: pseudo-relevance feedback: search again with the query vector moved towards the best passages in
                all languages (see `isoglot.encoders.feedback`), which finds their translations.
            vector: the query's unit vector (d,), if `query_vectors` has computed it before.

        Raises:
            InputError: an empty or oversized query; an invalid k, quota, language, filter, mode or other setting.
        """
        rows = None if vector is None else as_rows([vector], 1, self._index.dimension)
        return self._find([query], SearchRequest(**how), rows)[0]

    @takes_settings
    def search_many(
        self, queries: Sequence[str], *, vectors: Vectors | None = None, **how: Unpack[SearchSettings]
    ) -> list[list[Hit]]:
        """Find passages for several queries, as `search` does for each, but encode the queries together.

        Args:
            queries: in any languages.
            vectors: vectors of the queries (n, d), if `query_vectors` has computed them before.
            how: settings as in `search`; `query_lang` applies to all queries.

        Returns:
            The hits of each query.

        Raises:
            InputError: as `search`; no query is searched for then.
        """
        if isinstance(queries, str):
            raise InputError("queries: given as one text; expected a list of texts, or ask `search`")
        check_kind("queries", queries, (list, tuple), "a list of texts")
        rows = None if vectors is None else as_rows(vectors, len(queries), self._index.dimension)
        return self._find(queries, SearchRequest(**how), rows)

    def query_vectors(self, queries: Sequence[str], *, query_lang: str | None = None) -> Vectors:
        """Return unit vectors (n, d) of queries, corrected as the passages were, for `search` and `search_many`.

        Args:
            queries: in any languages.
            query_lang: language of all queries; detected for each query when None.

        Raises:
            InputError: `queries` is no list of texts, or there is no encoder, or not the one the index was made with.
        """
        check_texts("queries", queries)
        texts = [clean_query(query) for query in queries]
        return self._queries.vectors(texts, query_code(query_lang, self.languages()))

    def drawn(self, vectors: Vectors, where: str | Filter | None = None) -> Vectors:
        """Return query vectors (n, d) moved towards the best passages of each query, as `feedback` does.

        Args:
            vectors: query vectors, from `query_vectors`.
            where: filter, as in `search`; the best passages are chosen among those that match it.

        Raises:
            InputError: vectors of another shape or with NaN, or an invalid filter.
        """
        check_kind("vectors", vectors, (list, tuple, np.ndarray), "what `query_vectors` makes")
        rows = units(as_rows(vectors, len(vectors), self._index.dimension))
        tree = None if where is None else checked_filter(where, self.fields())
        return self._queries.drawn(rows, self._index, tree)

    async def asearch(self, query: str, *, vector: Vectors | None = None, **how: Unpack[SearchSettings]) -> list[Hit]:
        """`search` for coroutines: runs in a thread, so that it does not block the event loop.

        Args:
            query: the query, in any language.
            vector: as in `search`.
            how: settings as in `search`.
        """
        return await asyncio.to_thread(self.search, query, vector=vector, **how)

    def more_like(self, id: str, **how: Unpack[SimilarSettings]) -> list[Hit]:
        """Find the passages of other documents nearest to a given passage, by its stored vector; needs no encoder.

        Args:
            id: id of the passage, as in `Hit.id`.
            how: `k`, `langs`, `where`, `offset`, `collapse`, `fair`, `quota`, as in `search`.

        Raises:
            NoPassageError: there is no such passage.
            InputError: as `search`.
        """
        passage, vector = self._passage(id)
        there = SimilarSettings.__annotations__
        if wrong := sorted(set(how) - set(there)):
            raise InputError(f"more_like takes no {', '.join(wrong)}; expected some of {', '.join(sorted(there))}")
        request = SearchRequest(**how)
        where: Filter = Not(Compare("document", "=", passage.document))
        if request.where is not None:
            where = And((checked_filter(request.where, self.fields()), where))
        vectors = self._queries.from_passage(vector)[None]
        return self._find(["more"], replace(request, where=where), vectors)[0]

    def _find(self, queries: Sequence[str], request: SearchRequest, vectors: Vectors | None) -> list[list[Hit]]:
        languages = self.languages()
        request = request.checked(queries, languages, self.fields)
        query_lang = query_code(request.query_lang, languages)
        queries = [clean_query(query) for query in queries]
        texts = [request.expanded(query) for query in queries]
        if vectors is None and request.mode != "lexical" and texts:
            vectors = self._queries.vectors(texts, query_lang)
        rows = [None] * len(texts) if vectors is None else vectors
        return [self._hits(request, *each, languages) for each in zip(queries, texts, rows, strict=True)]

    def _hits(
        self, request: SearchRequest, query: str, text: str, vector: Vectors | None, languages: Collection[str]
    ) -> list[Hit]:
        if request.feedback and vector is not None:
            vector = self.drawn(vector[None], request.tree)[0]
        look = request.look(self._index, text, vector, languages)
        how: dict[str, Any] = {"model": request.rerank, "encoder": lambda: self.encoder, "drawn": request.feedback}
        page = request.page(look, partial(self._rerankers, query, index=self._index, **how))
        return [to_hit(candidate) for candidate in page]
