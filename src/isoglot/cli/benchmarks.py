"""The benchmark to measure on, as given by flags: opened from a folder, from rows, or downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isoglot.cli.options import Paths, Switch
from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.data.benchmarks.streamed import StreamedCorpus

# A name of the registry (`isoglot list benchmarks`), possibly with an argument after a colon, or a path.
BenchmarkName = str
Subset = Literal["full", "hard-negatives"]


@dataclass(frozen=True)
class Source:
    """What to measure on.

    Attributes:
        benchmark: xquad-r, mlqa-r, miracl, beir (a folder), rows (needs --rows), mteb:TASK (a retrieval task of MTEB),
            any other that isoglot list benchmarks names, or the path of a BEIR folder, a folder in LAReQA's layout or a
            row file.
        data_dir: The benchmark's folder, or for miracl also a Hub data set (id@revision); xquad-r, mlqa-r and miracl
            are downloaded to the cache when not given.
        rows: Row files to use as the benchmark.
        langs: Comma-separated languages, for queries and candidates alike.
        context: Encode each candidate sentence followed by its paragraph (xquad-r, mlqa-r).
        subset: Passages of miracl: the full corpora, or the hard negatives.
        split: Split of a beir folder's qrels, or of an MTEB task.
        stream: Read the passages of a beir folder from their files as needed, for corpora larger than memory.
        offline: Never download anything.
    """

    benchmark: BenchmarkName = "xquad-r"
    data_dir: Path | None = None
    rows: Paths = ()
    langs: str | None = None
    context: Switch = False
    subset: Subset = "full"
    split: str = "test"
    stream: Switch = False
    offline: Switch = False


@dataclass(frozen=True)
class IndexedBenchmark(Source):
    """A benchmark whose passages are indexed.

    Attributes:
        benchmark: Index the passages of a benchmark instead of files, for isoglot evaluate --index: xquad-r, mlqa-r,
            miracl, beir, rows, mteb:TASK, any other that isoglot list benchmarks names, or a path.
        data_dir: The benchmark's folder; some are downloaded to the cache when not given.
        rows: Row files to use as the benchmark.
        langs: Comma-separated languages of the benchmark.
        context: Each candidate sentence is followed by its paragraph (xquad-r, mlqa-r).
        subset: Passages of miracl: the full corpora, or the hard negatives.
        split: Split of a beir folder's qrels, or of an MTEB task.
        stream: Read the passages of a beir folder from their files as needed.
        offline: Never download anything.
    """

    benchmark: BenchmarkName = ""


@dataclass(frozen=True)
class ComparedOn(Source):
    """What runs were measured on.

    Attributes:
        benchmark: What the runs were measured on, for --report, if it cannot be found from their records: xquad-r,
            mlqa-r, miracl, beir, rows, mteb:TASK, any other that isoglot list benchmarks names, or a path.
        data_dir: The benchmark's folder.
        rows: Row files that were the benchmark.
        langs: Comma-separated languages that were measured.
        context: Each candidate sentence was followed by its paragraph (xquad-r, mlqa-r).
        subset: Passages of miracl.
        split: Split of a beir folder's qrels, or of an MTEB task.
        stream: Read the passages of a beir folder from their files as needed.
        offline: Never download anything.
    """

    benchmark: BenchmarkName = ""


def open_benchmark(
    name: str,
    data_dir: Path | None,
    rows: tuple[Path, ...],
    langs: str | None,
    scratch: Path,
    *,
    offline: bool = False,
) -> Benchmark:
    """Open a benchmark by name, in memory (for miracl: the hard negatives)."""
    from isoglot.data.benchmarks.benchmark import Benchmark as Opened

    source = Source(name, data_dir, rows, langs, subset="hard-negatives", offline=offline)
    data = open_source(source, scratch, rows_flag="--benchmark-rows")
    return data if isinstance(data, Opened) else data.benchmark()


def open_source(source: Source, scratch: Path, *, rows_flag: str = "--rows") -> Benchmark | StreamedCorpus:
    """Open the benchmark to measure on: from a folder, from rows, or downloaded to the cache."""
    from isoglot.data.benchmarks.named import Request
    from isoglot.data.benchmarks.named import open_benchmark as opened

    if source.context and source.benchmark in ("rows", "beir", "miracl"):
        raise InputError(f"--benchmark {source.benchmark}: --context belongs to xquad-r and mlqa-r")
    if source.benchmark == "rows" and not source.rows:
        raise InputError(f"--benchmark rows: name the files with {rows_flag} FILE")
    if source.benchmark == "rows" and source.data_dir is not None:
        raise InputError("--benchmark rows: --data-dir belongs to the other benchmarks")
    if source.benchmark == "beir" and source.data_dir is None:
        raise InputError("--benchmark beir: name its folder with --data-dir")
    if source.rows and source.benchmark != "rows":
        raise InputError(f"{rows_flag}: give --benchmark rows with it, not {source.benchmark}")
    return opened(
        Request(
            source.benchmark,
            data_dir=source.data_dir,
            rows=source.rows or None,
            langs=source.langs,
            context=source.context,
            subset=source.subset,
            split=source.split,
            offline=source.offline or None,
            stream=source.stream,
            scratch=scratch,
        )
    )


def source_settings(source: Source) -> dict[str, Any]:
    """Return a source's settings for `run.json`."""
    return {
        "benchmark": source.benchmark,
        "data_dir": None if source.data_dir is None else str(source.data_dir),
        "rows": [str(path) for path in source.rows],
        "langs": source.langs,
        "context": source.context,
        "subset": source.subset if source.benchmark == "miracl" else None,
        "split": source.split if source.benchmark.partition(":")[0] in ("beir", "mteb") else None,
    }
