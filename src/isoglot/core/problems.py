"""Collect the problems of an input file, so that one run reports all of them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.files import printable, shown

SHOWN = 20
_PARTICULARS = re.compile(r"'[^']*'|\([^()]*\)|[;:].*|(?<![\w-])\d+\b", re.DOTALL)


class Problems:
    """Problems of input files: all are counted, the first 20 are kept for the message, errors before warnings.

    Args:
        each: maximum number kept per file, so that one of many files does not hide the others.
    """

    def __init__(self, each: int = SHOWN) -> None:
        self.count = self.warned = 0
        self._lost: list[str] = []
        self._noted: list[str] = []
        self._each = each
        self._of: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Problems: {self.count}, notes {self.warned}>"

    def add(self, file: Path | str, line: int | None, message: str) -> None:
        """Record one problem at a file and (1-based) line."""
        self.count += 1
        self._keep(self._lost, file, line, message)

    def warn(self, file: Path | str, line: int | None, message: str) -> None:
        """Record something that was read, but perhaps not as intended."""
        self.warned += 1
        self._keep(self._noted, file, line, message)

    @property
    def shown(self) -> list[str]:
        """The first problems with their places, errors before warnings."""
        return [*self._lost, *self._noted][:SHOWN]

    def summary(self) -> str:
        """Return how often each kind of problem or warning occurred, without its particulars."""
        return "; ".join(f"{kind} {count}" for kind, count in self._kinds.most_common(6))

    @property
    def unshown(self) -> int:
        """Number of problems and warnings that are not in `shown`."""
        return self.count + self.warned - len(self.shown)

    def _keep(self, kept: list[str], file: Path | str, line: int | None, message: str) -> None:
        self._of[str(file)] += 1
        kind = _PARTICULARS.sub(lambda found: "…" if found[0].startswith("'") else "", message)
        self._kinds[" ".join(kind.split())[:60]] += 1
        if len(kept) < SHOWN and self._of[str(file)] <= self._each:
            place = shown(file) if line is None else f"{shown(file)}:{line}"
            kept.append(f"{printable(place)}: {printable(message)}")

    def raise_if_any(self, remedy: str) -> None:
        """Raise an error with all problems found so far.

        Raises:
            InputError: there was at least one problem.
        """
        if not self.count:
            return
        more = self.unshown
        lines = [f"{self.count} problem{'s' if self.count > 1 else ''} in the input:", *self.shown]
        if more:
            lines.append(f"... and {more} more")
        raise InputError("\n".join([*lines, remedy]))
