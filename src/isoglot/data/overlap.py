"""Whether training rows also stand in the benchmark, which would make a zero-shot figure worthless."""

from __future__ import annotations

from dataclasses import dataclass

from isoglot.data.benchmark import Benchmark
from isoglot.data.near import normalise as normalise
from isoglot.data.prepare import Prepared
from isoglot.errors import InputError


@dataclass(frozen=True)
class Overlap:
    """How many distinct groups, queries and passages stand in both, with examples of each kind."""

    groups: int
    queries: int
    passages: int
    examples: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.groups or self.queries or self.passages)


def overlap(rows: Prepared, benchmark: Benchmark) -> Overlap:
    """Compare group names, queries and passages exactly, after `normalise`."""
    groups = set(rows.column("group"))
    named = {f"{dataset}/{group}" for dataset, group in zip(rows.column("dataset"), rows.column("group"), strict=True)}
    shared_groups = sorted((groups | named) & set(benchmark.groups))
    shared_queries = _shared(rows.column("query"), benchmark.queries.texts)
    shared_passages = _shared(rows.column("passage") + rows.passages(), benchmark.candidates.texts)
    examples = [
        f"{kind} {text[:100]!r}"
        for kind, texts in (("group", shared_groups), ("query", shared_queries), ("passage", shared_passages))
        for text in texts[:3]
    ]
    return Overlap(len(shared_groups), len(shared_queries), len(shared_passages), tuple(examples))


def refuse_overlap(found: Overlap, benchmark: str) -> None:
    """Stop where training data stand in the benchmark.

    Raises:
        InputError: with the counts, examples and the ways out.
    """
    if found:
        raise InputError(
            f"the training rows overlap the benchmark {benchmark}: {found.groups} groups, {found.queries} queries, "
            f"{found.passages} passages (e.g. {'; '.join(found.examples)}); take them out of the training rows, or "
            "give --allow-overlap and say so beside the figures"
        )


def _shared(train: list[str], test: list[str]) -> list[str]:
    """Texts of `test` that also stand in `train`, one spelling each."""
    seen = {normalise(text) for text in train}
    return sorted({key: text for text in test if (key := normalise(text)) in seen}.values())
