"""The effect of pseudo-relevance feedback: in a parallel collection, and in one where nothing is translated.

    python performance/feedback.py xquad-r --models base=embedded,best=runs/best
    python performance/feedback.py parts/held --third --models best=runs/best --grid    # to tune passages and weight
    python performance/feedback.py xquad-r --models base=embedded --quick    # German and English, a third of candidates
    python performance/feedback.py --speed                                             # time of a second search

The folder is in LAReQA's layout. First the benchmark as it is, with every answer in every language. Then each article
is kept in a single random language, so that no answer exists twice: mean reciprocal rank of the answer among all
passages, for questions in its language and in all others, over five draws (`apart`). --speed searches generated vectors
on disk, exactly in memory and with an ANN index, alternating without and with feedback.
"""

import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from articles import Joined, line, parser, wanted

from isoglot.encoders.feedback import PASSAGES, WEIGHT, drawn_to
from isoglot.encoders.loading import load
from isoglot.measuring.benchmark_vectors import encode_benchmark
from isoglot.measuring.ranks import top_k_scored
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from search import generate
from serve import stored_index

DRAWS = 5
QUERIES, WARM = 220, 20
COUNTS, WEIGHTS = (1, 5, 10, 20), (0.25, 0.5, 1.0, 2.0)


def main():
    made = parser(__doc__, needed=False)
    made.add_argument("--speed", action="store_true", help="milliseconds of a search instead")
    made.add_argument("--grid", action="store_true", help="other numbers of passages and weights, too")
    given = made.parse_args()
    if given.speed:
        speed()
        return
    if given.folder is None:
        made.error("name the folder of a benchmark")
    benchmark, models = wanted(given)
    pools = [one_language_each(benchmark, seed) for seed in range(DRAWS)]
    print("| model | queries | mono | cross | pool | rank distance | apart, own language | apart, another |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for label, name in models:
        queries, passages = encode_benchmark(load(name), benchmark)
        told(benchmark, pools, label, "as they are", queries, passages, lambda queries, passages: queries)
        told(benchmark, pools, label, "drawn", queries, passages, drawn)
        for count, weight in ((count, weight) for count in COUNTS for weight in WEIGHTS if given.grid):
            move = partial(drawn, count=count, weight=weight)
            told(benchmark, pools, label, f"drawn, {count}, weight {weight}", queries, passages, move)


def drawn(queries, passages, count=PASSAGES, weight=WEIGHT):
    best, cosines = top_k_scored(queries, passages, count)
    return drawn_to(queries, passages[best], cosines, weight=weight)


def speed():
    """Print median times of searches by a given vector among generated passages, without and with feedback."""
    print("| passages | index | as it is, ms | drawn, ms |\n|---:|---|---:|---:|")
    queries = generate(QUERIES, 1)
    for rows, ann_from, name in ((10_000, None, "exact, in memory"), (100_000, 0, "approximate")):
        vectors = generate(rows, 0)
        passages = [Passage(str(number), str(number), f"passage {number}", "en") for number in range(rows)]
        with TemporaryDirectory(prefix="isoglot-feedback-") as home:
            searcher = Searcher(stored_index(Path(home) / "index", passages, vectors, ann_from))
            spent = {False: [], True: []}
            for number, query in enumerate(queries):
                for drawn in (True, False) if number % 2 else (False, True):
                    started = time.perf_counter()
                    searcher.search("made up", vector=query, feedback=drawn)
                    spent[drawn].append(1000 * (time.perf_counter() - started))
            searcher.close()
        medians = [np.median(spent[drawn][WARM:]) for drawn in (False, True)]
        print(f"| {rows:,} | {name} | {medians[0]:.1f} | {medians[1]:.1f} |", flush=True)


def told(benchmark, pools, label, what, queries, passages, move):
    """Print one row of the table."""
    apart = defaultdict(list)
    for pool, gold_of in pools:
        moved = move(queries, passages[pool])
        for query, gold in gold_of.items():
            scores = passages[pool] @ moved[query]
            same = benchmark.queries.lang[query] == benchmark.candidates.lang[pool[gold]]
            apart[bool(same)].append(1 / (1 + np.count_nonzero(scores > scores[gold])))
    whole = line(benchmark, (move(queries, passages), passages))
    print(f"| {label} | {what} | {whole} | {np.mean(apart[True]):.3f} | {np.mean(apart[False]):.3f} |", flush=True)


def one_language_each(benchmark, seed):
    """Candidates with each article in a single random language, and each question's answer's position among them."""
    joined = Joined()
    article = [tuple(key.split(":")[:2]) for key in benchmark.candidates.ids]  # language and position in the file
    asked = np.repeat(np.arange(len(benchmark.queries)), np.diff(benchmark.gold_offsets))
    entries = list(zip(asked.tolist(), benchmark.gold.tolist(), strict=True))
    for query, gold in entries:
        joined.join(int(benchmark.group[query]), article[gold])
    roots = [joined.root(key) for key in article]
    draw = np.random.default_rng(seed)
    chosen = {key: draw.integers(len(benchmark.languages)) for key in sorted(set(roots), key=str)}
    kept = np.array([chosen[key] == lang for key, lang in zip(roots, benchmark.candidates.lang, strict=True)])
    pool, place = np.flatnonzero(kept), np.cumsum(kept) - 1
    return pool, {query: int(place[gold]) for query, gold in entries if kept[gold]}


if __name__ == "__main__":
    main()
