"""The layout of `--help`: re-wrapped texts, defaults as they would be typed, flags in groups."""

from __future__ import annotations

from typing import Any

from cyclopts import Group, Parameter
from cyclopts.help import DefaultFormatter

# Shown in this order, below the verb's own flags.
BENCHMARK = Group("Benchmark", sort_key=1)
SEARCH = Group("Search", sort_key=2)
TRAINING = Group("Training", sort_key=3)
LANGUAGE_MODEL = Group("Asking a language model", sort_key=5)
MODEL = Group("Opening the model", sort_key=6)
WORKERS = Group("Workers of a cluster", sort_key=7)
UPDATES = Group("Updates", sort_key=8)


def shown_default(value: Any) -> str | None:
    """Return a default as it would be typed, lists with commas; None if there is none, or for a switch that is off."""
    if value is None or value is False:
        return None
    return (",".join(map(str, value)) if isinstance(value, tuple) else str(value)) or None


DEFAULTS = Parameter(show_default=shown_default)


class HelpPage(DefaultFormatter):
    """The parser's own page, but with the docstrings' line breaks removed."""

    def __call__(self, console: Any, options: Any, panel: Any) -> None:
        """Print one group of flags."""
        for entry in panel.entries:
            _fill_lines(entry.description)
        super().__call__(console, options, panel)

    def render_description(self, console: Any, options: Any, description: Any) -> None:
        """Print what a verb does."""
        _fill_lines(description)
        super().render_description(console, options, description)


def _fill_lines(text: Any) -> None:
    plain = getattr(getattr(text, "primary_renderable", None), "plain", None)
    if plain:
        text.primary_renderable.plain = "\n\n".join(" ".join(part.split("\n")) for part in plain.split("\n\n"))
