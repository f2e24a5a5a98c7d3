"""Judges of pairs: what says how well a passage answers a query, to put the best of a search in another order."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isoglot.core.files import read_json
from isoglot.encoders.cross_encoder import load_cross_encoder
from isoglot.encoders.embedder import Embedder, Role
from isoglot.encoders.encoding import as_encoder
from isoglot.encoders.endpoint import PREFIX
from isoglot.encoders.loading import locate
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions

KEPT = 16_384  # vectors of an encoder that judges; 25 MB of 384 numbers


class Judge(Protocol):
    """Scores pairs of a query and a text, such as Sentence Transformers' `CrossEncoder`."""

    def predict(self, pairs: Any, /) -> Any:
        """Scores of pairs, shape (n,); higher is better."""
        ...


class CosineJudge:
    """An encoder as a judge: the cosine of a query and a passage. Threads may share one.

    So a newer or larger encoder has the last word on what an index of another one finds, and nothing is indexed again.

    Args:
        embed: any encoder.
        kept: how many vectors are remembered, those last needed: searches meet the same passages again.
    """

    def __init__(self, embed: Embedder, *, kept: int = KEPT) -> None:
        self._encoder, self._kept = as_encoder(embed), kept
        self._vectors: OrderedDict[tuple[Role, str], NDArray[np.float32]] = OrderedDict()
        self._changing = threading.Lock()

    def predict(self, pairs: Sequence[tuple[str, str]], /) -> NDArray[np.float32]:
        """Cosines (n,) of pairs of a query and a passage."""
        queries = self._of("query", [query for query, _ in pairs])
        passages = self._of("passage", [passage for _, passage in pairs])
        found: NDArray[np.float32] = np.einsum("ij,ij->i", queries, passages)
        return found

    def _of(self, role: Role, texts: list[str]) -> NDArray[np.float32]:
        distinct = [(role, text) for text in dict.fromkeys(texts)]
        with self._changing:
            found = {key: self._vectors[key] for key in distinct if key in self._vectors}
        new = [key for key in distinct if key not in found]
        if new:
            found |= zip(new, self._encoder([text for _, text in new], role), strict=True)
        with self._changing:
            for key in distinct:
                self._vectors[key] = found[key]
                self._vectors.move_to_end(key)
            while len(self._vectors) > self._kept:
                self._vectors.popitem(last=False)
        return np.array([found[role, text] for text in texts], np.float32)


def open_judge(name: str, *, device: str | None = None) -> Judge:
    """Open a cross-encoder, or an encoder, which judges by cosine.

    Args:
        name: a folder, a Hub id (`id` or `id@revision`), `embedded`, or `endpoint:URL#MODEL` (an encoder).
        device: such as `cpu` or `cuda`; chosen by torch when None.

    Raises:
        InputError: no such model, or one that neither embeds texts nor gives one score a pair.

    Example:
        With `encoder` as the folder of an encoder.

        >>> from isoglot.encoders import open_judge
        >>> judge = open_judge(encoder, device="cpu")
        >>> judge.predict([("Wie hoch ist der Ararat?", "Er ist 5137 m hoch."), ("?", "?")]).shape
        (2,)
    """
    if name.startswith(PREFIX):
        return CosineJudge(open_embedder(name))
    path, revision = locate(name, what="cross-encoder")
    if _embeds(path, revision):
        return CosineJudge(open_embedder(name, ModelOptions(device=device)))
    judge: Judge = load_cross_encoder(name, device=device)
    return judge


def _embeds(path: str, revision: str | None) -> bool:
    """Whether a model's own files say that it embeds texts: it has modules, and is not said to be a cross-encoder."""
    from sentence_transformers.util.file_io import load_file_path

    if load_file_path(path, "modules.json", revision=revision) is None:
        return False
    about = load_file_path(path, "config_sentence_transformers.json", revision=revision)
    if about is None:
        return True
    said = read_json(Path(about))
    return not isinstance(said, dict) or said.get("model_type", "SentenceTransformer") == "SentenceTransformer"
