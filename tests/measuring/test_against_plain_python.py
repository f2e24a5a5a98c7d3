"""Every measure of an evaluation against the definitions, written out for one query at a time."""

from itertools import combinations
from math import log2, nan

import numpy as np
import pytest
from scipy.stats import kruskal, spearmanr

from isoglot.data.benchmarks.benchmark import assemble
from isoglot.measuring.per_query import CROSS, DELETION, MONO, POOL
from isoglot.measuring.scoring import score

LANGUAGES = ("de", "en", "tr")


def random_problem(rng):
    """Queries (language, group), languages of passages, grades and scores.

    With ties, foreign answers alone, several answers in a language, and none.
    """
    asked = [(lang, group) for group in range(4) for lang in LANGUAGES if rng.random() < 0.8]
    pool = [str(lang) for lang in rng.choice(LANGUAGES, 16, p=[0.5, 0.3, 0.2])]
    pool[:3] = LANGUAGES
    often = rng.choice([0.05, 0.15, 0.4])
    grades = {q: {c: int(rng.integers(1, 4)) for c in range(16) if rng.random() < often} for q in range(len(asked))}
    grades[0] |= {0: 3, 1: 3}  # in two languages, so that the measures of bias are there
    scores = rng.integers(0, 12, (len(asked), 16)) / 16
    return asked, pool, grades, scores


def average_precision(ranks):
    return sum(n / rank for n, rank in enumerate(sorted(ranks), 1)) / len(ranks) if ranks else 0.0


def ndcg(ranks, grades, k=10):
    gains = sum(grade / log2(rank + 1) for rank, grade in zip(ranks, grades, strict=True) if rank <= k)
    ideal = sum(grade / log2(rank + 1) for rank, grade in enumerate(sorted(grades, reverse=True)[:k], 1))
    return gains / ideal if ideal else 0.0


def of_ranking(order, grades, lowest):
    """Every measure that needs no language, from the order of the passages."""
    rank = {c: n for n, c in enumerate(order, 1)}
    found = [rank[c] for c in grades if grades[c] >= lowest]
    share = {k: sum(r <= k for r in found) / len(found) if found else 0.0 for k in (1, 10, 100)}
    return {
        "map": average_precision(found),
        "mrr": max((1 / r for r in found), default=0.0),
        **{f"recall@{k}": share[k] for k in share},
        "ndcg@10": ndcg([rank[c] for c in grades], list(grades.values())),
    }


def of_languages(order, own, relevant, pool):
    """Every measure of language bias; nothing where the answers are not in several languages."""
    n, size, rank = len(relevant), len(order), {c: n for n, c in enumerate(order, 1)}
    by_language = {lang: [min(rank[c], 101) for c in relevant if pool[c] == lang] for lang in LANGUAGES}
    by_language = {lang: ranks for lang, ranks in by_language.items() if ranks}
    if len(by_language) < 2:
        return {}
    ranks = [rank[c] for c in relevant]
    best, worst = min(ranks), max(ranks)
    other = [rank[c] for c in relevant if pool[c] != own]
    return {
        "rank_distance": worst - best,
        "rank_distance_normalised": (worst - best - (n - 1)) / (size - n) if size > n else nan,
        "max@r": worst,
        "max@r_normalised": 100 * log2(size / worst) / log2(size / n) if size > n else nan,
        "comp@10": float(worst <= 10),
        "comp@100": 1.0,
        "lpr": float(pool[order[best - 1]] == own) if own in by_language else nan,
        "lpr_unbiased": 1 - len(other) / n if own in by_language else nan,
        "tlr@10": sum(r <= 10 for r in other) / len(other),
        "peer@100": kruskal(*by_language.values()).pvalue if n > len(by_language) else nan,
    }


def agreement(x, y):
    """Rank correlation of two lists of scores over the union of their ten best."""
    union = sorted({*np.argsort(-x, kind="stable")[:10], *np.argsort(-y, kind="stable")[:10]})
    return nan if np.ptp(x[union]) * np.ptp(y[union]) == 0 else spearmanr(x[union], y[union]).statistic


@pytest.mark.parametrize("seed", range(12))
def test_every_measure_of_every_setting(seed):
    rng = np.random.default_rng(seed)
    asked, pool, grades, scores = random_problem(rng)
    lowest = int(rng.integers(1, 4))
    benchmark = assemble(
        "random",
        [(f"q{q}", lang, f"g{group}", "?") for q, (lang, group) in enumerate(asked)],
        [(f"c{c:02}", lang, ".") for c, lang in enumerate(pool)],
        {f"q{q}": {f"c{c:02}": grade for c, grade in own.items()} for q, own in grades.items()},
        by="query",
    )
    place = {key: position for position, key in enumerate(benchmark.candidates.ids)}
    columns = np.array([place[f"c{c:02}"] for c in range(16)])
    rows = np.array([benchmark.queries.ids.index(f"q{q}") for q in range(len(asked))])
    # A passage's vector is a unit vector, so a query's vector is its list of scores.
    vectors = np.zeros((len(asked), 16), np.float32)
    vectors[rows[:, None], columns] = scores
    result = score(benchmark, vectors, np.eye(16, dtype=np.float32), relevant_from=lowest)

    ranking = [sorted(range(16), key=lambda c, own=own: (-own[c], columns[c])) for own in scores]
    answered = {(lang, pool[c]) for q, (lang, _) in enumerate(asked) for c in grades[q]}
    checked = set()
    for q, (own, group) in enumerate(asked):
        relevant = [c for c in grades[q] if grades[q][c] >= lowest]
        expected = {}
        for lang in LANGUAGES:
            inside = {c: grade for c, grade in grades[q].items() if pool[c] == lang}
            # Judged, but nothing found relevant: 0 in its own language, if that has answers to other queries.
            if inside or (not grades[q] and lang == own and (own, own) in answered):
                found = of_ranking([c for c in ranking[q] if pool[c] == lang], inside, lowest)
                expected |= {(MONO if lang == own else CROSS, name, own, lang): found[name] for name in found}
        found = of_ranking(ranking[q], grades[q], lowest) | of_languages(ranking[q], own, relevant, pool)
        found["same_language@10"] = sum(pool[c] == own for c in ranking[q][:10]) / 10
        with_others = [
            agreement(*(vectors[rows[x]] for x in pair))
            for pair in combinations([x for x in range(len(asked)) if asked[x][1] == group], 2)
            if q in pair
        ]
        known = [rho for rho in with_others if rho == rho]
        found["mrc@10"] = sum(known) / len(known) if known else nan
        expected |= {(POOL, name, own, "all"): found[name] for name in found}
        before = average_precision([ranking[q].index(c) + 1 for c in relevant])
        for lang in {pool[c] for c in relevant}:
            rest = [c for c in ranking[q] if c not in relevant or pool[c] != lang]
            left = [rest.index(c) + 1 for c in relevant if pool[c] != lang]
            expected[DELETION, "map", own, lang] = before - average_precision(left) if left else nan
        row = result.groups.index(f"g{group}")
        for (setting, measure), values in result.values.items():
            for (asking, answering), value in zip(values.cells, values.matrix[row], strict=True):
                if asking == own:
                    wanted = expected.get((setting, measure, own, answering), nan)
                    assert value == pytest.approx(wanted, abs=1e-6, nan_ok=True), (setting, measure, q, answering)
                    checked.add((setting, measure))
    assert checked == set(result.values)
    assert {name for setting, name in checked if setting == POOL} >= {"map", "tlr@10", "mrc@10", "rank_distance"}
