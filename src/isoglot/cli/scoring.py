"""The settings of `isoglot evaluate`'s scoring, and the protocol of the sources that it scores."""

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
        relevant_from: the lowest relevant grade.
        debias: file of a correction of language bias.
        feedback: pseudo-relevance feedback: query vectors are moved towards their best passages.
        late: token vectors are compared, too (late interaction).
        in_context: candidates are also encoded within their contexts.
        balanced: each language's score level is subtracted from the scores.
        trec_depth: passages per query in TREC runs, 0 for all; None to write no runs.
        memory: bytes for a block of streamed passages and its scores.
        depth: passages kept per query, when they are streamed or an index is searched.
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
        """Whether a setting needs vectors, or scores in memory."""
        others = self.feedback or self.late or self.in_context or self.balanced
        return self.trec_depth is not None or self.debias is not None or others


class ScoreSource(Protocol):
    """A source of scores: a model, vectors, a run or an index."""

    @property
    def name(self) -> str:
        """Its name in reports."""

    def check(self, how: Scoring, *, streamed: bool) -> None:
        """Reject settings that do not apply, before the folder is claimed; `streamed`: passages are not in memory."""

    def score(self, data: Benchmark, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Score all retrieval settings; also return the device. Further files may be written to the folder."""

    def score_streamed(self, data: StreamedCorpus, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """As `score`, for passages that are not in memory."""

    def settings(self) -> dict[str, Any]:
        """Return its settings for `run.json`, besides its name."""

    def checksums(self) -> dict[str, str]:
        """Return checksums of its files, by kind, for `run.json`."""
