"""The encoders of served indexes: a local one runs in its own process, and indexes with the same one share it."""

from __future__ import annotations

from functools import partial
from weakref import WeakValueDictionary

from isoglot.encoders.embedder import Encoder
from isoglot.encoders.encoder_process import EncoderProcess
from isoglot.encoders.endpoint import is_endpoint, refuse_unknown
from isoglot.encoders.options import ModelOptions
from isoglot.search.index.about import About
from isoglot.search.index.encoder_check import gives, open_like


class SharedEncoders:
    """Opens encoders of indexes; those with the same model and options share one.

    Args:
        options: options that override those recorded in the index.
    """

    def __init__(self, options: ModelOptions) -> None:
        self._options = options
        # Weak references: an encoder that no served index uses any more is closed.
        self._open: WeakValueDictionary[tuple[str, ModelOptions], Encoder] = WeakValueDictionary()

    def of(self, model: str | None, about: About) -> Encoder:
        """Return the encoder of an index.

        Args:
            model: name or path of the model; None for the one that the index names.
            about: what the index recorded about its encoder.

        Raises:
            InputError: it cannot be opened, or is not the one that the index was built with.
        """
        if model is None:
            refuse_unknown(about.model)
        name, options = model or about.model, self._options.filled(about.options)
        found = self._open.get((name, options))
        if found is None or not gives(about, found):  # the model at this path may have been replaced
            self._open[name, options] = found = open_apart(about, name, options)
        return found

    def close(self) -> None:
        """Close all encoders, which ends their processes."""
        for encoder in list(self._open.values()):
            getattr(encoder, "close", lambda: None)()


def open_apart(about: About, name: str, options: ModelOptions) -> Encoder:
    """Open an index's encoder, in a separate process unless it is a remote endpoint.

    Raises:
        InputError: it cannot be opened, or is not the one that the index was built with.
    """
    opener = partial(open_like, about, name, options, light=True)
    return opener() if is_endpoint(name) else EncoderProcess(opener)
