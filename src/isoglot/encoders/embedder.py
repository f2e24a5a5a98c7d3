"""The one seam to whatever turns texts into vectors: a model, an endpoint, a function of one's own."""

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

from isoglot.core.arguments import check_kind
from isoglot.core.brief import brief
from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Role = Literal["query", "passage"]
"""What a text is: models with prompts put another one before a query than before a passage."""

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Texts to vectors: any function of this shape, an `Endpoint`, a `ModelEmbedder`, a `DevicePool`.

    Its answer has one row a text, (n, d): a NumPy array, nested lists or a torch tensor, of any length but zero;
    `encode` checks it and makes the rows unit vectors. It may be a coroutine function. Two attributes are read where
    there are any: `name`, for reports, and `batch_size`, the most texts that it is given at a time.

    Example:
        >>> def embed(texts: list[str], role: str) -> list[list[float]]:
        ...     return [[len(text), role == "query"] for text in texts]
    """

    def __call__(self, texts: list[str], role: Role, /) -> Any:
        """Vectors (n, d) of texts that are queries or passages."""
        ...


class Encoded(NamedTuple):
    """Unit vectors with what it took.

    Attributes:
        vectors: (n, d) float32.
        texts: distinct ones among the n.
        tokens: of the distinct texts, as far as they were kept; 0 where the embedder does not count them.
        seconds: wall time.
        length: tokens after which a text was cut; None where the embedder does not say.
        was_cut: (n,) which texts lost their end; none where the embedder does not say.
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
        """How many of the n texts were cut."""
        return int(self.was_cut.sum())

    @property
    def cut_share(self) -> float:
        """Share of the n texts that were cut, 0 to 1."""
        return self.cut / max(1, len(self.vectors))


@runtime_checkable
class Encoder(Protocol):
    """An embedder that says what it took: those that isoglot makes."""

    name: str
    device: str

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Unit vectors, float32 (n, d)."""
        ...

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Unit vectors with what they took; `what` names the progress bar."""
        ...


Model: TypeAlias = Union["SentenceTransformer", Embedder]
"""Whatever is taken as a model; by name there are more, see `open_embedder`."""


def check_texts(name: str, texts: Any) -> None:
    """Refuse what is no list of texts; one text is none, or each of its letters would be read by itself.

    Args:
        name: of the argument.
        texts: given.

    Raises:
        InputError: saying what it is, or holds.
    """
    check_kind(name, texts, (list, tuple), "a list of texts")
    odd = [text for text in texts if not isinstance(text, str)]
    if odd:
        raise InputError(f"{name}: hold {odd[0]!r}; expected texts alone")


def check_asked(texts: Any, role: Any) -> None:
    """Refuse what an encoder is not asked with.

    Raises:
        InputError: no list of texts, or no role.
    """
    check_texts("texts", texts)
    check_role(role)


def check_role(role: Any) -> None:
    """Refuse what texts and vectors cannot be.

    Raises:
        InputError: no role.
    """
    if role not in get_args(Role):
        raise InputError(f"role {role!r}: expected one of {', '.join(get_args(Role))}")


def is_transformer(model: object) -> TypeGuard[SentenceTransformer]:
    """Whether something is a Sentence Transformer (importing nothing: where there is one, the library is loaded)."""
    library = sys.modules.get("sentence_transformers")
    return library is not None and isinstance(model, library.SentenceTransformer)


def name_of(model: object) -> str:
    """What reports call a model: what it was loaded as, its `name`, a function's name, or `model`."""
    if is_transformer(model):
        return str(getattr(model, "isoglot_name", None) or model.model_card_data.base_model or "model")
    found = getattr(model, "name", None) or getattr(model, "__name__", None)
    return found if isinstance(found, str) and found != "<lambda>" else "model"


def readable(text: str) -> str:
    r"""A text as every encoder reads it: in Unicode's form NFC, half surrogate pairs replaced.

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
