"""Open any model, by name or as an object, as an encoder that returns unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.encoders.device_pool import DevicePool
from isoglot.encoders.devices import require_device
from isoglot.encoders.embedder import Encoder, Model, is_transformer, name_of
from isoglot.encoders.encoding import ModelEmbedder, as_encoder
from isoglot.encoders.endpoint import is_endpoint, open_endpoint
from isoglot.encoders.loading import load, quiet_libraries
from isoglot.encoders.model_names import locate
from isoglot.encoders.options import ModelOptions
from isoglot.encoders.workers import split_devices

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def open_embedder(
    model: Model | str | Path, options: ModelOptions | None = None, *, devices: str | Sequence[str | int] = ()
) -> Encoder:
    """Open a model once, for any number of texts.

    Args:
        model: what `isoglot.load` takes, `endpoint:URL#MODEL`, a Sentence Transformer, or any `Embedder`.
        options: settings for opening; those that do not apply to `model` are rejected (functions and endpoints ignore
            `precision`).
        devices: several, one process each (see `DevicePool`): `0,1` for CUDA devices, or `cpu,cpu`.

    Raises:
        InputError: no such model, or options that do not apply to it.

    Example:
        >>> embed = open_embedder("embedded")  # doctest: +SKIP
        >>> embed(["Wie hoch ist der Ararat?"], "query").shape  # doctest: +SKIP
        (1, 384)
    """
    if options is not None:
        check_kind("options", options, ModelOptions, "a ModelOptions of isoglot.encoders")
    model = str(model) if isinstance(model, Path) else model
    options, places = options or ModelOptions(), split_devices(devices)
    elsewhere = isinstance(model, str) and is_endpoint(model)
    if not elsewhere and (isinstance(model, str) or is_transformer(model)):
        return _opened_here(model, options, places)
    if places:
        raise InputError(f"devices {', '.join(places)}: only models that are opened here take several; leave it out")
    _refuse(options, "an endpoint decides" if elsewhere else "a function decides", but=("precision",))
    return open_endpoint(model) if isinstance(model, str) else as_encoder(model)


def _opened_here(model: SentenceTransformer | str, options: ModelOptions, places: tuple[str, ...]) -> Encoder:
    """Return a Sentence Transformer, given by name or open, in this process or in one process per device."""
    if places and options.device is not None:
        raise InputError(f"device {options.device}: `devices` were given too; give one or the other")
    if len(places) > 1:
        if isinstance(model, str):
            locate(model)  # reject an unknown name here rather than in every process
        name = model if isinstance(model, str) else name_of(model)
        return DevicePool(partial(open_on, model, options), places, name=name)
    if places:
        require_device(places[0], "devices")
        options = replace(options, device=places[0])
    if isinstance(model, str):
        loaded = load(model, device=options.device, **options.arguments())
        return ModelEmbedder(loaded, name=model, length=options.length, precision=options.precision)
    _refuse(options, "a model that is open already decides", but=("length", "precision"))
    return ModelEmbedder(model, length=options.length, precision=options.precision)


def open_on(model: SentenceTransformer | str, options: ModelOptions, device: str | None) -> Encoder:
    """Open a model in a worker process, by name or from the copy that was sent along."""
    require_device(device, "devices")
    if isinstance(model, str):
        quiet_libraries()
        return open_embedder(model, replace(options, device=device))
    return open_embedder(model.to(device), options)


def _refuse(options: ModelOptions, why: str, *, but: Sequence[str]) -> None:
    """Reject options, other than those in `but`, that do not apply to the model."""
    plain = ModelOptions()
    given = [name for name in vars(plain) if name not in but and getattr(options, name) != getattr(plain, name)]
    if given:
        raise InputError(f"{given[0]} {getattr(options, given[0])}: {why} that by itself; leave it out")
