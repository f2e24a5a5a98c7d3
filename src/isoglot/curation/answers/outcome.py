"""What came of asking a model: rows, and what gave none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from isoglot.core.brief import brief


@dataclass
class Outcome:
    """Counts of a run; `rejects` are what was asked, with the reason why it gave no row and what came back."""

    rows: int = 0
    rejects: list[dict[str, Any]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    __repr__ = brief
