"""The encoders of served indexes: one that computes here has a process of its own, and equal ones are one."""

from __future__ import annotations

from functools import partial
from weakref import WeakValueDictionary

from isoglot.encoders.apart import Apart
from isoglot.encoders.embedder import Encoder
from isoglot.encoders.endpoint import is_endpoint
from isoglot.encoders.options import ModelOptions
from isoglot.search.index.about import About
from isoglot.search.index.encoder_check import gives, open_like


class SharedEncoders:
    """Encoders of indexes, each of which is shared by all that have the same one.

    Args:
        options: how they are opened, where not as the index says.
    """

    def __init__(self, options: ModelOptions) -> None:
        self._options = options
        # Those that no index is served with any more end.
        self._open: WeakValueDictionary[tuple[str, ModelOptions], Encoder] = WeakValueDictionary()

    def of(self, model: str | None, about: About) -> Encoder:
        """The encoder of an index.

        Args:
            model: where it lies; what the index names when None.
            about: what the index says about it.

        Raises:
            InputError: it cannot be opened, or is not the one that the index was made with.
        """
        name, options = model or about.model, self._options.filled(about.options)
        found = self._open.get((name, options))
        if found is None or not gives(about, found):  # another model may lie where one was
            self._open[name, options] = found = open_apart(about, name, options)
        return found

    def close(self) -> None:
        """End the processes of all."""
        for encoder in list(self._open.values()):
            getattr(encoder, "close", lambda: None)()


def open_apart(about: About, name: str, options: ModelOptions) -> Encoder:
    """Open an index's encoder: in a process of its own, where it is not behind an address.

    Raises:
        InputError: it cannot be opened, or is not the one that the index was made with.
    """
    opener = partial(open_like, about, name, options, light=True)
    return opener() if is_endpoint(name) else Apart(opener)
