"""From whatever names or is a model to an encoder that gives unit vectors."""

from __future__ import annotations

from dataclasses import replace

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoder, Model, is_transformer
from isoglot.encoders.encoding import ModelEmbedder, as_encoder
from isoglot.encoders.endpoint import PREFIX, open_endpoint
from isoglot.encoders.loading import load
from isoglot.encoders.options import ModelOptions


def open_embedder(model: Model | str, options: ModelOptions | None = None) -> Encoder:
    """Open a model, once, for any number of texts.

    Args:
        model: what `isoglot.load` takes, `endpoint:URL#MODEL`, a Sentence Transformer, or any `Embedder`.
        options: how; those that do not apply to what is given are refused.

    Raises:
        InputError: no such model, or options that it cannot follow.

    Example:
        >>> embed = open_embedder("embedded")  # doctest: +SKIP
        >>> embed(["Wie hoch ist der Ararat?"], "query").shape  # doctest: +SKIP
        (1, 384)
    """
    chosen = options or ModelOptions()
    if isinstance(model, str) and not model.startswith(PREFIX):
        loaded = load(
            model,
            device=chosen.device,
            dtype=chosen.dtype,
            trust_remote_code=chosen.trust_remote_code,
            revision=chosen.revision,
            prompts=chosen.prompts,
        )
        return ModelEmbedder(loaded, name=model, length=chosen.length, precision=chosen.precision)
    if not isinstance(model, str) and is_transformer(model):
        _refuse(replace(chosen, length=None, precision="auto"), "a model that is open already")
        return ModelEmbedder(model, length=chosen.length, precision=chosen.precision)
    _refuse(replace(chosen, precision="auto"), f"{model} decides" if isinstance(model, str) else "a function decides")
    return open_endpoint(model) if isinstance(model, str) else as_encoder(model)


def _refuse(options: ModelOptions, why: str) -> None:
    """Stop where options were given that what is given cannot follow."""
    plain = ModelOptions()
    given = [name for name in vars(plain) if getattr(options, name) != getattr(plain, name)]
    if given:
        raise InputError(f"{', '.join(given)}: {why} that by itself; leave it out")
