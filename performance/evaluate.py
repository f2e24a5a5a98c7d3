"""Speed of scoring vectors: isoglot against a naive NumPy loop, and against pytrec_eval through ir_measures.

    python performance/evaluate.py --data-dir ../shared/data/xquad-r
    python performance/evaluate.py --quick     # three made-up languages of 150 groups

(a) mAP, R@1, R@10, nDCG@10 and rank distance in all settings against a loop with one argsort per query and pool;
(b) the ranking measures of 500 queries against pytrec_eval; (c) seconds for every measure at XQuAD-R's full size
(11 languages, 13,090 queries, 13,014 candidates), and for 10,000 bootstrap resamples of all of them.
--quick uses three languages, and the median of five calls in one process, since a single short call depends on other
load. Vectors are random with a shared component per group; the speed does not depend on their content. (a) and (b) use
the relevance of the languages present in --data-dir (without it, of a synthetic benchmark of seven languages).
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from harness import finish, interleaved, median, parser, peak, rss

from isoglot.data.benchmarks.benchmark import assemble
from isoglot.data.benchmarks.lareqa import PUBLISHED, load_lareqa
from isoglot.measuring.measures import average_precision, ndcg_at, recall_at, reciprocal_rank
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.measuring.ranks import gold_ranks_from_scores, query_of
from isoglot.measuring.scoring import score

DIMENSION = 384


def made_up(langs, groups=1190):
    """A synthetic benchmark with XQuAD-R's numbers of questions and candidates."""
    sizes = {lang: PUBLISHED["xquad-r"][lang][1] for lang in langs}
    queries = [(f"{lang}:{g}", lang, f"{g:05}", "?") for lang in langs for g in range(groups)]
    passages = [(f"{lang}:p{n}", lang, ".") for lang in langs for n in range(sizes[lang])]
    answers = {f"{g:05}": [f"{lang}:p{g % sizes[lang]}" for lang in langs] for g in range(groups)}
    return assemble("made-up", queries, passages, answers)


def vectors(benchmark):
    """Unit vectors of queries and candidates: sums of a group direction, a language direction and noise."""
    rng = np.random.default_rng(0)
    meaning = rng.standard_normal((len(benchmark.groups), DIMENSION), np.float32)
    tongue = rng.standard_normal((len(benchmark.languages), DIMENSION), np.float32)
    passages = 1.5 * rng.standard_normal((len(benchmark.candidates), DIMENSION), np.float32)
    passages += tongue[benchmark.candidates.lang]
    query = query_of(benchmark.gold_offsets)
    passages[benchmark.gold] += meaning[benchmark.group[query]]
    queries = meaning[benchmark.group] + tongue[benchmark.queries.lang]
    queries += 1.5 * rng.standard_normal(queries.shape, np.float32)
    return tuple(v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, passages))


def loop(benchmark, queries, passages):
    """The naive implementation: an argsort for every query and every pool."""
    lang, sums = benchmark.candidates.lang, {}
    pools = [(y, np.flatnonzero(lang == y)) for y in range(len(benchmark.languages))] + [(-1, np.arange(len(lang)))]
    for q, vector in enumerate(queries):
        scores = passages @ vector
        relevant = set(benchmark.relevant(q).tolist())
        x = int(benchmark.queries.lang[q])
        for y, pool in pools:
            order = pool[np.argsort(-scores[pool], kind="stable")]
            ranks = np.array([rank for rank, c in enumerate(order.tolist(), 1) if c in relevant])
            if not len(ranks):
                continue
            ideal = (1 / np.log2(np.arange(2, 2 + min(10, len(ranks))))).sum()
            values = {
                "map": np.mean(np.arange(1, len(ranks) + 1) / ranks),
                "recall@1": np.mean(ranks <= 1),
                "recall@10": np.mean(ranks <= 10),
                "ndcg@10": (1 / np.log2(ranks[ranks <= 10] + 1)).sum() / ideal,
                "rank_distance": ranks.max() - ranks.min(),
            }
            for name, value in values.items():
                sums.setdefault((x, y, name), []).append(value)
    return {key: float(np.mean(values)) for key, values in sums.items()}


def opened(task):
    """The benchmark of a task, and its query and candidate vectors."""
    if task["langs"] or not task["data_dir"]:
        benchmark = made_up(task["langs"] or ["ar", "de", "en", "es", "hi", "vi", "zh"], task["groups"])
    else:
        benchmark = load_lareqa(Path(task["data_dir"]), "xquad-r", langs=task["only"])
    return benchmark, *vectors(benchmark)


def timed(work, calls):
    """The result of a function, and the median of its seconds over some calls."""
    seconds = []
    for _ in range(calls):
        started = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - started)
    return found, statistics.median(seconds)


def child(task):
    benchmark, queries, passages = opened(task)
    before = rss()
    if task["run"] == "ours":
        result, seconds = timed(lambda: score(benchmark, queries, passages), task["calls"])
        figures = {setting: result.macro(setting, "map") for setting in (MONO, CROSS, POOL)}
        started = time.perf_counter()
        if task["resamples"]:
            result.with_intervals(task["resamples"])
        return {
            "seconds": seconds,
            "bootstrap_seconds": time.perf_counter() - started,
            "peak_bytes": peak() - before,
            "figures": figures,
            "queries": len(queries),
            "candidates": len(passages),
        }
    if task["run"] == "loop":
        found, seconds = timed(lambda: loop(benchmark, queries, passages), task["calls"])
        numbers = range(len(benchmark.languages))
        figures = {
            MONO: np.mean([found[x, x, "map"] for x in numbers]),
            CROSS: np.mean([found[x, y, "map"] for x in numbers for y in numbers if x != y]),
            POOL: np.mean([found[x, -1, "map"] for x in numbers]),
        }
        return {"seconds": seconds, "peak_bytes": peak() - before, "figures": {k: float(v) for k, v in figures.items()}}
    return measures(benchmark, queries, passages, task["run"])


def measures(benchmark, queries, passages, run):
    """AP, RR, nDCG@10 and R@100 of 500 queries from one matrix of scores."""
    picked = np.linspace(0, len(queries) - 1, 500).astype(int)
    scores = queries[picked] @ passages.T
    gold = [benchmark.relevant(q) for q in picked]
    offsets = np.cumsum([0, *map(len, gold)])
    if run == "ranking":
        started = time.perf_counter()
        ranks = gold_ranks_from_scores(scores, benchmark.candidates.lang, offsets, np.concatenate(gold)).pooled
        values = {
            "AP": average_precision(offsets, ranks),
            "RR": reciprocal_rank(offsets, ranks),
            "nDCG@10": ndcg_at(offsets, ranks, 10),
            "R@100": recall_at(offsets, ranks, 100),
        }
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "figures": {name: float(value.mean()) for name, value in values.items()}}
    import ir_measures

    wanted = [ir_measures.AP, ir_measures.RR, ir_measures.nDCG @ 10, ir_measures.R @ 100]
    qrels = {str(q): {str(c): 1 for c in found.tolist()} for q, found in enumerate(gold)}
    names = [str(c) for c in range(len(passages))]
    started = time.perf_counter()
    given = {str(q): dict(zip(names, row.tolist(), strict=True)) for q, row in enumerate(scores)}
    found = ir_measures.pytrec_eval.calc_aggregate(wanted, qrels, given)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "figures": {str(measure): float(value) for measure, value in found.items()}}


def main():
    made = parser(__doc__)
    made.add_argument("--data-dir", help="XQuAD-R files; the languages that are there are measured")
    args = made.parse_args()
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return
    groups, repeats = (150, 1) if args.quick else (1190, args.repeats)
    part = ["de", "en", "es"] if args.quick else None
    base = {"data_dir": None if args.quick else args.data_dir, "langs": part, "only": None, "groups": groups}
    base["calls"] = 5 if args.quick else 1
    eleven = list(PUBLISHED["xquad-r"])
    tasks = {name: {**base, "run": name, "resamples": 0} for name in ("ours", "loop", "ranking", "pytrec_eval")}
    tasks["eleven"] = {**base, "data_dir": None, "langs": eleven, "run": "ours", "groups": 1190, "resamples": 10_000}
    tasks["eleven"]["calls"] = 1
    results = interleaved(__file__, tasks, repeats)
    for a, b in (("ours", "loop"), ("ranking", "pytrec_eval")):
        for name, value in results[a][0]["figures"].items():
            if abs(value - results[b][0]["figures"][name]) > 1e-4:
                sys.exit(f"{name}: {a} gives {value}, {b} {results[b][0]['figures'][name]}")
    own = results["eleven"]
    seconds = {name: median(found, "seconds") for name, found in results.items()}
    finish(
        [
            ("evaluate-against-loop", seconds["loop"] / seconds["ours"], 8, True),
            ("measures-against-pytrec_eval", seconds["pytrec_eval"] / seconds["ranking"], 20, True),
            ("eleven-languages-seconds", seconds["eleven"], 5, False),
            ("bootstrap-10000-seconds", median(own, "bootstrap_seconds"), 10, False),
        ],
        {"seconds": seconds, "results": results},
        args.json,
    )


if __name__ == "__main__":
    main()
