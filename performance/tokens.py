"""Ablation of late interaction, passages in their context and feedback: with and without each, and their speed.

    python performance/alignment.py mlqa-r --split parts
    python performance/tokens.py parts/held --third --models base=embedded,best=runs/best --grid    # tunes the shares
    python performance/tokens.py xquad-r --models base=embedded,best=runs/best
    python performance/tokens.py xquad-r --models base=embedded --quick    # German and English, a third of candidates
    python performance/tokens.py --speed

The folder is in LAReQA's layout. Columns: the share of the vector of a passage within its paragraph in the passage's
vector (0: its own vector only), whether feedback moved the query towards passages, the share of late interaction in the
score (0: the cosine of whole texts). `even` weights a query's tokens equally instead of by their information, `unit`
scales mixed vectors to length 1. --speed re-ranks 50 passages of `atlas`, first uncached and then cached, in an index
with token vectors and in one without, alternating with searches without re-ranking.
"""

import json
import statistics
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from articles import parser, wanted
from harness import bytes_below

from isoglot.encoders.in_context import SHARE as WITHIN
from isoglot.encoders.in_context import joined
from isoglot.encoders.late_interaction import SHARE, SHARE_DRAWN, late_scores
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.unit_vectors import units
from isoglot.measuring.benchmark_vectors import encode_sides, fed_back
from isoglot.measuring.scoring import score_matrix
from isoglot.search.index.building import build_index
from isoglot.search.searcher import Searcher

SHARES, CONTEXTS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 1.0), (0.0, 0.2, 0.3, 0.5, 1.0)


def main():
    made = parser(__doc__, needed=False)
    made.add_argument("--grid", action="store_true", help="other shares, and even weights, too")
    made.add_argument("--speed", action="store_true", help="milliseconds of a search instead")
    given = made.parse_args()
    if given.speed:
        speed()
        return
    if given.folder is None:
        made.error("name the folder of a benchmark")
    benchmark, models = wanted(given)
    print("| model | share within context | query | share of tokens | mono | cross | pool | rank distance |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    for label, name in models:
        encoder = open_embedder(name)
        sides = encode_sides(encoder, benchmark, in_context=True)
        queries, own, within = sides.queries.vectors, sides.candidates.vectors, sides.within
        asked = encoder.encoded_tokens(benchmark.queries.texts, "query")
        held = encoder.encoded_tokens(benchmark.candidates.texts, "passage")
        late = late_scores(asked, held)
        for context in CONTEXTS if given.grid else (0.0, WITHIN):
            vectors = (1 - context) * own + context * within
            plain, drawn = queries @ vectors.T, fed_back(queries, vectors) @ vectors.T
            for query, whole, chosen in (("as it is", plain, SHARE), ("drawn", drawn, SHARE_DRAWN)):
                for share in SHARES if given.grid and context in (0.0, WITHIN) else (0.0, chosen):
                    scores = (1 - share) * whole + share * late
                    row(benchmark, f"{label} | {context} | {query} | {share}", scores)
        if given.grid:
            lengths = np.diff(asked.offsets)
            even = late_scores(replace(asked, weights=np.repeat(1 / lengths, lengths).astype(np.float32)), held)
            row(benchmark, f"{label} | 0.0 | even | {SHARE}", (1 - SHARE) * queries @ own.T + SHARE * even)
            row(benchmark, f"{label} | {WITHIN}, unit | as it is | 0.0", queries @ units(joined(own, within)).T)


def row(benchmark, what, scores):
    found = score_matrix(benchmark, scores)
    settings = (found.macro(name, "map") for name in ("monolingual", "cross_lingual", "multilingual"))
    cells = " | ".join(f"{value:.3f}" for value in settings)
    print(f"| {what} | {cells} | {found.macro('multilingual', 'rank_distance'):.0f} |", flush=True)


def speed():
    """Median times of searches for queries of `atlas` among its passages, and the cost of storing token vectors."""
    lines = files("isoglot").joinpath("atlas", "test.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    documents = [{"lang": one["lang"], "text": one["passage"]} for one in rows]
    spent = {}
    with TemporaryDirectory(prefix="isoglot-late-") as home:
        searchers = {}
        for name, tokens in (("without tokens", False), ("with tokens", True)):
            built = build_index(documents, Path(home) / name, "embedded", tokens=tokens)
            size = bytes_below(Path(home) / name) / built.version.passages
            print(f"index {name}: {built.version.passages} passages, {built.seconds:.0f} s, {size / 1000:.1f} KB each")
            searchers[name] = Searcher.open(Path(home) / name, light=True)
        for one in [rows[0], *rows[::10]]:
            for name, searcher in searchers.items():
                searcher._rerankers._late = None
                if tokens := searcher._index._tokens:
                    tokens._kept.clear()
                for what in ("dense", "late, passages that are new", "late, passages met before"):
                    started = time.perf_counter()
                    searcher.search(one["query"], rerank=None if what == "dense" else "late")
                    spent.setdefault(f"{name}: {what}", []).append(1000 * (time.perf_counter() - started))
        for searcher in searchers.values():
            searcher.close()
    for name, times in spent.items():
        print(f"{name}: {statistics.median(times[1:]):.0f} ms, median of {len(times) - 1}")


if __name__ == "__main__":
    main()
