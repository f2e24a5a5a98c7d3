"""Models that score the best passages anew, opened at the first need."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from isoglot.encoders.judging import Judge, open_judge
from isoglot.search.candidates import Candidate, reranked


class Rerankers:
    """Judges by name; each is opened once, whichever thread asks first."""

    def __init__(self) -> None:
        self._loaded: dict[str, Judge] = {}
        self._loading = threading.Lock()

    def __call__(self, query: str, candidates: list[Candidate], *, model: str | Any) -> list[Candidate]:
        """Candidates in the order of a model's scores.

        Args:
            query: as it was asked.
            candidates: any.
            model: what `open_judge` takes, or a judge.

        Raises:
            InputError: it cannot be loaded, or gives several scores a pair.
        """
        if not candidates:
            return []
        return reranked(self._opened(str(model)) if isinstance(model, (str, Path)) else model, query, candidates)

    def _opened(self, name: str) -> Judge:
        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = open_judge(name)
        return self._loaded[name]
