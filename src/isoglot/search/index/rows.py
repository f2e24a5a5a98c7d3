"""Turn documents into rows of the passages table: split and encode them. The same documents give the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from isoglot.documents.document import Document
from isoglot.documents.splitting import Spans, shorten, split
from isoglot.encoders.debias import Debias
from isoglot.encoders.embedder import Encoder, Model, Vectors, readable
from isoglot.encoders.in_context import filled_up, joined, with_contexts
from isoglot.encoders.quantised_tokens import quantise_tokens
from isoglot.encoders.token_vectors import TokenVectors, with_tokens
from isoglot.languages.detection import detect
from isoglot.search.index.columns import field_arrays
from isoglot.search.index.encoder_check import probe, refuse_other
from isoglot.search.index.passage_lengths import passage_encoder, room, token_spans
from isoglot.search.index.passages_table import TOKENS, schema, search_text, shown_json
from isoglot.search.index.shards import Shard
from isoglot.search.index.stored_tokens import to_column
from isoglot.search.passage import Passage, passage_id, read_text


@dataclass(frozen=True)
class Recipe:
    """Everything needed to make the rows of shards, in this process or elsewhere; picklable if `model` is.

    Attributes:
        model: opens the encoder.
        name: of the encoder, for messages.
        length: tokens per passage, all included.
        dimension: of the stored vectors.
        precision: as for `encode`.
        debias: corrects the vectors.
        probe: vectors (3, d) that the encoder must give for the fixed texts; not compared when None.
        in_context: also encode passages in the context of their documents.
        tokens: also store the vectors of the passages' tokens.
        beginnings: the terms include the beginnings of words.
        signs: the terms include compounds.
    """

    model: Callable[[], Model]
    name: str
    length: int
    dimension: int
    precision: str
    debias: Debias | None = None
    probe: Sequence[Sequence[float]] | None = None
    in_context: bool = False
    tokens: bool = False
    beginnings: bool = True
    signs: bool = True

    def open(self) -> Callable[[Shard], pa.Table]:
        """Open the encoder, and return the function from a shard to its rows.

        Raises:
            InputError: the encoder cannot be opened, or is not the index's.
        """
        model = self.model()
        if self.probe is not None:
            refuse_other(probe(model, self.precision), self.probe, self.name, self.name)
        encoder = passage_encoder(model, self.length, self.precision)
        spans, tokens = token_spans(model), room(model, self.length)

        def rows(shard: Shard) -> pa.Table:
            return self._rows(shard, encoder, spans, tokens)

        return rows

    def _rows(self, shard: Shard, encoder: Encoder, spans: Spans, length: int) -> pa.Table:
        passages, hashes, contexts = list[Passage](), list[str](), list[str]()
        for document, digest in shard.documents:
            made = list(_passages(document, spans, length))
            passages += made
            hashes += [digest] * len(made)
            contexts += [_context(document)] * len(made)

        def corrected(vectors: Vectors) -> Vectors:
            if self.debias is None:
                return vectors
            return self.debias.apply(vectors, [passage.lang for passage in passages], "passage")

        read = [read_text(passage) for passage in passages]
        tokens: TokenVectors | None = None
        if self.tokens:
            vectors, tokens = with_tokens(encoder).encoded_with_tokens(read, "passage")
        else:
            vectors = encoder(read, "passage")
        vectors = corrected(vectors)
        if self.in_context:
            texts = [passage.text for passage in passages]
            within = with_contexts(encoder).encoded_within(texts, contexts, "passage")
            vectors = filled_up(joined(vectors, corrected(within)), "passage")
        rows = rows_of(passages, hashes, vectors, self.dimension, beginnings=self.beginnings, signs=self.signs)
        if tokens is not None:
            rows = rows.append_column(TOKENS, to_column(quantise_tokens(tokens)))
        return rows


def rows_of(
    passages: Sequence[Passage],
    hashes: Sequence[str],
    vectors: Vectors,
    dimension: int,
    *,
    beginnings: bool = True,
    signs: bool = True,
) -> pa.Table:
    """Make rows of the passages table from passages, the hashes of their documents, and their vectors (n, d)."""
    columns: dict[str, Any] = {
        name: pa.array([getattr(passage, name) for passage in passages], pa.string())
        for name in ("id", "document", "text", "lang")
    }
    terms = [search_text(f"{one.title} {one.text}", beginnings=beginnings, signs=signs) for one in passages]
    columns["search_text"] = pa.array(terms, pa.string())
    columns["search_title"] = pa.array([""] * len(passages), pa.string())
    columns["about"] = pa.array([shown_json(passage) for passage in passages], pa.string())
    columns["hash"] = pa.array(hashes, pa.string())
    for name in ("title", "source"):
        columns[name] = pa.array([getattr(passage, name) or None for passage in passages], pa.string())
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, dimension)
    own = pa.table({name: columns[name] for name in schema(dimension).names}, schema=schema(dimension))
    for name, array in field_arrays(passages).items():
        own = own.append_column(name, array)
    return own


def _context(document: Document) -> str:
    """Return the context of a document's passages: its `context` if that contains its text, else the document."""
    given = document.metadata.get("context")
    return given if isinstance(given, str) and document.text in readable(given) else document.text


def _passages(document: Document, spans: Spans, tokens: int) -> Iterator[Passage]:
    """Split a document into passages, each with its title (shortened if need be)."""
    lang = document.lang or detect(f"{document.title}\n{document.text}")
    title = shorten(document.title, spans=spans, tokens=tokens) if document.title else ""
    left = tokens - (len(spans([title])[0]) if title else 0)
    parts = split(document.text, lang, spans=spans, tokens=left)
    for number, part in enumerate(parts, 1):
        key = passage_id(document.id, number, len(parts))
        yield Passage(key, document.id, part, lang, title, document.source, document.metadata)
