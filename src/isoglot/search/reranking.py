"""Cross-encoders that score the best passages anew, opened at the first need."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from isoglot.encoders.cross_encoder import load_cross_encoder
from isoglot.search.candidates import Candidate, reranked

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class Rerankers:
    """Cross-encoders by name; each is loaded once, whichever thread asks first."""

    def __init__(self) -> None:
        self._loaded: dict[str, CrossEncoder] = {}
        self._loading = threading.Lock()

    def __call__(self, query: str, candidates: list[Candidate], *, model: str | Any) -> list[Candidate]:
        """Candidates in the order of a cross-encoder's scores.

        Args:
            query: as it was asked.
            candidates: any.
            model: folder, Hub id, or object with `predict`.

        Raises:
            InputError: it cannot be loaded, or gives several scores a pair.
        """
        if not candidates:
            return []
        return reranked(self._opened(model) if isinstance(model, str) else model, query, candidates)

    def _opened(self, name: str) -> CrossEncoder:
        with self._loading:
            if name not in self._loaded:
                self._loaded[name] = load_cross_encoder(name)
        return self._loaded[name]
