"""`isoglot data audit`: find problems in rows before training on them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from isoglot.cli.benchmarks import BenchmarkName, open_benchmark
from isoglot.cli.help_page import MODEL
from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json, Length, Paths, Switch
from isoglot.core.errors import InputError
from isoglot.data.opening import open_rows
from isoglot.encoders.options import LoadOptions
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import BATCHES


def audit(
    *rows: Path,
    benchmark: BenchmarkName | None = None,
    data_dir: Path | None = None,
    benchmark_rows: Paths = (),
    exact_only: Switch = False,
    model: str | None = None,
    options: Annotated[LoadOptions | None, Parameter(name="*", group=MODEL)] = None,
    query_length: Length | None = None,
    passage_length: Length | None = None,
    sampling: Annotated[Sampling | None, Parameter(name="*", group=BATCHES)] = None,
    batch_size: int = 32,
    batches: int = 1000,
    seed: int = 0,
    langs: str | None = None,
    strict: Switch = False,
    as_json: Json = False,
    offline: Switch = False,
) -> int:
    """Check rows before training: coverage, wrong languages, over-long texts, overlap, and what batches would hold.

    Exit code 0; with --strict 3 if there is any problem.

    Args:
        rows: Row files, or one prepared folder.
        benchmark: Look for rows that also occur in this benchmark; rows needs --benchmark-rows.
        data_dir: Folder with the benchmark's {lang}.json files; downloaded to the cache when not given.
        benchmark_rows: Row files to compare with.
        exact_only: Look for equal texts only, not for near duplicates.
        model: The encoder to be trained: counts tokens per language and texts that will be truncated.
        options: How the model is opened.
        query_length: Tokens of a query that training keeps; the model's preset by default.
        passage_length: Tokens of a passage that training keeps.
        sampling: How the dry run draws batches.
        batch_size: Pairs in a batch.
        batches: Number of batches of the dry run.
        seed: Seed of the dry run.
        langs: Comma-separated languages to keep.
        strict: Exit with 3 if there is any problem.
        as_json: Print the facts as JSON.
        offline: Never download.
    """
    from isoglot.curation.audit_text import render
    from isoglot.curation.auditing import audit as check
    from isoglot.curation.token_counts import open_tokeniser

    if benchmark is None and (data_dir is not None or benchmark_rows):
        raise InputError("--data-dir and --benchmark-rows belong to --benchmark; give it too")
    if exact_only and benchmark is None:
        raise InputError("--exact-only belongs to --benchmark; give it too")
    if model is None and (query_length is not None or passage_length is not None):
        raise InputError("--query-length and --passage-length belong to --model; give it too")
    for flag, value in (("--batch-size", batch_size), ("--batches", batches)):
        if value < 1:
            raise InputError(f"{flag} {value}: expected at least 1")
    prepared = open_rows(rows, langs=langs)
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        chosen = None
        if benchmark is not None:
            chosen = open_benchmark(benchmark, data_dir, benchmark_rows, None, Path(scratch), offline=offline)
        facts = check(
            prepared,
            sampling=sampling,
            batch_size=batch_size,
            batches=batches,
            seed=seed,
            benchmark=chosen,
            near=not exact_only,
            tokeniser=None if model is None else open_tokeniser(model, query_length, passage_length, options),
        )
    print(json_line(facts) if as_json else render(facts))
    return 3 if strict and facts["problems"] else 0
