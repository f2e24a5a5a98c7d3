"""Re-ranking models, opened on first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isoglot.encoders.embedder import Encoder
from isoglot.encoders.judges import Judge, open_judge
from isoglot.encoders.late_interaction import LATE, LateScorer, late_scorer
from isoglot.search.candidates import Candidate, reranked, reranked_late
from isoglot.search.index.protocol import Index
from isoglot.search.index.stored_tokens import KeepsTokens


class Rerankers:
    """Re-ranking models by name; each is opened once, whichever thread asks first."""

    def __init__(self) -> None:
        self._loaded: dict[str, Judge] = {}
        self._late: LateScorer | None = None
        self._loading = threading.Lock()

    def __call__(
        self,
        query: str,
        candidates: list[Candidate],
        *,
        model: str | Any,
        encoder: Callable[[], Encoder],
        drawn: bool = False,
        index: Index | None = None,
    ) -> list[Candidate]:
        """Return candidates sorted by a model's scores.

        Args:
            query: the query.
            candidates: in any order.
            model: what `open_judge` takes, a judge, or `late` for late interaction with the index's own model.
            encoder: opens the index's model.
            drawn: the query vector was moved by feedback.
            index: the candidates' index, which may store their token vectors.

        Raises:
            InputError: the model cannot be loaded, gives several scores per pair, or gives no token vectors.
        """
        if not candidates:
            return []
        if isinstance(model, (str, Path)) and str(model) == LATE:
            kept = index.tokens([one.passage.id for one in candidates]) if isinstance(index, KeepsTokens) else None
            return reranked_late(self._own_late(encoder), query, candidates, drawn=drawn, kept=kept)
        return reranked(self._opened(str(model)) if isinstance(model, (str, Path)) else model, query, candidates)

    def _opened(self, name: str) -> Judge:
        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = open_judge(name)
        return self._loaded[name]

    def _own_late(self, encoder: Callable[[], Encoder]) -> LateScorer:
        with self._loading:
            if self._late is None:
                self._late = late_scorer(encoder())
        return self._late
