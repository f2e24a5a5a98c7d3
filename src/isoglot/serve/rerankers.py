"""What the best of a search may be scored anew by: the tokens of an index's own model, or judges by name."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.encoders.judging import Judge
from isoglot.encoders.late_interaction import LATE
from isoglot.encoders.turns import turn
from isoglot.search.query_checks import check_offset
from isoglot.search.request import RERANKED
from isoglot.serve.served import UnavailableError

NOT_RERANKED = "none"  # in addresses
_log = logging.getLogger(__name__)


class ServedRerankers:
    """Those of a server.

    Args:
        judges: what scores pairs, by name; those called `late` or `none` are out of reach.
        late: whether an index's own model may compare tokens, too.

    Attributes:
        names: that requests may call them by.
    """

    def __init__(self, judges: Mapping[str, Judge], *, late: bool) -> None:
        self._judged = {name: Judged(name, judge) for name, judge in judges.items() if name not in (LATE, NOT_RERANKED)}
        self.names: tuple[str, ...] = (*((LATE,) if late else ()), *self._judged)

    def judge(self, name: str | None) -> Judge | None:
        """What has a name; None where it is `late`, or there is none."""
        return None if name is None else self._judged.get(name)

    def check(self, name: str, offset: int, k: int) -> None:
        """Refuse what is not there, and pages below what it looks at.

        Raises:
            InputError: says what there is.
        """
        if name not in self.names:
            known = f"there are: {', '.join(self.names)}" if self.names else "this server was started without any"
            raise InputError(f"rerank: there is no {name!r}; {known}")
        check_offset(offset, k, reach(k))


def reach(k: int) -> int:
    """How many of the best are scored anew where so many are wanted."""
    return max(k, RERANKED)


class Judged:
    """A judge as it is served: whatever goes wrong with it is said of it, and not of an index.

    Args:
        name: that requests call it by.
        judge: it.
    """

    def __init__(self, name: str, judge: Judge) -> None:
        self._name, self._judge = name, judge

    def predict(self, pairs: Sequence[tuple[str, str]], /) -> NDArray[np.float64]:
        """Scores (n,) of pairs.

        Raises:
            UnavailableError: it fails, or gives no single number for a pair; the server's log says why.
        """
        try:
            with turn(self._judge):
                found = np.asarray(self._judge.predict(pairs), np.float64)
        except Exception as error:
            _log.error("%s: %s", self._name, error)
            raise UnavailableError(f"the model {self._name!r} does not answer; see the server's messages") from error
        return checked_scores(self._name, found, len(pairs))


def checked_scores(name: str, scores: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The scores of so many texts.

    Raises:
        UnavailableError: they are no single number for each.
    """
    if scores.shape != (count,) or not np.isfinite(scores).all():
        raise UnavailableError(f"the model {name!r} gives no single number for a document; another one may")
    return scores
