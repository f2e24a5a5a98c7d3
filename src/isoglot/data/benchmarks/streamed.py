"""Benchmarks larger than memory: queries and judgements at hand, passages read as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from isoglot.data.benchmarks.benchmark import Benchmark


class StreamedCorpus(Protocol):
    """A benchmark whose passages are streamed; what answers a query is in the query's own language.

    Any object with these attributes is one: `isoglot.measuring` encodes its passages to disk and searches them in
    blocks, so that memory does not grow with the corpus. One may have `notes` too, remarks for reports.
    """

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def checksum(self) -> str:
        """SHA-256 that changes with the queries and judgements."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes, alphabetical."""

    @property
    def queries(self) -> Sequence[tuple[str, str, str]]:
        """(id, language, text) each."""

    @property
    def groups(self) -> Mapping[str, str]:
        """The group of each query, by id; translations of one question share it."""

    @property
    def answers(self) -> Mapping[str, Mapping[str, float]]:
        """Ids of each query's relevant passages with their grades, at least 1; perhaps none."""

    def passages(self) -> Iterator[tuple[str, str, str]]:
        """Stream (id, language, text) of the corpus, one language after the other or mixed."""

    def benchmark(self) -> Benchmark:
        """All of it in memory."""
