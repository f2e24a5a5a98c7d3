"""`isoglot data audit`: what is wrong with rows before they are trained on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from isoglot.cli.benchmarks import BenchmarkName, open_benchmark
from isoglot.cli.json_output import json_line
from isoglot.cli.options import Length, Paths, Switch
from isoglot.core.errors import InputError
from isoglot.data.opening import open_rows
from isoglot.encoders.options import LoadOptions
from isoglot.training.sampling.regimes import Sampling

if TYPE_CHECKING:
    from isoglot.curation.auditing import Tokeniser
    from isoglot.encoders.embedder import Role


def audit(
    *rows: Path,
    benchmark: BenchmarkName | None = None,
    data_dir: Path | None = None,
    benchmark_rows: Paths = (),
    exact_only: Switch = False,
    model: str | None = None,
    options: Annotated[LoadOptions | None, Parameter(name="*")] = None,
    query_length: Length | None = None,
    passage_length: Length | None = None,
    sampling: Annotated[Sampling | None, Parameter(name="*")] = None,
    batch_size: int = 32,
    batches: int = 1000,
    seed: int = 0,
    langs: str | None = None,
    strict: Switch = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    offline: Switch = False,
) -> int:
    """Check rows before training: coverage, wrong languages, over-long texts, overlap, and what batches would hold.

    Exit code 0; with --strict 3 where there is any problem.

    Args:
        rows: Row files, or one prepared folder.
        benchmark: Look for rows that also stand in this benchmark; rows wants --benchmark-rows.
        data_dir: Folder with the benchmark's {lang}.json files; downloaded to the cache when not given.
        benchmark_rows: Row files to compare with.
        exact_only: Look for equal texts only, not for near duplicates.
        model: The encoder to be trained: counts tokens for each language and texts that will be cut.
        options: How the model is opened.
        query_length: Tokens of a query that training keeps; the model's preset by default.
        passage_length: Tokens of a passage that training keeps.
        sampling: The regime that the dry run draws.
        batch_size: Pairs in a batch.
        batches: How many the dry run draws.
        seed: Of the dry run.
        langs: Comma-separated languages to keep.
        strict: Exit with 3 where there is any problem.
        as_json: Print the facts as JSON.
        offline: Never download.
    """
    from isoglot.curation.audit_text import render
    from isoglot.curation.auditing import audit as check

    if benchmark is None and (data_dir is not None or benchmark_rows):
        raise InputError("--data-dir and --benchmark-rows belong to --benchmark; give it too")
    for flag, value in (("--batch-size", batch_size), ("--batches", batches)):
        if value < 1:
            raise InputError(f"{flag} {value}: expected at least 1")
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        prepared = open_rows(rows, Path(scratch) / "rows", langs)
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
            tokeniser=None if model is None else _tokeniser(model, query_length, passage_length, options),
        )
    print(json_line(facts) if as_json else render(facts))
    return 3 if strict and facts["problems"] else 0


def _tokeniser(
    name: str, query_length: int | None, passage_length: int | None, options: LoadOptions | None = None
) -> Tokeniser:
    from isoglot.curation.auditing import Lengths, Tokeniser
    from isoglot.encoders.loading import load, prompt_of, quiet_libraries
    from isoglot.encoders.presets import preset_named

    quiet_libraries()
    model = load(name, device="cpu", **(options or LoadOptions()).arguments())
    preset = preset_named(name)
    unknown = getattr(model.tokenizer, "unk_token_id", None)

    def counter(role: Role) -> Lengths:
        prompt = prompt_of(model, role)

        def count(texts: list[str]) -> tuple[list[int], int]:
            lengths, missing = [], 0
            for start in range(0, len(texts), 1024):
                part: list[Any] = [prompt + text for text in texts[start : start + 1024]]
                for ids in model.tokenizer(part, verbose=False)["input_ids"]:
                    lengths.append(len(ids))
                    missing += ids.count(unknown)
            return lengths, missing

        return count

    return Tokeniser(
        counter("query"),
        counter("passage"),
        query_length or preset.query_length,
        passage_length or preset.passage_length,
    )
