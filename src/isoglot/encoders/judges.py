"""Judges, which score how well a passage answers a query, in order to re-rank the top of a search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.core.lru_cache import Recent
from isoglot.encoders.cross_encoder import load_cross_encoder
from isoglot.encoders.embedder import Model, Role, check_texts
from isoglot.encoders.encoding import as_encoder
from isoglot.encoders.endpoint import is_endpoint
from isoglot.encoders.late_interaction import LATE, LateInteraction, mixed
from isoglot.encoders.late_interaction import PREFIX as LATE_PREFIX
from isoglot.encoders.model_names import locate
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions

KEPT = 16_384  # cached vectors of an encoder used as a judge; 25 MB at 384 dimensions


class Judge(Protocol):
    """Scores pairs of a query and a text, such as Sentence Transformers' `CrossEncoder`."""

    def predict(self, pairs: Any, /) -> Any:
        """Return scores of pairs, shape (n,); higher is better."""
        ...


class CosineJudge:
    """An encoder as a judge: the cosine of a query and a passage. Threads may share one.

    With it a newer or larger encoder re-ranks what the index of another one finds, without indexing again.

    Args:
        embed: any encoder.
        kept: size of the cache of the last used vectors; searches often meet the same passages again.
    """

    def __init__(self, embed: Model, *, kept: int = KEPT) -> None:
        self._encoder = as_encoder(embed)
        self._vectors = Recent[tuple[Role, str], NDArray[np.float32]](kept)

    def predict(self, pairs: Sequence[tuple[str, str]], /) -> NDArray[np.float32]:
        """Return cosines (n,) of pairs of a query and a passage.

        Raises:
            InputError: not pairs of texts.
        """
        if not _checked(pairs):
            return np.empty(0, np.float32)
        queries = self._of("query", [query for query, _ in pairs])
        passages = self._of("passage", [passage for _, passage in pairs])
        found: NDArray[np.float32] = np.einsum("ij,ij->i", queries, passages)
        return found

    def _of(self, role: Role, texts: list[str]) -> NDArray[np.float32]:
        kept = {text: self._vectors.get((role, text)) for text in texts}
        found = {text: vector for text, vector in kept.items() if vector is not None}
        new = [text for text in kept if text not in found]
        if new:
            for text, vector in zip(new, self._encoder(new, role), strict=True):
                found[text] = self._vectors[role, text] = vector.copy()  # a view would keep the whole batch's array
        return np.array([found[text] for text in texts], np.float32)


class LateJudge:
    """An encoder as a judge that also compares tokens: a mix of cosine and late interaction. Threads may share one.

    Args:
        encoder: one that returns token vectors: a Sentence Transformer, or one opened by `open_embedder`.

    Raises:
        InputError: the encoder returns vectors of whole texts only.
    """

    def __init__(self, encoder: Model) -> None:
        opened = as_encoder(encoder)
        self._tokens, self._whole = LateInteraction(opened), CosineJudge(opened)

    def predict(self, pairs: Sequence[tuple[str, str]], /) -> NDArray[np.float32]:
        """Return scores (n,) of pairs of a query and a passage.

        Raises:
            InputError: not pairs of texts.
        """
        late = np.empty(len(_checked(pairs)), np.float32)
        for query in dict.fromkeys(query for query, _ in pairs):
            own = [place for place, pair in enumerate(pairs) if pair[0] == query]
            late[own] = self._tokens.late(query, [pairs[place][1] for place in own])
        return mixed(self._whole.predict(pairs), late)


def open_judge(name: str | Path, *, device: str | None = None) -> Judge:
    """Open a cross-encoder, or an encoder that judges by cosine or by late interaction.

    Args:
        name: a folder, a Hub id (`id` or `id@revision`), `embedded`, or `endpoint:URL#MODEL` (an encoder);
            `late:MODEL` is an encoder's late interaction (see `isoglot.encoders.late_interaction`).
        device: such as `cpu` or `cuda`; chosen by torch when None.

    Raises:
        InputError: no such model, or one that neither embeds texts nor returns one score per pair.

    Example:
        `encoder` is the folder of an encoder.

        >>> from isoglot.encoders import open_judge
        >>> judge = open_judge(encoder, device="cpu")
        >>> judge.predict([("Wie hoch ist der Ararat?", "Er ist 5137 m hoch."), ("?", "?")]).shape
        (2,)
    """
    check_kind("model", name, (str, Path), "a folder, a Hub id, or `late:MODEL`")
    name = str(name)
    if is_endpoint(name):
        return CosineJudge(open_embedder(name))
    if name.rstrip(":") == LATE:
        raise InputError(f"{name}: `late` without a model is only for searches in an index; give `late:MODEL`")
    if name.startswith(LATE_PREFIX):
        inner = name.removeprefix(LATE_PREFIX)
        return LateJudge(open_embedder(inner, None if is_endpoint(inner) else ModelOptions(device=device)))
    path, revision = locate(name, what="cross-encoder")
    if _embeds(path, revision):
        return CosineJudge(open_embedder(name, ModelOptions(device=device)))
    judge: Judge = load_cross_encoder(name, device=device)
    return judge


def _checked(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return `pairs` unchanged if each is a query and a passage.

    Raises:
        InputError: they are not.
    """
    check_kind("pairs", pairs, (list, tuple), "a list of pairs of a query and a passage")
    for pair in pairs:
        check_kind("pairs: one of them", pair, (list, tuple), "a query and a passage")
        if len(pair) != 2:
            raise InputError(f"pairs: one of them has {len(pair)} texts; expected a query and a passage")
        check_texts("pairs: one of them", pair)
    return pairs


def _embeds(path: str, revision: str | None) -> bool:
    """Return whether a model's files say that it embeds texts: modules.json exists, and it is not a cross-encoder."""
    from sentence_transformers.util.file_io import load_file_path

    if load_file_path(path, "modules.json", revision=revision) is None:
        return False
    about = load_file_path(path, "config_sentence_transformers.json", revision=revision)
    if about is None:
        return True
    said = read_json(Path(about))
    return not isinstance(said, dict) or said.get("model_type", "SentenceTransformer") == "SentenceTransformer"
