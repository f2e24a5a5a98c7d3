"""`/v1/embeddings` in OpenAI's shape, so that programs written for that API can use the served model."""

import base64
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from isoglot.serve.cleaning import plain
from isoglot.serve.problem_json import documented
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings
from isoglot.serve.workers import Workers


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Place of its text in the input.")
    embedding: list[float] | str = Field(description="Of length 1; as base64 it is little-endian float32.")


class Usage(BaseModel):
    """Tokens read, each distinct text once."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """The answer."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


def router(collections: list[Collection], workers: Workers, settings: ServeSettings) -> APIRouter:
    """The route, for those collections whose model can embed."""
    embedders = {entry.name: entry for entry in collections if entry.embed}
    Text = Annotated[str, Field(min_length=1, max_length=settings.input_characters)]
    Model = Literal[tuple(embedders)]  # type: ignore[valid-type]

    class EmbeddingsRequest(BaseModel):
        """Texts to turn into vectors."""

        model_config = ConfigDict(extra="forbid")

        # mypy takes a variable for no type; to pydantic it is one.
        model: Model = Field(  # type: ignore[valid-type]
            description="Name of a served index, whose model embeds."
        )
        input: Text | Annotated[list[Text], Field(min_length=1, max_length=settings.inputs)] = Field(
            description="A text, or several."
        )
        encoding_format: Literal["float", "base64"] = "float"
        input_type: Literal["query", "passage"] = Field(
            "passage", description="What the texts are, for models that prefix both differently; not in OpenAI's API."
        )
        user: str | None = Field(None, description="Taken for compatibility and ignored.")

    routes = APIRouter()

    @routes.post(
        "/v1/embeddings",
        summary="Turn texts into vectors",
        response_model=Embeddings,
        responses=documented(400, 408, 413, 414, 422, 503, 504),
    )
    async def embeddings(request: EmbeddingsRequest) -> JSONResponse:
        texts = [request.input] if isinstance(request.input, str) else request.input
        encoded = await workers.run(
            embedders[request.model].encode, [plain(text) for text in texts], request.input_type
        )
        vectors = encoded.vectors.astype("<f4", copy=False)
        as_text = request.encoding_format == "base64"
        data = [
            Embedding(
                index=place, embedding=base64.b64encode(vector.tobytes()).decode() if as_text else vector.tolist()
            )
            for place, vector in enumerate(np.ascontiguousarray(vectors))
        ]
        usage = Usage(prompt_tokens=encoded.tokens, total_tokens=encoded.tokens)
        # The models document the answer; validating thousands of numbers again would double its cost.
        return JSONResponse(Embeddings(data=data, model=request.model, usage=usage).model_dump())

    return routes
