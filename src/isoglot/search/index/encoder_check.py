"""The encoder of an index: its name, and whether another encoder gives the same vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoder, Model, Vectors, is_transformer, name_of
from isoglot.encoders.encoding import encode
from isoglot.encoders.endpoint import is_endpoint, refuse_unknown
from isoglot.encoders.functions import FunctionEmbedder
from isoglot.encoders.light import open_light
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.search.index.about import About

FUNCTION = "function:"  # prefix of the name of a model that cannot be opened by name
_PROBES = ["The mountain is 5,137 metres high.", "Der Fluss fließt nach Norden.", "北京是中国的首都。"]
_SAME = 0.995  # cosine; half and full precision of one encoder agree to .9999


def probe(model: Model, precision: str = "auto") -> Vectors:
    """Return vectors (3, d) of fixed passages: the encoder's fingerprint, independent of its folder."""
    return encode(model, _PROBES, "passage", precision=precision).vectors


def refuse_other(vectors: Vectors, recorded: Any, name: str | None, made_with: str) -> None:
    """Raise InputError if an encoder is not the one that an index was made with.

    Args:
        vectors: of `probe`.
        recorded: those of the index's encoder.
        name: of the encoder; None if it was given as an object.
        made_with: name of the index's encoder.

    Raises:
        InputError: another dimension, or other vectors for the same texts.
    """
    before = np.asarray(recorded, np.float32)
    given = "the model given" if name is None else f"model {name}"
    if vectors.shape != before.shape:
        raise InputError(
            f"{given}: gives vectors of {vectors.shape[1]} dimensions, but the index holds "
            f"{before.shape[1]} (made with {made_with}); name that model, or index again with this one"
        )
    if not is_same(vectors, before):
        raise InputError(
            f"{given}: not the encoder that the index was made with ({made_with}), its vectors differ; "
            "name that model, or index again with this one"
        )


def is_same(vectors: Vectors, recorded: Vectors) -> bool:
    """Return whether two results of `probe` are from the same encoder, up to its precision."""
    return vectors.shape == recorded.shape and float((vectors * recorded).sum(axis=1).min()) >= _SAME


def open_like(about: About, model: Model | str | None, options: ModelOptions, *, light: bool = False) -> Encoder:
    """Open the encoder of an index, or another one that must give the same vectors.

    Args:
        about: what the index records about its encoder.
        model: its folder or name, or an open model; the model named by the index when None.
        options: how to open it.
        light: open it without Sentence Transformers if that reproduces the index's vectors.

    Raises:
        InputError: it cannot be opened, or is not the one that the index was made with.
    """
    if model is None and about.model.startswith(FUNCTION):
        raise InputError(
            f"the index was made with a custom function, {about.model.removeprefix(FUNCTION)!r}; "
            "open it with that function as its model"
        )
    if model is None and not about.model:
        raise InputError("the index does not name the encoder of its vectors; give it as `model`")
    if model is None:
        refuse_unknown(about.model)
    chosen: Model | str = about.model if model is None else model
    if isinstance(chosen, str):
        options = options.filled(about.options)
    recorded = np.asarray(about.probe, np.float32)
    if light and isinstance(chosen, str) and recorded.size and not is_endpoint(chosen):
        quick = open_light(chosen, options)
        if quick is not None and is_same(probe(quick), recorded):
            return quick
    opened = open_embedder(chosen, options)
    refuse_unlike(about, opened, model if isinstance(model, str) else None)
    return opened


def refuse_unlike(about: About, encoder: Encoder, name: str | None = None) -> None:
    """Raise InputError if an open encoder is not that of an index, as far as the index records it.

    Args:
        about: what the index records about its encoder.
        encoder: any.
        name: of the encoder; None if it was given as an object.

    Raises:
        InputError: another dimension, or other vectors for the same texts.
    """
    vectors, recorded = probe(encoder), np.asarray(about.probe, np.float32)
    if recorded.size:
        refuse_other(vectors, recorded, name, about.model or "another model")
    elif vectors.shape[1] != about.dimension - about.in_context:
        raise InputError(
            f"{name or 'the model given'}: gives vectors of {vectors.shape[1]} dimensions, but the index holds "
            f"{about.dimension}; name the model that it was made with"
        )


def gives(about: About, encoder: Encoder) -> bool:
    """Return whether an open encoder is that of an index, as far as the index records it."""
    try:
        refuse_unlike(about, encoder)
    except InputError:
        return False
    return True


def index_name(model: Model) -> str:
    """Return the name under which an index records its encoder: one that opens it again, if there is one."""
    is_function = not is_transformer(model) and (isinstance(model, FunctionEmbedder) or not isinstance(model, Encoder))
    return f"{FUNCTION}{name_of(model)}" if is_function else name_of(model)
