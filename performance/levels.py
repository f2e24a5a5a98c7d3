"""The level to subtract from a language's scores for `--fair balanced`, compared with alternatives.

    python performance/alignment.py mlqa-r --split parts
    python performance/levels.py parts/held --third --models best=runs/best,base=embedded    # tuned it
    python performance/levels.py parts/held --third --models best=runs/best --late           # cosines and tokens
    python performance/levels.py xquad-r --quick       # German and English, a third of the candidates

The folder is in LAReQA's layout. From each score are subtracted shares of the mean of its language's scores for the
query, and of the mean of the k highest of them; `standardised` subtracts the mean and divides by the standard
deviation. Columns: mAP in the pool of all languages, rank distance in ranks, and, if only one random answer to each
question is relevant, the mean reciprocal rank in the pool: of all questions, of those with the answer in their own
language, and of the others.
"""

from functools import partial

import numpy as np
from articles import parser, wanted

from isoglot.encoders.late_interaction import SHARE, late_scores
from isoglot.encoders.opening import open_embedder
from isoglot.measuring.balanced import balance
from isoglot.measuring.benchmark_vectors import encode_sides
from isoglot.measuring.scoring import score_matrix

GRID = [(0.5, 0, 3), (1, 0, 3), (0, 0.5, 3), (0, 0.5, 10), (0, 1, 10), (0.3, 0.5, 3), (0.7, 0.3, 3), (0.2, 0.8, 3)]
GRID += [(0.5, 0.5, k) for k in (1, 2, 3, 5, 10, 30)]


def main():
    made = parser(__doc__)
    made.add_argument("--late", action="store_true", help="cosines mixed with late interaction")
    given = made.parse_args()
    benchmark, models = wanted(given)
    print("| model | off each score | pool | rank distance | one answer: all | own language | others |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for label, name in models:
        encoder = open_embedder(name)
        sides = encode_sides(encoder, benchmark)
        scores = sides.queries.vectors @ sides.candidates.vectors.T
        if given.late:
            asked = encoder.encoded_tokens(benchmark.queries.texts, "query")
            held = encoder.encoded_tokens(benchmark.candidates.texts, "passage")
            scores = (1 - SHARE) * scores + SHARE * late_scores(asked, held)
        row(benchmark, scores, f"{label} | nothing", lambda _, scores: scores)
        row(benchmark, scores, f"{label} | standardised", standardised)
        row(benchmark, scores, f"{label} | the level", levelled)
        for mean, nearest, k in GRID:
            how = [f"{mean} of the mean"] * (mean > 0) + [f"{nearest} of the {k} highest"] * (nearest > 0)
            row(benchmark, scores, f"{label} | {', '.join(how)}", partial(less, mean=mean, nearest=nearest, k=k))


def row(benchmark, scores, what, correct):
    """Print a row: figures on the whole pool, and with a single answer to each question."""
    found = score_matrix(benchmark, correct(benchmark, scores))
    pool, distance = (found.macro("multilingual", name) for name in ("map", "rank_distance"))
    kept, others = one_answer(benchmark)
    alone = scores.copy()
    for query, columns in enumerate(others):  # the other answers keep their places, but with low scores
        alone[query, columns] = scores[query].min()
    corrected = correct(benchmark, alone)
    for query, columns in enumerate(others):
        corrected[query, columns] = -np.inf
    ranks = 1 + (corrected > corrected[np.arange(len(kept)), kept][:, None]).sum(axis=1)
    own = benchmark.candidates.lang[kept] == benchmark.queries.lang
    alone = " | ".join(f"{np.mean(1 / some):.3f}" for some in (ranks, ranks[own], ranks[~own]))
    print(f"| {what} | {pool:.3f} | {distance:.0f} | {alone} |", flush=True)


def one_answer(benchmark):
    """For each query, the candidate that stays relevant, drawn at random, and the other relevant ones."""
    draw, offsets = np.random.default_rng(0), benchmark.gold_offsets
    golds = [benchmark.gold[offsets[n] : offsets[n + 1]] for n in range(len(benchmark.queries))]
    kept = np.array([draw.choice(gold) for gold in golds])
    return kept, [gold[gold != one] for gold, one in zip(golds, kept, strict=True)]


def languages(benchmark):
    """The column indices of each language's candidates."""
    langs = benchmark.candidates.lang
    return [np.flatnonzero(langs == code) for code in np.unique(langs)]


def levelled(benchmark, scores):
    """Scores as balanced by `--fair balanced`."""
    found = scores.astype(np.float32)
    balance(benchmark, found)
    return found


def standardised(benchmark, scores):
    """Scores standardised within each language for each query: the earlier method of balancing."""
    found = np.empty_like(scores)
    for own in languages(benchmark):
        part = scores[:, own]
        found[:, own] = (part - part.mean(axis=1, keepdims=True)) / part.std(axis=1, keepdims=True)
    return found


def less(benchmark, scores, *, mean, nearest, k):
    """Subtract shares of the mean of the language's scores, and of the mean of its k highest."""
    found = np.empty_like(scores)
    for own in languages(benchmark):
        part = scores[:, own]
        highest = np.partition(part, -k, axis=1)[:, -k:].mean(axis=1, keepdims=True)
        found[:, own] = part - mean * part.mean(axis=1, keepdims=True) - nearest * highest
    return found


if __name__ == "__main__":
    main()
