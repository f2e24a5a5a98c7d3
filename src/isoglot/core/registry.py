"""Objects selected by name: built in, registered from Python, or provided by an installed package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from isoglot.core.errors import InputError

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects of one kind by name; built-in ones and those of packages are imported on first use.

    A name registered from Python takes precedence over a built-in one, and that over an entry point of the same name.

    Args:
        group: entry point group in which installed packages provide theirs, such as `isoglot.losses`.
        what: the kind, for messages, such as `loss`.
        built_in: `module:attribute` of each built-in name.

    Example:
        >>> shapes = Registry[type]("isoglot.shapes", "shape", {"ordered": "collections:OrderedDict"})
        >>> _ = shapes.register("plain", dict)
        >>> shapes.names()
        ('ordered', 'plain')
        >>> shapes.get("ordered").__name__
        'OrderedDict'
    """

    def __init__(self, group: str, what: str, built_in: dict[str, str] | None = None) -> None:
        self.group, self.what = group, what
        self._built_in = dict(built_in or {})
        self._registered: dict[str, T] = {}

    def register(self, name: str, value: T) -> T:
        """Register an object by name in this process, replacing an earlier one of that name.

        Raises:
            InputError: a name that cannot be used in a flag: empty, or with a space, a comma, `=` or `:`.
        """
        if not isinstance(name, str) or not name or any(sign in name for sign in " \t\n,=:"):
            raise InputError(f"{self.what} {name!r}: expected a name without spaces, commas, `=` and `:`")
        self._registered[name] = value
        return value

    @contextmanager
    def temporary(self) -> Iterator[None]:
        """On leaving the block, undo the registrations made in it; useful in tests."""
        before = dict(self._registered)
        try:
            yield
        finally:
            self._registered = before

    def names(self) -> tuple[str, ...]:
        """Return all known names, sorted, without importing the objects."""
        return tuple(sorted({*self._registered, *self._built_in, *self._offered()}))

    def origin(self, name: str) -> str:
        """Return where a name comes from: `registered`, `built in`, or the name of the distribution."""
        if name in self._registered:
            return "registered"
        if name in self._built_in:
            return "built in"
        offered = self._offered().get(name)
        return offered.dist.name if offered is not None and offered.dist is not None else "unknown"

    def __contains__(self, name: object) -> bool:
        return name in self._registered or name in self._built_in or name in self._offered()

    def get(self, name: str) -> T:
        """Return the object of a name.

        Raises:
            InputError: an unknown name (the message lists the known ones), or an entry point that cannot be imported.
        """
        if name in self._registered:
            return self._registered[name]
        if name in self._built_in:
            module, _, attribute = self._built_in[name].partition(":")
            found: T = getattr(import_module(module), attribute)
            return found
        point = self._offered().get(name)
        if point is None:
            raise InputError(f"no {self.what} named {name!r}; there are: {', '.join(self.names()) or 'none'}")
        try:
            loaded: T = point.load()
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"{self.what} {name!r}: entry point {point.value!r} of {self.group} cannot be imported ({error}); "
                f"reinstall or remove {self.origin(name)}"
            ) from error
        return loaded

    def _offered(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group)}
