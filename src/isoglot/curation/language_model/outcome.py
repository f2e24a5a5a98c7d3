"""The outcome of asking a model: number of rows, and rejected requests or answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from isoglot.core.short_repr import brief


@dataclass
class Outcome:
    """Counts of a run; `rejects` lists what gave no row, with the reason and the answer."""

    rows: int = 0
    rejects: list[dict[str, Any]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    __repr__ = brief
