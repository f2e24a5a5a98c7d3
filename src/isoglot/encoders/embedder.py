"""The interface to whatever turns texts into vectors: a model, an endpoint, a user's function."""

from __future__ import annotations

import sys
import unicodedata
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeGuard,
    Union,
    get_args,
    runtime_checkable,
)

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_choice, check_kind
from isoglot.core.errors import InputError
from isoglot.core.short_repr import brief

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Role = Literal["query", "passage"]
"""What a text is: models with prompts use different ones for queries and passages."""

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Maps texts to vectors: any function of this signature, an `Endpoint`, a `ModelEmbedder`, a `DevicePool`.

    It returns one row per text, (n, d): a NumPy array, nested lists or a torch tensor, with rows of any nonzero norm;
    `encode` checks the result and normalises the rows. It may be a coroutine function. Two optional attributes are
    used: `name`, for reports, and `batch_size`, the maximum number of texts per call.

    Example:
        >>> def embed(texts: list[str], role: str) -> list[list[float]]:
        ...     return [[len(text), role == "query"] for text in texts]
    """

    def __call__(self, texts: list[str], role: Role, /) -> Any:
        """Return vectors (n, d) of texts that are queries or passages."""
        ...


class Encoded(NamedTuple):
    """Unit vectors with statistics of the encoding.

    Attributes:
        vectors: (n, d) float32.
        texts: number of distinct texts among the n.
        tokens: of the distinct texts, after truncation; 0 if the embedder does not count them.
        seconds: wall time.
        length: maximum tokens per text; None if the embedder does not report it.
        was_cut: (n,) which texts were truncated; empty if the embedder does not report it.
    """

    vectors: Vectors
    texts: int
    tokens: int
    seconds: float
    length: int | None = None
    was_cut: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def __repr__(self) -> str:
        return brief(self)

    @property
    def cut(self) -> int:
        """Number of the n texts that were truncated."""
        return int(self.was_cut.sum())

    @property
    def cut_share(self) -> float:
        """Share of the n texts that were truncated, 0 to 1."""
        return self.cut / max(1, len(self.vectors))


@runtime_checkable
class Encoder(Protocol):
    """An embedder that also reports statistics: those that isoglot makes."""

    name: str
    device: str

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Return unit vectors, float32 (n, d)."""
        ...

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Return unit vectors with their statistics; `what` names the progress bar."""
        ...


Model: TypeAlias = Union["SentenceTransformer", Embedder]
"""What is accepted as an open model; `open_embedder` also takes names."""


def check_texts(name: str, texts: Any) -> None:
    """Check that `texts` is a list of texts; a single string is rejected, as its letters would be taken as texts.

    Args:
        name: of the argument.
        texts: its value.

    Raises:
        InputError: naming the wrong type or element.
    """
    check_kind(name, texts, (list, tuple), "a list of texts")
    odd = [text for text in texts if not isinstance(text, str)]
    if odd:
        raise InputError(f"{name}: contain {odd[0]!r}; expected only texts")


def check_asked(texts: Any, role: Any) -> None:
    """Check an encoder's input.

    Raises:
        InputError: not a list of texts, or an unknown role.
    """
    check_texts("texts", texts)
    check_role(role)


def check_role(role: Any) -> None:
    """Check that `role` is `query` or `passage`.

    Raises:
        InputError: it is neither.
    """
    check_choice("role", role, get_args(Role))


def is_transformer(model: object) -> TypeGuard[SentenceTransformer]:
    """Return whether `model` is a Sentence Transformer (imports nothing: if it is one, the library is loaded)."""
    library = sys.modules.get("sentence_transformers")
    return library is not None and isinstance(model, library.SentenceTransformer)


def name_of(model: object) -> str:
    """Return a model's name for reports: the name it was loaded by, its `name`, a function's name, or `model`."""
    if is_transformer(model):
        return str(getattr(model, "isoglot_name", None) or model.model_card_data.base_model or "model")
    found = getattr(model, "name", None) or getattr(model, "__name__", None)
    return found if isinstance(found, str) and found != "<lambda>" else "model"


def readable(text: str) -> str:
    r"""Return a text as every encoder gets it: in Unicode NFC, lone surrogates replaced.

    >>> readable("Zu\u0308rich") == "Zürich"
    True
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "replace").decode()
    return text
