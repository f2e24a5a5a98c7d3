"""`/v1/rerank` in the format shared by Cohere's and Jina's APIs: a query and documents in, ranked scores out."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator

from isoglot.encoders.judges import Judge
from isoglot.search.query_checks import clean_query
from isoglot.serve.cleaning import plain
from isoglot.serve.json_response import json_of
from isoglot.serve.openai_errors import documented
from isoglot.serve.rerankers import Judged, checked_scores
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings
from isoglot.serve.workers import Workers

_Scores = Callable[[str, list[str]], tuple[list[float], int | None]]
"""(query, documents) to a score for each document, and the number of tokens encoded, or None if unknown."""


class RerankedText(BaseModel):
    """A document, if the request wants the texts back."""

    text: str


class Reranked(BaseModel):
    """One document of the ranking."""

    index: int = Field(description="Position of the document in the request, from 0.")
    relevance_score: float = Field(description="Higher is better; comparable only within one response.")
    document: RerankedText | None = Field(None, description="Only if return_documents is true.")


class RerankUsage(BaseModel):
    """Number of tokens encoded, each distinct text counted once."""

    total_tokens: int


class Reranking(BaseModel):
    """The response, best document first."""

    id: str
    model: str
    results: list[Reranked]
    usage: RerankUsage | None = Field(None, description="Only if the model counts its tokens.")


def router(
    collections: Sequence[Collection], judges: Mapping[str, Judge], workers: Workers, settings: ServeSettings
) -> APIRouter:
    """Return the route. Its models are the judges, then the indexes that serve embeddings; at least one is needed."""
    models: dict[str, _Scores] = {name: _by_judge(name, judge) for name, judge in judges.items()}
    models.update({entry.name: _by_cosine(entry) for entry in collections if entry.embed and entry.name not in models})
    default, named = next(iter(models)), ", ".join(models)
    Text = Annotated[str, Field(max_length=settings.input_characters)]
    Model = Annotated[str, WithJsonSchema({"type": "string", "enum": list(models)})]

    class RerankDocument(BaseModel):
        """A document as an object."""

        model_config = ConfigDict(strict=True)

        text: Text

    class RerankRequest(BaseModel):
        """Documents to rank for a query."""

        model_config = ConfigDict(extra="forbid", strict=True)

        query: str = Field(
            min_length=1, max_length=settings.query_characters, description="The query, in any language."
        )
        documents: Annotated[list[Text | RerankDocument], Field(min_length=1, max_length=settings.documents)] = Field(
            description="Texts, or objects with a field `text`."
        )
        model: Model | None = Field(
            None, description="A re-ranking model, or an index whose encoder compares query and documents."
        )
        top_n: Annotated[int, Field(ge=1), BeforeValidator(_whole)] | None = Field(
            None, description="Maximum number of results; all by default."
        )
        return_documents: bool | None = Field(False, description="Whether to return the texts with their scores.")
        max_tokens_per_doc: Any = Field(None, description="Accepted for compatibility, but ignored.")
        max_chunks_per_doc: Any = Field(None, description="Accepted for compatibility, but ignored.")

        @field_validator("query")
        @classmethod
        def _read(cls, query: str) -> str:
            text = clean_query(query)
            if not text:
                raise ValueError("has nothing but spaces; expected a text to compare the documents with")
            return text

        @field_validator("model")
        @classmethod
        def _known(cls, name: str | None) -> str | None:
            if name is not None and name not in models:
                raise ValueError(f"there is no model {plain(name)[:80]!r} here; there are: {named}")
            return name

    routes = APIRouter()

    @routes.post(
        "/v1/rerank",
        summary="Rank documents for a query",
        response_model=Reranking,
        responses=documented(400, 408, 413, 414, 422, 503, 504),
    )
    async def rerank(request: RerankRequest) -> Response:
        texts = [plain(given if isinstance(given, str) else given.text) for given in request.documents]
        name = request.model or default
        scores, tokens = await workers.run(models[name], request.query, texts)
        # The sort is stable: documents with equal scores keep the request's order.
        order = sorted(range(len(texts)), key=lambda place: -scores[place])[: request.top_n]
        results = [
            Reranked(
                index=place,
                relevance_score=scores[place],
                document=RerankedText(text=texts[place]) if request.return_documents else None,
            )
            for place in order
        ]
        usage = None if tokens is None else RerankUsage(total_tokens=tokens)
        answer = Reranking(id=uuid.uuid4().hex, model=name, results=results, usage=usage)
        return json_of(answer, exclude_none=True)

    return routes


def _whole(number: Any) -> Any:
    """Turn 5.0 into 5, since JSON does not tell them apart; other values are returned unchanged."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _by_judge(name: str, judge: Judge) -> _Scores:
    judged = Judged(name, judge)

    def scores(query: str, texts: list[str]) -> tuple[list[float], None]:
        return judged.predict([(query, text) for text in texts]).tolist(), None

    return scores


def _by_cosine(entry: Collection) -> _Scores:
    def scores(query: str, texts: list[str]) -> tuple[list[float], int]:
        asked, read = entry.encode([query], "query"), entry.encode(texts, "passage")
        found = (read.vectors @ asked.vectors[0]).astype(np.float64)
        return checked_scores(entry.name, found, len(texts)).tolist(), asked.tokens + read.tokens

    return scores
