"""Texts to unit vectors: each distinct text once, sorted by length, in half precision where that is fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.progress import Progress
from isoglot.encoders.devices import resolve_precision
from isoglot.encoders.loading import preset_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Role = Literal["query", "document"]
Embed = Callable[[list[str], str], NDArray[np.float32]]
LEAST = 4  # tokens of a text: the special ones and something between them
_TOKENS_A_BATCH = 4096


class Encoded(NamedTuple):
    """Unit vectors (n, d) float32, with what it took: distinct texts, their tokens, seconds."""

    vectors: NDArray[np.float32]
    texts: int
    tokens: int
    seconds: float


def encode(
    model: SentenceTransformer,
    texts: list[str],
    role: Role,
    *,
    length: int | None = None,
    precision: str = "auto",
    what: str | None = None,
) -> Encoded:
    """Encode texts with the model's prompt for their role.

    Args:
        model: a Sentence Transformer with prompts `query` and `document`.
        texts: equal ones are encoded once.
        role: `query` or `document`.
        length: cut after this many tokens (and never later than 256 times as many characters); the backbone's preset
            (usually 192) when None, never over the model's own.
        precision: `auto`, `bf16` or `fp32`; vectors are float32 in any case.
        what: name of the progress bar.

    Raises:
        InputError: not a token encoder, an unknown precision, or fewer than 4 tokens.
    """
    import torch

    from isoglot.encoders.tokens import tokenize

    if length is not None and length < LEAST:
        raise InputError(f"--length {length}: expected at least {LEAST}")
    started = time.perf_counter()
    limit = length or preset_of(model).encode_length
    if model.max_seq_length:
        limit = min(limit, model.max_seq_length)
    distinct, place = np.unique(np.array(texts, dtype=object), return_inverse=True)
    tokens = tokenize(model, distinct.tolist(), prompt=model.prompts.get(role), length=limit, what=what or role)
    lengths = np.diff(tokens.offsets)
    order = np.argsort(-lengths, kind="stable")
    device = str(model.device)
    half = resolve_precision(precision, device) == "bf16"
    pad = getattr(model.tokenizer, "pad_token_id", None) or 0
    vectors = np.empty((len(distinct), 0), dtype=np.float32)
    model.eval()
    with (
        Progress(f"encoding {what or role}", len(distinct)) as progress,
        torch.inference_mode(),
        torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=half),
    ):
        start = 0
        while start < len(order):
            size = max(1, _TOKENS_A_BATCH * (8 if device.startswith("cuda") else 1) // int(lengths[order[start]]))
            chosen = order[start : start + size]
            features = {key: value.to(device) for key, value in tokens.batch(chosen, pad).items()}
            batch = torch.nn.functional.normalize(model(features)["sentence_embedding"].float())
            if not vectors.shape[1]:
                vectors = np.empty((len(distinct), batch.shape[1]), dtype=np.float32)
            vectors[chosen] = batch.cpu().numpy()
            start += len(chosen)
            progress.advance(len(chosen))
    return Encoded(vectors[place], len(distinct), int(lengths.sum()), time.perf_counter() - started)


def open_embedder(name: str, *, length: int | None = None, precision: str = "auto", processes: int = 1) -> Embed:
    """Load a model and give the function from (texts, `query` or `passage`) to unit vectors, float32 (n, d).

    Args:
        name: what `isoglot.load` takes.
        length: as in `encode`.
        precision: as in `encode`.
        processes: how many such functions share this machine's cores (and GPUs).
    """
    import os

    import torch

    from isoglot.encoders.loading import load, quiet_libraries

    quiet_libraries()
    device: str | None = None
    if processes > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
        if torch.cuda.is_available():
            device = f"cuda:{os.getpid() % torch.cuda.device_count()}"
    model = load(name, device=device)

    def embed(texts: list[str], role: str) -> NDArray[np.float32]:
        kind: Role = "query" if role == "query" else "document"
        return encode(model, texts, kind, length=length, precision=precision).vectors

    return embed
