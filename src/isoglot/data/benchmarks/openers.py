"""Open the built-in benchmarks: from a folder, from rows, or downloaded to the cache."""

from __future__ import annotations

from dataclasses import replace

from isoglot.core.cache import cache_folder
from isoglot.core.errors import InputError
from isoglot.data.benchmarks.beir import load_beir, stream_beir
from isoglot.data.benchmarks.benchmark import Benchmark, from_rows
from isoglot.data.benchmarks.download import SHA256, fetch_lareqa
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.data.benchmarks.miracl import HUB, LANGUAGES, fetch_miracl, load_miracl
from isoglot.data.benchmarks.mteb_task import load_mteb
from isoglot.data.benchmarks.named import Request
from isoglot.data.benchmarks.streamed import StreamedCorpus
from isoglot.data.opening import open_rows
from isoglot.languages.table import parse_codes


def open_lareqa(request: Request) -> Benchmark:
    """Open XQuAD-R or MLQA-R, downloading it if no folder is given."""
    _refuse_rows(request)
    name, folder = request.name, request.data_dir
    if folder is None:
        codes = parse_codes(request.langs, tuple(SHA256[name]))
        folder = fetch_lareqa(name, cache_folder() / name, langs=codes, offline=request.offline or None)
    return load_lareqa(folder, name, langs=request.langs, with_context=request.context)


def open_miracl(request: Request) -> Benchmark | StreamedCorpus:
    """Open MIRACL dev: the full corpus streamed, or its hard negatives in memory; downloaded if no folder is given."""
    _refuse_rows(request)
    _refuse_context(request)
    folder, subset = request.data_dir, request.subset
    given = str(folder) if folder is not None else HUB[subset]
    if folder is None or (not folder.exists() and "@" in given):
        folder = fetch_miracl(given, parse_codes(request.langs, LANGUAGES), offline=request.offline or None)
        # The re-upload of the hard negatives contains only those, so its passages need no filter.
        data = replace(load_miracl(folder, langs=request.langs), subset=subset)
        return data if subset == "full" else data.benchmark(judged_only=given != HUB[subset])
    data = load_miracl(folder, langs=request.langs, subset=subset)
    return data if subset == "full" else data.benchmark()


def open_beir(request: Request) -> Benchmark | StreamedCorpus:
    """Open a BEIR folder, in memory or streamed."""
    _refuse_rows(request)
    _refuse_context(request)
    if request.data_dir is None:
        raise InputError("benchmark beir: name its folder (data_dir)")
    read = stream_beir if request.stream else load_beir
    return read(request.data_dir, split=request.split, langs=request.langs)


def open_mteb(request: Request) -> Benchmark:
    """Load the MTEB retrieval task named after the colon."""
    _refuse_rows(request)
    _refuse_context(request)
    if not request.argument:
        raise InputError("benchmark mteb: name the task, such as mteb:BelebeleRetrieval")
    return load_mteb(request.argument, langs=request.langs, split=None if request.split == "test" else request.split)


def open_rows_as_benchmark(request: Request) -> Benchmark:
    """Use parallel rows as a benchmark: each row's query against all distinct passages."""
    _refuse_context(request)
    if request.rows is None:
        raise InputError("benchmark rows: name the row files (rows)")
    if request.data_dir is not None:
        raise InputError("benchmark rows: data_dir belongs to the other benchmarks")
    folder = None if request.scratch is None else request.scratch / "benchmark"
    prepared = open_rows(request.rows, folder, request.langs, quiet=True)
    return from_rows(prepared, prepared.table.datasets[0] if len(prepared.table.datasets) == 1 else "rows")


def _refuse_rows(request: Request) -> None:
    if request.rows is not None:
        raise InputError(f"rows: give them with benchmark rows, not {request.name}")


def _refuse_context(request: Request) -> None:
    if request.context:
        raise InputError(f"benchmark {request.name}: context belongs to xquad-r and mlqa-r")
