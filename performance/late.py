"""Late interaction by its parts: whole texts, tokens, and both; with and without searching twice.

    python performance/alignment.py mlqa-r --split parts
    python performance/late.py parts/held --third --models base=embedded,best=runs/best --grid    # to choose the shares
    python performance/late.py xquad-r --models base=embedded,best=runs/best
    python performance/late.py xquad-r --models base=embedded --quick        # German and English alone, a third of them
    python performance/late.py --speed

The folder is in LAReQA's layout. Rows are shares of late interaction in the score, 0 being the cosine of whole texts;
`even` gives all tokens of a query one weight instead of their information. --speed re-ranks 50 passages of `atlas`,
first as strangers and then as acquaintances, and searches without re-ranking in turn.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from alignment import with_a_third

from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.encoders.late_interaction import SHARE, SHARE_DRAWN, late_scores
from isoglot.encoders.opening import open_embedder
from isoglot.measuring.evaluating import encode_benchmark, fed_back
from isoglot.measuring.scoring import score_matrix
from isoglot.search.index.building import build_index
from isoglot.search.searcher import Searcher

SHARES = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="{lang}.json in LAReQA's layout")
    parser.add_argument("--models", default="base=embedded", help="comma-separated LABEL=MODEL")
    parser.add_argument("--third", action="store_true", help="all golds and a third of the other candidates")
    parser.add_argument("--grid", action="store_true", help="other shares, and even weights, too")
    parser.add_argument("--quick", action="store_true", help="German and English alone, a third of the candidates")
    parser.add_argument("--speed", action="store_true", help="milliseconds of a search instead")
    given = parser.parse_args()
    if given.speed:
        speed()
        return
    if given.folder is None:
        parser.error("name the folder of a benchmark")
    benchmark = load_lareqa(given.folder, given.folder.name, langs="de,en" if given.quick else None)
    if given.third or given.quick:
        benchmark = with_a_third(benchmark)
    print("| model | query | share of tokens | mono | cross | pool | rank distance |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for label, name in (pair.split("=", 1) for pair in given.models.split(",")):
        encoder = open_embedder(name)
        queries, passages = encode_benchmark(encoder, benchmark)
        asked = encoder.encoded_tokens(benchmark.queries.texts, "query")
        held = encoder.encoded_tokens(benchmark.candidates.texts, "passage")
        late = late_scores(asked, held)
        plain, drawn = queries @ passages.T, fed_back(queries, passages) @ passages.T
        for what, whole, own in (("as it is", plain, SHARE), ("drawn", drawn, SHARE_DRAWN)):
            for share in (0.0, *(SHARES if given.grid else (own,))):
                row(benchmark, label, what, share, (1 - share) * whole + share * late)
        if given.grid:
            lengths = np.diff(asked.offsets)
            even = replace(asked, weights=np.repeat(1 / lengths, lengths).astype(np.float32))
            alike = late_scores(even, held)
            row(benchmark, label, "even", SHARE, (1 - SHARE) * plain + SHARE * alike)
            row(benchmark, label, "even", 1.0, alike)


def row(benchmark, label, what, share, scores):
    found = score_matrix(benchmark, scores)
    settings = (found.macro(name, "map") for name in ("monolingual", "cross_lingual", "multilingual"))
    cells = " | ".join(f"{value:.3f}" for value in settings)
    distance = found.macro("multilingual", "rank_distance")
    print(f"| {label} | {what} | {share} | {cells} | {distance:.0f} |", flush=True)


def speed():
    """Medians of searches for the queries of `atlas` among its passages."""
    lines = files("isoglot").joinpath("atlas", "test.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    with TemporaryDirectory(prefix="isoglot-late-") as home:
        build_index([{"lang": one["lang"], "text": one["passage"]} for one in rows], Path(home) / "index", "embedded")
        searcher = Searcher.open(Path(home) / "index", light=True)
        spent = {"dense": [], "late, passages that are new": [], "late, passages met before": []}
        for one in [rows[0], *rows[::10]]:
            searcher._rerankers._late = None
            for name in spent:
                started = time.perf_counter()
                searcher.search(one["query"], rerank=None if name == "dense" else "late")
                spent[name].append(1000 * (time.perf_counter() - started))
        searcher.close()
    for name, times in spent.items():
        print(f"{name}: {statistics.median(times[1:]):.0f} ms, median of {len(times) - 1}")


if __name__ == "__main__":
    main()
