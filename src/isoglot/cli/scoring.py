"""How `isoglot evaluate` scores, and what it asks of each kind of source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.data.benchmarks.streamed import StreamedCorpus
    from isoglot.measuring.evaluation import Evaluation


@dataclass(frozen=True)
class Scoring:
    """How a model, vectors, a run or the searches of an index are scored.

    Attributes:
        relevant_from: the lowest grade that is relevant.
        debias: a correction of language bias.
        feedback: queries are drawn to their best passages.
        late: tokens are compared, too.
        in_context: candidates are read within their contexts, too.
        balanced: languages' levels come off the scores.
        trec_depth: passages a query in TREC runs, 0 for all; None where none are written.
        memory: bytes for a block of streamed passages and its scores.
        depth: passages kept for a query, where they are streamed or an index is searched.
    """

    relevant_from: float
    debias: Path | None
    feedback: bool
    late: bool
    in_context: bool
    balanced: bool
    trec_depth: int | None
    memory: int
    depth: int

    @property
    def wants_vectors(self) -> bool:
        """Whether a part of it is done to vectors or scores in memory."""
        others = self.feedback or self.late or self.in_context or self.balanced
        return self.trec_depth is not None or self.debias is not None or others


class ScoreSource(Protocol):
    """Where scores come from."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def check(self, how: Scoring, *, streamed: bool) -> None:
        """Refuse what cannot be, before the folder is claimed; `streamed`: whether passages are not in memory."""

    def score(self, data: Benchmark, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Every setting, and the device that was used; the folder may keep what else is made."""

    def score_streamed(self, data: StreamedCorpus, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """The same of passages that are not in memory."""

    def settings(self) -> dict[str, Any]:
        """What `run.json` says of it beside its name."""

    def checksums(self) -> dict[str, str]:
        """Checksums of its files, by what they are, for `run.json`."""
