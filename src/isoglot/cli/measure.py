"""`isoglot evaluate`: one encoder on one benchmark, in all three settings."""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from isoglot.cli.options import OutputDir, Paths, Switch
from isoglot.config import Precision

if TYPE_CHECKING:
    from isoglot.data.benchmark import Benchmark

BenchmarkName = Literal["xquad-r", "mlqa-r", "rows"]


def evaluate(
    *,
    output_dir: OutputDir,
    model: str = "embedded",
    benchmark: BenchmarkName = "xquad-r",
    data_dir: Path | None = None,
    rows: Paths = (),
    langs: str | None = None,
    context: Switch = False,
    length: int | None = None,
    precision: Precision = "auto",
    debias: Path | None = None,
    overwrite: Switch = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    offline: Switch = False,
) -> None:
    """Measure an encoder: monolingual, cross-lingual and multilingual retrieval, per language and pair.

    Args:
        output_dir: Folder for metrics.json, per_query.parquet and run.json.
        model: embedded, a Sentence Transformers folder, a Hub id (id@revision), or an OpenAI-compatible endpoint
            (endpoint:http://HOST/v1#MODEL).
        benchmark: What to measure on; rows wants --rows.
        data_dir: Folder with the benchmark's {lang}.json files; downloaded to the cache when not given.
        rows: Row files to use as the benchmark.
        langs: Comma-separated languages, for queries and candidates alike.
        context: Encode each candidate sentence followed by its paragraph (xquad-r, mlqa-r).
        length: Tokens kept of queries and candidates.
        precision: bf16 or fp32; auto takes what the device does well.
        debias: A correction of language bias that `isoglot debias fit` wrote.
        overwrite: Replace what the folder holds.
        as_json: Print metrics.json instead of the table.
        offline: Never download.
    """
    from isoglot.debias import load_debias
    from isoglot.endpoint import PREFIX as ENDPOINT
    from isoglot.files import claim_folder, sha256
    from isoglot.model import load, locate, quiet_libraries
    from isoglot.provenance import device_name, write_run

    quiet_libraries()
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        chosen = open_benchmark(benchmark, data_dir, rows, langs, Path(scratch), context=context, offline=offline)
    remote = model.startswith(ENDPOINT)
    if not remote:
        locate(model)
    correction = load_debias(debias) if debias else None
    folder = claim_folder(output_dir, overwrite=overwrite)
    started = time.perf_counter()
    encoder = model if remote else load(model)

    from isoglot.evaluate import evaluate as measure
    from isoglot.report import render_evaluation

    result = measure(encoder, chosen, name=model, length=length, precision=precision, debias=correction)
    result.save(folder)
    write_run(
        folder,
        "evaluate",
        {
            "model": model,
            "benchmark": benchmark,
            "langs": langs,
            "context": context,
            "length": length,
            "precision": precision,
            "debias": str(debias) if debias else None,
        },
        data={"benchmark": chosen.checksum, **({"debias": sha256(debias)} if debias else {})},
        seed=None,
        device=model if isinstance(encoder, str) else device_name(str(encoder.device)),
        seconds=time.perf_counter() - started,
    )
    print(
        json.dumps(result.metrics(), ensure_ascii=False)
        if as_json
        else f"{render_evaluation(result)}\n\nwritten to {folder}"
    )


def open_benchmark(
    name: str,
    data_dir: Path | None,
    rows: tuple[Path, ...],
    langs: str | None,
    scratch: Path,
    *,
    context: bool = False,
    offline: bool = False,
) -> Benchmark:
    """Open a benchmark by name: from a folder, from rows, or downloaded to the cache."""
    from isoglot.cli.data import open_rows
    from isoglot.data.benchmark import from_rows
    from isoglot.data.download import SHA256, fetch_lareqa
    from isoglot.data.lareqa import load_lareqa
    from isoglot.embedded import cache_folder
    from isoglot.errors import InputError
    from isoglot.languages import parse_codes

    if name == "rows":
        if not rows:
            raise InputError("--benchmark rows: name the files with --rows FILE")
        if data_dir is not None or context:
            raise InputError("--benchmark rows: --data-dir and --context belong to xquad-r and mlqa-r")
        prepared = open_rows(rows, scratch / "benchmark", langs, quiet=True)
        return from_rows(prepared, prepared.table.datasets[0] if len(prepared.table.datasets) == 1 else "rows")
    if rows:
        raise InputError(f"--rows: give --benchmark rows with it, not {name}")
    if data_dir is None:
        codes = parse_codes(langs, tuple(SHA256[name]))
        data_dir = fetch_lareqa(name, cache_folder() / name, langs=codes, offline=offline or None)
    return load_lareqa(data_dir, name, langs=langs, with_context=context)
