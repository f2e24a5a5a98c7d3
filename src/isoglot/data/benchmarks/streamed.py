"""The protocol of benchmarks larger than memory: queries and judgements in memory, passages streamed from files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from isoglot.data.benchmarks.benchmark import Benchmark


class StreamedCorpus(Protocol):
    """A benchmark whose passages are streamed; relevant passages are in the same language as the query.

    Any object with these attributes qualifies. `isoglot.measuring` encodes the passages to disk and searches them in
    blocks, so memory does not grow with the corpus. An optional attribute `notes` has remarks for reports.
    """

    @property
    def name(self) -> str:
        """The name in reports."""

    @property
    def checksum(self) -> str:
        """A SHA-256 that changes with the queries and judgements."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Language codes in alphabetical order."""

    @property
    def queries(self) -> Sequence[tuple[str, str, str]]:
        """(id, language, text) of each query."""

    @property
    def groups(self) -> Mapping[str, str]:
        """Query id -> group, which translations of one question share."""

    @property
    def answers(self) -> Mapping[str, Mapping[str, float]]:
        """Query id -> id of a relevant passage -> grade, at least 1; a query may have no relevant passage."""

    def passages(self) -> Iterator[tuple[str, str, str]]:
        """Stream (id, language, text) of the corpus, in any order of languages."""

    def benchmark(self) -> Benchmark:
        """Load the whole benchmark into memory."""
