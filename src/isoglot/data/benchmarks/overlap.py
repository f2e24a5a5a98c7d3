"""Find training rows that are also in the benchmark, which would invalidate zero-shot results."""

from __future__ import annotations

from dataclasses import dataclass

from isoglot.core.errors import InputError, needs
from isoglot.core.progress import Progress
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.near_duplicates import NEAR, grams, jaccard
from isoglot.data.near_duplicates import normalise as normalise
from isoglot.data.prepared import Prepared


@dataclass(frozen=True)
class Overlap:
    """The number of distinct groups, queries and passages in both, with examples of each kind."""

    groups: int
    queries: int
    passages: int
    examples: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.groups or self.queries or self.passages)


def overlap(rows: Prepared, benchmark: Benchmark) -> Overlap:
    """Find group names that are equal, and queries and passages that are equal after `normalise`."""
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


def near_overlap(rows: Prepared, benchmark: Benchmark) -> Overlap:
    """Find near-duplicate queries and passages; equal texts are not counted.

    MinHash (Broder 1997, 64 permutations) over character 4-grams proposes pairs; an exact Jaccard similarity of at
    least 0.8 confirms them.

    Raises:
        MissingPackageError: datasketch is not installed.
    """
    queries = _near(rows.column("query"), benchmark.queries.texts, "queries")
    passages = _near(rows.column("passage"), benchmark.candidates.texts, "passages")
    examples = [
        f"{kind} {a[:80]!r} ~ {b[:80]!r}"
        for kind, found in (("query", queries), ("passage", passages))
        for a, b in found[:3]
    ]
    return Overlap(0, len(queries), len(passages), tuple(examples))


def refuse_overlap(found: Overlap, benchmark: str) -> None:
    """Raise an error if training data overlap the benchmark.

    Raises:
        InputError: they do; the message gives counts, examples and what to do.
    """
    if found:
        raise InputError(
            f"the training rows overlap the benchmark {benchmark}: {found.groups} groups, {found.queries} queries, "
            f"{found.passages} passages (e.g. {'; '.join(found.examples)}); take them out of the training rows, or "
            "give `allow_overlap` and say so beside the figures"
        )


def _shared(train: list[str], test: list[str]) -> list[str]:
    """Return the texts of `test` that are also in `train` after `normalise`, one spelling of each."""
    seen = {normalise(text) for text in train}
    return sorted({key: text for text in test if (key := normalise(text)) in seen}.values())


def _near(train: list[str], test: list[str], what: str) -> list[tuple[str, str]]:
    """Return (training text, nearest test text) for each distinct training text with a near but not equal test text."""
    with needs("finding near duplicates needs datasketch", "data"):
        from datasketch import MinHash, MinHashLSH

    def sketch(text: str) -> MinHash:
        made = MinHash(num_perm=64, seed=1)
        made.update_batch([gram.encode() for gram in grams(text)])
        return made

    tests = {normalise(text): text for text in test}
    trains = {key: text for text in train if (key := normalise(text)) not in tests and grams(text)}
    index = MinHashLSH(threshold=NEAR, num_perm=64)
    for key, text in tests.items():
        if grams(text):
            index.insert(key, sketch(text))
    found = []
    with Progress(f"near {what}", len(trains)) as progress:
        for text in trains.values():
            best = max(((jaccard(text, key), key) for key in index.query(sketch(text))), default=(0.0, ""))
            if best[0] >= NEAR:
                found.append((text, tests[best[1]]))
            progress.advance()
    return found
