"""Encode texts as unit vectors: duplicates once, without padding or sorted by length, in half precision if faster."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_whole
from isoglot.core.errors import InputError
from isoglot.encoders.batches import in_batches
from isoglot.encoders.devices import resolve_precision
from isoglot.encoders.embedder import (
    Encoded,
    Encoder,
    Model,
    Role,
    Vectors,
    check_asked,
    is_transformer,
    name_of,
    readable,
)
from isoglot.encoders.functions import FunctionEmbedder
from isoglot.encoders.loading import backbone_of, preset_of, prompt_of
from isoglot.encoders.model_locks import turn
from isoglot.encoders.options import LEAST

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from isoglot.encoders.token_vectors import TokenVectors, Vocabulary
    from isoglot.encoders.tokens import Tokens
    from isoglot.encoders.unpadded import Unpadded


def encode(
    model: Model,
    texts: list[str],
    role: Role,
    *,
    length: int | None = None,
    precision: str = "auto",
    what: str | None = None,
) -> Encoded:
    """Encode texts as queries or passages.

    Texts are normalised to Unicode NFC. A text's vector does not depend on the other texts of the call. Threads may
    share a model.

    Args:
        model: a Sentence Transformer, or any `Embedder`.
        texts: duplicates are encoded once.
        role: `query` or `passage`; a Sentence Transformer's prompt for that role is prepended to each text (Sentence
            Transformers names the passage prompt `document`).
        length: Sentence Transformers only: truncate to this many tokens (and to at most 256 times as many
            characters). None takes the model's preset (usually 192). Never exceeds the model's own maximum. The result
            says how many texts were truncated.
        precision: Sentence Transformers only: `auto`, `bf16`, `fp32` or, for BERT layers on a CPU, `int8`; vectors
            are float32 in any case.
        what: name of the progress bar.

    Raises:
        InputError: not an encoder, a length or precision that it does not support, or output that does not meet the
            contract of `Embedder`.

    Example:
        >>> encode(lambda texts, role: [[len(text), 0] for text in texts], ["a", "bb"], "query").vectors.tolist()
        [[1.0, 0.0], [1.0, 0.0]]
    """
    if is_transformer(model):
        return ModelEmbedder(model, length=length, precision=precision).encoded(texts, role, what=what)
    if length is not None:
        raise InputError(f"length {length}: {name_of(model)} truncates texts itself; leave it out")
    return as_encoder(model).encoded(texts, role, what=what)


def as_encoder(model: Model) -> Encoder:
    """Return any model or embedder as an `Encoder`, which yields unit vectors and their statistics.

    Raises:
        InputError: neither a model nor an embedder.
    """
    if is_transformer(model):
        return ModelEmbedder(model)
    if isinstance(model, Encoder):
        return model
    return FunctionEmbedder(model)


class ModelEmbedder:
    """A Sentence Transformer with its settings, as an embedder.

    Args:
        model: takes token ids; one opened by `isoglot.load` has a preset and prompts.
        name: shown in reports; the model's base when None.
        length: as in `encode`.
        precision: as in `encode`.

    Raises:
        InputError: not a Sentence Transformer, a precision that is not available here, or a length under 4 tokens.
    """

    def __init__(
        self, model: SentenceTransformer, *, name: str | None = None, length: int | None = None, precision: str = "auto"
    ) -> None:
        if not is_transformer(model):
            kind = type(model).__name__
            raise InputError(f"model: given as {kind}; expected a Sentence Transformer; open_embedder opens others")
        if length is not None:
            check_whole("length", length, LEAST, "tokens")
        self.model, self.name, self.device = model, name or name_of(model), str(model.device)
        self.length = encoding_length(model, length)
        self._precision = resolve_precision(precision, self.device)
        if self._precision == "int8" and not self._can_unpad():
            raise InputError(f"precision int8: {self.name} does not have BERT's layers; expected bf16, fp32 or auto")
        self._unpadded: Unpadded | None = None
        self._vocabulary: Vocabulary | None = None
        self._plain: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made again on first use: oneDNN's copies of the weights cannot be pickled."""
        return {**vars(self), "_unpadded": None, "_vocabulary": None, "_plain": None}

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Return unit vectors, float32 (n, d)."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Return unit vectors with their statistics.

        Raises:
            InputError: not a list of texts, an unknown role, or a model that does not take token ids.
        """
        from isoglot.encoders.tokens import tokenize

        check_asked(texts, role)
        model, name = self.model, what or role
        prompt = prompt_of(model, role)
        return encode_distinct(
            texts,
            lambda distinct: tokenize(
                model, distinct, prompt=prompt, length=self.length, role=role, what=name, notice=True
            ),
            self._batch_encoder(),
            what=name,
            device=self.device,
            length=self.length,
            width=model.truncate_dim,
            dimension=model.get_embedding_dimension() or 0,
        )

    def encoded_tokens(self, texts: list[str], role: Role, *, what: str | None = None) -> TokenVectors:
        """Return the vectors of the texts' tokens, as late interaction needs them.

        Raises:
            InputError: not a list of texts, an unknown role, or a model that does not take token ids or does not begin
                with a transformers encoder.
        """
        from isoglot.encoders.token_vectors import encode_tokens

        tokens, head, vocabulary = self._laid_out(texts, role, what)
        hidden_of = getattr(self._batch_encoder(), "token_vectors", self._padded_tokens)
        return encode_tokens(tokens, head, hidden_of, vocabulary, what=what or role, device=self.device)

    def encoded_with_tokens(
        self, texts: list[str], role: Role, *, what: str | None = None
    ) -> tuple[Vectors, TokenVectors]:
        """Return the texts' unit vectors (n, d) and their token vectors (with truncation flags), from one forward pass.

        Raises:
            InputError: as `encoded_tokens`.
        """
        from isoglot.encoders.token_vectors import encode_both

        tokens, head, vocabulary = self._laid_out(texts, role, what, notice=True)
        both = getattr(self._batch_encoder(), "both", self._padded_both)
        width = self.model.truncate_dim
        return encode_both(tokens, head, both, vocabulary, what=what or role, device=self.device, width=width)

    def _laid_out(
        self, texts: list[str], role: Role, what: str | None, *, notice: bool = False
    ) -> tuple[Tokens, list[int], Vocabulary]:
        """Return the texts' tokens, the ids that all texts begin with (the prompt), and the tokenizer's vocabulary."""
        from isoglot.encoders.token_vectors import Vocabulary
        from isoglot.encoders.tokens import tokenize

        check_asked(texts, role)
        backbone_of(self.model)
        model, prompt = self.model, prompt_of(self.model, role)
        if self._vocabulary is None:
            self._vocabulary = Vocabulary(self._plain_tokenizer(), getattr(model.tokenizer, "all_special_ids", ()))
        given = [readable(text) for text in texts]
        tokens = tokenize(model, given, prompt=prompt, length=self.length, role=role, what=what or role, notice=notice)
        head = tokenize(model, [""], prompt=prompt.rstrip(), length=self.length).ids.tolist() if prompt.strip() else []
        return tokens, head, self._vocabulary

    def encoded_within(self, texts: list[str], contexts: list[str], role: Role, *, what: str | None = None) -> Vectors:
        """Return unit vectors (n, d) of texts encoded as parts of their contexts (see `isoglot.encoders.in_context`).

        Contexts longer than the model's maximum length are encoded in several windows.

        Args:
            texts: any.
            contexts: one per text, containing it; a text that its context does not contain is encoded alone.
            role: of the texts.
            what: name of the progress bar.

        Raises:
            InputError: contexts and texts differ in number, an unknown role, a model without mean pooling, or one whose
                tokenizer does not report token offsets.
        """
        import torch

        from isoglot.encoders.tokens import beside_ids
        from isoglot.encoders.windows import laid_out, pooled_within, require_contexts

        check_asked(texts, role)
        require_contexts(texts, contexts)
        model, name, plain = self.model, what or role, self._plain_tokenizer()
        pooling = getattr(model[1], "pooling_mode", None) if len(model) > 1 else None
        if plain is None or pooling != "mean":
            raise InputError(
                f"passages in their context: {self.name} has no mean pooling, or no tokenizer with token offsets"
            )
        if not texts:
            return np.empty((0, model.get_embedding_dimension() or 0), np.float32)
        prompt = prompt_of(model, role)
        parts = laid_out(texts, contexts, plain.encode_batch, prompt, model.max_seq_length or 512)
        hidden_of = getattr(self._batch_encoder(), "token_vectors", self._padded_tokens)
        pooled = pooled_within(parts, hidden_of, what=name, device=self.device)
        with torch.inference_mode():
            vectors = pooled.to(self.device, next(model.parameters()).dtype)
            features = {"sentence_embedding": vectors, **beside_ids(model, prompt, self.length, role)}
            for module in list(model)[2:]:
                features = module(features)
            whole = features["sentence_embedding"].float()[:, : model.truncate_dim]
            found: Vectors = torch.nn.functional.normalize(whole).cpu().numpy()
        return found

    def _plain_tokenizer(self) -> Any:
        """Return a cached copy of the fast tokenizer without truncation and padding, or None if the model has none."""
        if self._plain is None:
            with turn(self.model):
                plain = copy.deepcopy(getattr(self.model.tokenizer, "backend_tokenizer", None))
            if plain is not None:
                plain.no_truncation()
                plain.no_padding()
            self._plain = plain
        return self._plain

    def _batch_encoder(self) -> Callable[[Tokens, NDArray[np.int64]], Tensor]:
        """Return the function that encodes a batch of texts, longest first: unpadded if the model supports it."""
        from isoglot.encoders.unpadded import Unpadded

        if self._unpadded is None or not self._unpadded.is_current():
            self.model.eval()
            self._unpadded = Unpadded(self.model, self._precision) if self._can_unpad() else None
        return self._unpadded or self._padded

    def _can_unpad(self) -> bool:
        from isoglot.encoders.unpadded import can_unpad

        return can_unpad(self.model)

    def _padded(self, tokens: Tokens, texts: NDArray[np.int64]) -> Tensor:
        found: Tensor = self._through(self.model, tokens, texts)["sentence_embedding"]
        return found

    def _padded_tokens(self, tokens: Tokens, texts: NDArray[np.int64]) -> Tensor:
        return self._end_to_end(self._through(self.model[0], tokens, texts))

    def _padded_both(self, tokens: Tokens, texts: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        features = self._through(self.model, tokens, texts)
        return self._end_to_end(features), features["sentence_embedding"]

    def _end_to_end(self, features: dict[str, Any]) -> Tensor:
        if "token_embeddings" not in features:
            raise InputError(f"{self.name}: its first module returns no token vectors")
        found: Tensor = features["token_embeddings"][features["attention_mask"].bool()]
        return found

    def _through(self, module: Any, tokens: Tokens, texts: NDArray[np.int64]) -> dict[str, Any]:
        import torch

        pad = getattr(self.model.tokenizer, "pad_token_id", None) or 0
        batch = tokens.batch(texts, pad)
        features = {key: value.to(self.device) if torch.is_tensor(value) else value for key, value in batch.items()}
        # Weights in float16 are half precision already, and no layer mixes them with bfloat16.
        cast = self._precision != "fp32" and next(self.model.parameters()).dtype != torch.float16
        with torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16, enabled=cast):
            found: dict[str, Any] = module(features)
        return found


def encode_distinct(
    texts: list[str],
    tokens_of: Callable[[list[str]], Tokens],
    vectors_of: Callable[[Tokens, NDArray[np.int64]], Tensor],
    *,
    what: str,
    device: str,
    length: int,
    dimension: int,
    width: int | None = None,
) -> Encoded:
    """Return the texts' vectors, encoding each distinct text once, in batches of similar length.

    Args:
        texts: any.
        tokens_of: the tokenizer; its result says which texts it truncated.
        vectors_of: maps some of the tokenised texts, given by index and longest first, to their vectors (n, d).
        what: name of the progress bar.
        device: that computes.
        length: maximum tokens per text.
        dimension: of the vectors, for the result's shape when there are no texts.
        width: dimensions kept; all when None.
    """
    import torch

    started = time.perf_counter()
    distinct, place = np.unique(np.array([*map(readable, texts)], dtype=object), return_inverse=True)
    tokens = tokens_of(distinct.tolist())
    vectors = np.empty((len(distinct), 0 if texts else dimension), dtype=np.float32)

    def take(chosen: NDArray[np.int64]) -> None:
        nonlocal vectors
        batch = torch.nn.functional.normalize(vectors_of(tokens, chosen).float()[:, :width])
        if not vectors.shape[1]:
            vectors = np.empty((len(distinct), batch.shape[1]), dtype=np.float32)
        vectors[chosen] = batch.cpu().numpy()

    in_batches(tokens, take, what=what, device=device)
    was_cut = np.zeros(0, np.bool_) if tokens.cut is None else tokens.cut[place]
    seconds = time.perf_counter() - started
    return Encoded(vectors[place], len(distinct), len(tokens.ids), seconds, length, was_cut)


def encoding_length(model: SentenceTransformer, length: int | None = None) -> int:
    """Return the maximum tokens per text, special ones included: `length` or the preset's, capped at the model's."""
    limit = length or preset_of(model).encode_length
    return min(limit, model.max_seq_length) if model.max_seq_length else limit
