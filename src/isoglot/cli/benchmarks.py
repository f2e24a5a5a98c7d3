"""What to measure on, as flags name it: a benchmark opened from a folder, from rows, or downloaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from isoglot.cli.options import Paths, Switch
from isoglot.core.errors import InputError
from isoglot.data.opening import open_rows

if TYPE_CHECKING:
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.data.benchmarks.miracl import Miracl

BenchmarkName = str
NAMES = ("xquad-r", "mlqa-r", "miracl", "beir", "rows", "mteb:TASK")
Subset = Literal["full", "hard-negatives"]


@dataclass(frozen=True)
class Source:
    """What to measure on.

    Attributes:
        benchmark: xquad-r, mlqa-r, miracl, beir (a folder), rows (wants --rows), or mteb:TASK (retrieval, of MTEB).
        data_dir: The benchmark's folder, or for miracl also a Hub data set (id@revision); xquad-r, mlqa-r and miracl
            are downloaded to the cache when not given.
        rows: Row files to use as the benchmark.
        langs: Comma-separated languages, for queries and candidates alike.
        context: Encode each candidate sentence followed by its paragraph (xquad-r, mlqa-r).
        subset: Of miracl: full corpora, or hard-negatives.
        split: Of a beir folder's qrels, or of an MTEB task.
        offline: Never download.
    """

    benchmark: BenchmarkName = "xquad-r"
    data_dir: Path | None = None
    rows: Paths = ()
    langs: str | None = None
    context: Switch = False
    subset: Subset = "full"
    split: str = "test"
    offline: Switch = False


def open_benchmark(
    name: BenchmarkName,
    data_dir: Path | None,
    rows: tuple[Path, ...],
    langs: str | None,
    scratch: Path,
    *,
    offline: bool = False,
) -> Benchmark:
    """Open a benchmark by name in memory (of miracl: the hard negatives)."""
    from isoglot.data.benchmarks.miracl import Miracl

    source = Source(name, data_dir, rows, langs, subset="hard-negatives", offline=offline)
    data = open_source(source, scratch, rows_flag="--benchmark-rows")
    return data.benchmark() if isinstance(data, Miracl) else data


def open_source(source: Source, scratch: Path, *, rows_flag: str = "--rows") -> Benchmark | Miracl:
    """Open what to measure on: from a folder, from rows, or downloaded to the cache."""
    from isoglot.core.cache import cache_folder
    from isoglot.data.benchmarks.benchmark import from_rows
    from isoglot.data.benchmarks.download import SHA256, fetch_lareqa
    from isoglot.data.benchmarks.lareqa import load_lareqa
    from isoglot.languages.table import parse_codes

    name, folder, langs = source.benchmark, source.data_dir, source.langs
    kind, _, argument = name.partition(":")
    if kind not in {known.partition(":")[0] for known in NAMES} or bool(argument) != (kind == "mteb"):
        raise InputError(f"--benchmark {name!r}: expected one of {', '.join(NAMES)}")
    if source.context and name not in SHA256:
        raise InputError(f"--benchmark {name}: --context belongs to xquad-r and mlqa-r")
    if name == "rows":
        if not source.rows:
            raise InputError(f"--benchmark rows: name the files with {rows_flag} FILE")
        if folder is not None:
            raise InputError("--benchmark rows: --data-dir belongs to the other benchmarks")
        prepared = open_rows(source.rows, scratch / "benchmark", langs, quiet=True)
        return from_rows(prepared, prepared.table.datasets[0] if len(prepared.table.datasets) == 1 else "rows")
    if source.rows:
        raise InputError(f"{rows_flag}: give --benchmark rows with it, not {name}")
    if kind == "mteb":
        from isoglot.data.benchmarks.mteb_task import load_mteb

        return load_mteb(argument, langs=langs, split=None if source.split == "test" else source.split)
    if name == "beir":
        from isoglot.data.benchmarks.beir import load_beir

        if folder is None:
            raise InputError("--benchmark beir: name its folder with --data-dir")
        return load_beir(folder, split=source.split, langs=langs)
    if name == "miracl":
        return _open_miracl(source)
    if folder is None:
        codes = parse_codes(langs, tuple(SHA256[name]))
        folder = fetch_lareqa(name, cache_folder() / name, langs=codes, offline=source.offline or None)
    return load_lareqa(folder, name, langs=langs, with_context=source.context)


def source_settings(source: Source) -> dict[str, Any]:
    """What `run.json` says about a source."""
    return {
        "benchmark": source.benchmark,
        "data_dir": None if source.data_dir is None else str(source.data_dir),
        "rows": [str(path) for path in source.rows],
        "langs": source.langs,
        "context": source.context,
        "subset": source.subset if source.benchmark == "miracl" else None,
        "split": source.split if source.benchmark.partition(":")[0] in ("beir", "mteb") else None,
    }


def _open_miracl(source: Source) -> Benchmark | Miracl:
    from isoglot.data.benchmarks.miracl import HUB, LANGUAGES, fetch_miracl, load_miracl
    from isoglot.languages.table import parse_codes

    folder, subset = source.data_dir, source.subset
    given = str(folder) if folder is not None else HUB[subset]
    if folder is None or (not folder.exists() and "@" in given):
        folder = fetch_miracl(given, parse_codes(source.langs, LANGUAGES), offline=source.offline or None)
        # The re-upload of the hard negatives holds nothing else.
        data = replace(load_miracl(folder, langs=source.langs), subset=subset)
        return data if subset == "full" else data.benchmark(judged_only=given != HUB[subset])
    data = load_miracl(folder, langs=source.langs, subset=subset)
    return data if subset == "full" else data.benchmark()
