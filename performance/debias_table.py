"""Models x bias corrections on one benchmark: does training make the corrections superfluous, or do they add up?

    python performance/debias_table.py --models base=embedded,hybrid=runs/hybrid-0.5-0/model \
        --data-dir ../shared/data/xquad-r --fit-lareqa ../shared/data/mlqa-r -o results/debias

    python performance/debias_table.py --data-dir ../shared/data/xquad-r --quick -o debias  # three languages, 60 rows

Each model is scored without correction, with each correction (fitted on other rows, and also on the
benchmark's own unlabelled texts), and with the searcher's `balanced` ranking. Every text is encoded once per model.
Writes table.md and table.json: monolingual, cross-lingual and multilingual mAP and rank distance with 95 %
bootstrap intervals over questions, and the paired difference of every correction from the uncorrected model.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from isoglot.core.files import write_json, write_text
from isoglot.core.progress import progress_line
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.data.prepared import prepare
from isoglot.data.readers.lareqa_rows import lareqa_rows
from isoglot.data.rows import write_rows
from isoglot.encoders.debias import METHODS, Sample
from isoglot.encoders.debias_fits import fit
from isoglot.encoders.debias_samples import from_rows
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load, quiet_libraries
from isoglot.measuring.balanced import balance
from isoglot.measuring.bootstrap import interval, paired_difference
from isoglot.measuring.comparing import HEADLINE
from isoglot.measuring.matrices import cosine_matrix
from isoglot.measuring.rank_scoring import score_ranks
from isoglot.measuring.ranks import gold_ranks_from_scores
from isoglot.measuring.scoring import score
from isoglot.studies.atlas_study import atlas


def main() -> None:
    """Parse arguments, score all models, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="base=embedded", help="name=folder,... (folder, Hub id or embedded)")
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data/xquad-r"), help="LAReQA-layout files")
    parser.add_argument("--fit-lareqa", type=Path, help="LAReQA-layout folder to fit on, such as mlqa-r")
    parser.add_argument("--fit-rows", type=Path, nargs="+", help="row files to fit on (atlas when nothing is named)")
    parser.add_argument("--langs", help="comma-separated languages of the benchmark")
    parser.add_argument("--limit", type=int, default=2000, help="groups to fit on")
    parser.add_argument("--rank", type=int, default=1, help="directions that lir takes away")
    parser.add_argument("--pivot", default="en")
    parser.add_argument("--length", type=int)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--device")
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="three languages, 60 rows to fit on, 200 resamples")
    parser.add_argument("-o", "--output-dir", type=Path, default=Path("results/debias"))
    args = parser.parse_args()
    if args.quick:
        args.langs, args.limit, args.resamples = args.langs or "de,en,th", 60, 200
    quiet_libraries()
    benchmark = load_lareqa(args.data_dir, args.data_dir.name, langs=args.langs)
    started = time.perf_counter()
    cells, tables = [], []
    with TemporaryDirectory() as scratch:
        rows, source = fit_rows(args, Path(scratch))
        for entry in args.models.split(","):
            name, _, folder = entry.rpartition("=")
            name = name or Path(folder).name
            found = one_model(name, folder, benchmark, rows, source, args)
            cells += [cell for cell, _ in found]
            tables.append((name, found))
    record = {
        "benchmark": benchmark.name,
        "checksum": benchmark.checksum,
        "languages": list(benchmark.languages),
        "fitted_on": source,
        "settings": {key: str(value) for key, value in vars(args).items()},
        "command": " ".join(["python", *sys.argv]),
        "seconds": round(time.perf_counter() - started, 1),
        "cells": cells,
    }
    write_json(args.output_dir / "table.json", record)
    text = markdown(record)
    write_text(args.output_dir / "table.md", text)
    print(text)


def fit_rows(args: argparse.Namespace, scratch: Path):
    """Prepared rows to fit corrections on, and their name."""
    if args.fit_lareqa:
        path = scratch / f"{args.fit_lareqa.name}.jsonl"
        write_rows(lareqa_rows(args.fit_lareqa), path)
        return prepare([path], scratch / "rows", show_progress=False), args.fit_lareqa.name
    files = args.fit_rows or [atlas("train")]
    return prepare(files, scratch / "rows", show_progress=False), ",".join(path.stem for path in files)


def one_model(name, folder, benchmark, rows, source, args):
    """Score one model with all corrections: [(record, evaluation)]."""
    model = load(folder, device=args.device)
    settings = {"length": args.length, "precision": args.precision}
    queries = encode(model, benchmark.queries.texts, "query", what=f"queries, {name}", **settings).vectors
    passages = encode(model, benchmark.candidates.texts, "passage", what=f"candidates, {name}", **settings).vectors
    codes = np.array(benchmark.languages)
    query_langs, passage_langs = codes[benchmark.queries.lang], codes[benchmark.candidates.lang]
    other = from_rows(model, rows, limit=args.limit, **settings)
    own = [Sample(queries, query_langs, "query"), Sample(passages, passage_langs, "passage")]
    progress_line(f"{name}: encoded; scoring")
    base = score(benchmark, queries, passages, name=name)
    found = [(row(name, "none", "-", base, base, args), base)]
    for fitted_on, samples in ((source, other), ("the benchmark's texts", own)):
        for method in METHODS:
            if method == "shift" and samples is own:
                continue  # shift needs to know translations, which are the benchmark's labels
            fitted = fit(method, samples, rank=args.rank, pivot=args.pivot)
            result = score(
                benchmark,
                fitted.apply(queries, query_langs, "query"),
                fitted.apply(passages, passage_langs, "passage"),
                name=name,
            )
            found.append((row(name, method, fitted_on, result, base, args), result))
            progress_line(f"{name}: {method} fitted on {fitted_on}")
    result = score_ranks(benchmark, balanced(benchmark, queries, passages), name=name)
    found.append((row(name, "balanced", "the benchmark's texts", result, base, args), result))
    return found


def balanced(benchmark, queries, passages):
    """Gold ranks under `--fair balanced`."""
    scores = cosine_matrix(queries, passages)
    balance(benchmark, scores)
    return gold_ranks_from_scores(scores, benchmark.candidates.lang, benchmark.gold_offsets, benchmark.gold)


def row(name, method, fitted_on, result, base, args):
    """Make one row of the table."""
    levels, differences = {}, {}
    for key in HEADLINE:
        matrix, before = result.values[key].matrix, base.values[key].matrix
        found = interval(matrix, resamples=args.resamples)
        levels[".".join(key)] = [found.estimate, found.low, found.high]
        if result is not base:
            gap = paired_difference(matrix, before, resamples=args.resamples)
            differences[".".join(key)] = [gap.estimate, gap.low, gap.high, gap.p]
    return {
        "model": name,
        "correction": method,
        "fitted_on": fitted_on,
        "levels": levels,
        "difference_from_none": differences,
    }


def markdown(record) -> str:
    """Render the table; a star marks a difference from the uncorrected model whose interval excludes 0."""
    lines = [
        f"# Corrections of language bias on {record['benchmark']}",
        "",
        f"{len(record['languages'])} languages ({', '.join(record['languages'])}). 95 % intervals: bootstrap over "
        f"questions, {record['settings']['resamples']} resamples. A star: differs from the same model without "
        "correction (paired interval without 0). Rank distance: lower is better.",
        "",
        f"Made with `{record['command']}`.",
        "",
        "| model | correction | fitted on | mono mAP | cross mAP | pool mAP | rank distance |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in record["cells"]:
        shown = []
        for key, (value, low, high) in cell["levels"].items():
            form = ".0f" if key.endswith("rank_distance") else ".3f"
            gap = cell["difference_from_none"].get(key)
            star = "*" if gap and (gap[1] > 0 or gap[2] < 0) else ""
            shown.append(f"{value:{form}}{star} [{low:{form}}, {high:{form}}]")
        lines.append(f"| {cell['model']} | {cell['correction']} | {cell['fitted_on']} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
