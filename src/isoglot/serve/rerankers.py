"""Re-rankers for the top results of a search: the token vectors of an index's own model, or judges by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.encoders.judges import Judge
from isoglot.encoders.late_interaction import LATE
from isoglot.encoders.model_locks import turn
from isoglot.search.query_checks import check_offset
from isoglot.search.request import RERANKED
from isoglot.serve.served import UnavailableError

NOT_RERANKED = "none"  # in addresses
_log = logging.getLogger(__name__)


class ServedRerankers:
    """The re-rankers of a server.

    Args:
        judges: models that score (query, passage) pairs, by name; those called `late` or `none` are ignored.
        late: whether re-ranking by the token vectors of an index's own model is offered, too.

    Attributes:
        names: the names that requests may use.
    """

    def __init__(self, judges: Mapping[str, Judge], *, late: bool) -> None:
        self._judged = {name: Judged(name, judge) for name, judge in judges.items() if name not in (LATE, NOT_RERANKED)}
        self.names: tuple[str, ...] = (*((LATE,) if late else ()), *self._judged)

    def judge(self, name: str | None) -> Judge | None:
        """Return the judge of a name; None for `late`, None or an unknown name."""
        return None if name is None else self._judged.get(name)

    def check(self, name: str, offset: int, k: int) -> None:
        """Check that a re-ranker exists, and that the requested page is within the results that it scores.

        Raises:
            InputError: it does not, or is not; the message lists the re-rankers, or the limit.
        """
        if name not in self.names:
            known = f"there are: {', '.join(self.names)}" if self.names else "this server was started without any"
            raise InputError(f"rerank: there is no re-ranker {name!r}; {known}")
        check_offset(offset, k, reach(k))


def reach(k: int) -> int:
    """Return how many top results are re-ranked when k are requested."""
    return max(k, RERANKED)


class Judged:
    """A served judge, whose failures are reported under its own name rather than as the index's.

    Args:
        name: the name that requests use.
        judge: the judge.
    """

    def __init__(self, name: str, judge: Judge) -> None:
        self._name, self._judge = name, judge

    def predict(self, pairs: Sequence[tuple[str, str]], /) -> NDArray[np.float64]:
        """Return scores (n,) of (query, passage) pairs.

        Raises:
            UnavailableError: it fails (the server's log says why), or does not give one finite number per pair.
        """
        try:
            with turn(self._judge):
                found = np.asarray(self._judge.predict(pairs), np.float64)
        except Exception as error:
            _log.error("%s: %s", self._name, error)
            raise UnavailableError(f"the model {self._name!r} does not answer; see the server's messages") from error
        return checked_scores(self._name, found, len(pairs))


def checked_scores(name: str, scores: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the scores, after checking that they are `count` finite numbers.

    Raises:
        UnavailableError: they are not.
    """
    if scores.shape != (count,) or not np.isfinite(scores).all():
        raise UnavailableError(f"the model {name!r} does not give one finite number per document; use another model")
    return scores
