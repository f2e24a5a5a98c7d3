"""`/v1/embeddings` and `/v1/models` in OpenAI's format, so that clients of that API can use the served models."""

import base64
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

import numpy as np
from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, WithJsonSchema, field_validator, model_validator

from isoglot.encoders.embedder import Encoded, Role
from isoglot.encoders.encoder_process import EncoderProcess
from isoglot.serve.cleaning import plain
from isoglot.serve.json_response import json_of
from isoglot.serve.model_facts import TokenIdsError, shortened
from isoglot.serve.openai_errors import documented, openai_error
from isoglot.serve.openapi_values import Listed
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings
from isoglot.serve.workers import Workers


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Position of its text in the input, from 0.")
    embedding: list[float] | str = Field(description="Its norm is 1; in base64 it is little-endian float32.")


class Usage(BaseModel):
    """Number of tokens encoded, each distinct text counted once."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """The response."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class ServedModel(BaseModel):
    """A model that serves embeddings."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(description="Start time of the server, in seconds since 1970.")
    owned_by: Literal["isoglot"] = "isoglot"


class ServedModels(BaseModel):
    """All models that serve embeddings."""

    object: Literal["list"] = "list"
    data: list[ServedModel]


_TEXTS_WANTED = (
    "input: these are token ids, which mean nothing without the tokenizer that made them; send texts "
    "(check_embedding_ctx_length=False in LangChain), or, where the served model's own tokenizer made them, add "
    '"tokenizer": "model" to the request'
)


def router(collections: list[Collection], workers: Workers, settings: ServeSettings) -> APIRouter:
    """Return the routes, for the collections whose model serves embeddings."""
    embedders = {entry.name: entry for entry in collections if entry.embed}
    named = ", ".join(embedders)
    started = int(time.time())
    Text = Annotated[str, Field(min_length=1, max_length=settings.input_characters)]

    for entry in embedders.values():
        if isinstance(entry.embed, EncoderProcess):
            entry.sizes()  # now: the OpenAPI document lists them, and building it blocks the event loop

    Dimensions = Annotated[
        int, Listed(lambda: sorted({size for entry in embedders.values() for size in entry.sizes()}), kind="integer")
    ]
    Model = Annotated[str, WithJsonSchema({"type": "string", "enum": list(embedders)})]

    class EmbeddingsRequest(BaseModel):
        """Texts to turn into vectors."""

        model_config = ConfigDict(extra="forbid")

        model: Model = Field(description="Name of a served index; its model encodes the texts.")
        input: Text | Annotated[list[Text], Field(min_length=1, max_length=settings.inputs)] = Field(
            description="A text or a list of texts, or token ids of the model's own tokenizer (see `tokenizer`)."
        )
        dimensions: Dimensions | None = Field(
            None, description="Default: the model's own. Fewer only if it is trained for that (Matryoshka)."
        )
        encoding_format: Literal["float", "base64"] | None = Field("float", description="Format of the vectors.")
        input_type: Literal["query", "passage"] | None = Field(
            "passage", description="For models with different prefixes for queries and passages; not in OpenAI's API."
        )
        tokenizer: Literal["model"] | None = Field(
            None, description="Set it if input is token ids of the model's own tokenizer; not in OpenAI's API."
        )
        user: str | None = Field(None, description="Accepted for compatibility, but ignored.")
        _token_ids: list[list[int]] | None = PrivateAttr(None)

        @field_validator("model")
        @classmethod
        def _known(cls, name: str) -> str:
            if name not in embedders:
                raise ValueError(f"there is no model {plain(name)[:80]!r} here; there are: {named}")
            return name

        @model_validator(mode="wrap")
        @classmethod
        def _read(cls, request: Any, read: Callable[[Any], Self]) -> Self:
            if not isinstance(request, dict) or not _are_token_ids(request.get("input")):
                return read(request)
            if request.get("tokenizer") != "model":
                raise ValueError(_TEXTS_WANTED)
            given = request["input"]
            lists = [given] if isinstance(given[0], int) else given
            made = read({**request, "input": ["-"] * len(lists)})  # placeholders until the model decodes the ids
            made._token_ids = lists
            return made

        async def texts(self) -> list[str]:
            """Return the texts, decoded from token ids if need be; not in validation, which blocks the event loop."""
            if self._token_ids is None:
                return [self.input] if isinstance(self.input, str) else self.input
            texts = await workers.run(embedders[self.model].decode, self._token_ids)
            for text in texts:
                if not 1 <= len(text) <= settings.input_characters:
                    raise TokenIdsError(
                        f"input: token ids of {len(text)} characters; expected 1 to {settings.input_characters}"
                    )
            return texts

    routes = APIRouter()

    @routes.get(
        "/v1/models",
        summary="List the models for embeddings",
        response_model=ServedModels,
        responses=documented(400, 408, 413, 414),
    )
    async def models() -> Response:
        data = [ServedModel(id=name, created=started) for name in embedders]
        return json_of(ServedModels(data=data))

    @routes.get(
        "/v1/models/{name}",
        summary="Get one model for embeddings",
        response_model=ServedModel,
        responses=documented(400, 404, 408, 413, 414),
    )
    async def model(name: Annotated[str, Path(description="Id of a model, as listed by /v1/models.")]) -> Response:
        if name not in embedders:
            return openai_error(404, f"there is no model {plain(name)[:80]!r} here; there are: {named}", param="model")
        return json_of(ServedModel(id=name, created=started))

    @routes.post(
        "/v1/embeddings",
        summary="Turn texts into vectors",
        response_model=Embeddings,
        responses=documented(400, 408, 413, 414, 422, 503, 504),
    )
    async def embeddings(request: EmbeddingsRequest) -> Response:
        role: Role = "query" if request.input_type == "query" else "passage"
        entry = embedders[request.model]
        if request.dimensions is not None:
            known = await workers.run(entry.sizes)
            if request.dimensions not in known:
                there = f"1 to {known[-1]}" if len(known) == known[-1] > 1 else ", ".join(map(str, known))
                said = f"dimensions: the vectors of {request.model!r} have {there}, not {request.dimensions}"
                return openai_error(422, said, param="dimensions")
        try:
            texts = await request.texts()
        except TokenIdsError as error:
            return openai_error(422, str(error), param="input")
        encoded = await workers.run(entry.encode, [plain(text) for text in texts], role)
        answer = _embeddings(encoded, request.model, request.dimensions, as_text=request.encoding_format == "base64")
        # `response_model` only documents the response: validating thousands of numbers again would double the cost.
        return json_of(answer)

    return routes


def _embeddings(encoded: Encoded, model: str, dimensions: int | None, *, as_text: bool) -> Embeddings:
    """Return the response: vectors truncated to `dimensions` unless None, and in base64 if `as_text`."""
    vectors = encoded.vectors.astype("<f4", copy=False)
    if dimensions is not None:
        vectors = shortened(vectors, dimensions)
    data = [
        Embedding(index=place, embedding=base64.b64encode(vector.tobytes()).decode() if as_text else vector.tolist())
        for place, vector in enumerate(np.ascontiguousarray(vectors))
    ]
    usage = Usage(prompt_tokens=encoded.tokens, total_tokens=encoded.tokens)
    return Embeddings(data=data, model=model, usage=usage)


def _are_token_ids(given: Any) -> bool:
    """Whether an input is a list of token ids, or of lists of them, instead of texts."""
    return _are_numbers(given) or (isinstance(given, list) and bool(given) and all(map(_are_numbers, given)))


def _are_numbers(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(number) is int for number in given)
