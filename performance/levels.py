"""What comes off a language's scores before languages are compared (`--fair balanced`), and what else was tried.

    python performance/alignment.py mlqa-r --split parts
    python performance/levels.py parts/held --third --models best=runs/best,base=embedded    # chose it
    python performance/levels.py parts/held --third --models best=runs/best --late           # cosines and tokens
    python performance/levels.py xquad-r --quick       # German and English, a third of the candidates

The folder is in LAReQA's layout. Off each score come shares of the mean of its language's scores for the query, and of
the mean of the k highest of them; `standardised` is divided by their deviation instead. Columns: mAP in the pool of all
languages, rank distance in ranks, and the mean reciprocal rank there where a question has one answer left, drawn at
random: of all questions, of those whose answer is in their own language, and of the others.
"""

from functools import partial

import numpy as np
from articles import parser, wanted

from isoglot.encoders.late_interaction import SHARE, late_scores
from isoglot.encoders.opening import open_embedder
from isoglot.measuring.balanced import balance
from isoglot.measuring.scoring import score_matrix
from isoglot.measuring.sides import encode_sides

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
    """One line: the pool as it is, and with a single answer to each question."""
    found = score_matrix(benchmark, correct(benchmark, scores))
    pool, distance = (found.macro("multilingual", name) for name in ("map", "rank_distance"))
    kept, others = one_answer(benchmark)
    alone = scores.copy()
    for query, columns in enumerate(others):  # they are there, and say nothing
        alone[query, columns] = scores[query].min()
    corrected = correct(benchmark, alone)
    for query, columns in enumerate(others):
        corrected[query, columns] = -np.inf
    ranks = 1 + (corrected > corrected[np.arange(len(kept)), kept][:, None]).sum(axis=1)
    own = benchmark.candidates.lang[kept] == benchmark.queries.lang
    alone = " | ".join(f"{np.mean(1 / some):.3f}" for some in (ranks, ranks[own], ranks[~own]))
    print(f"| {what} | {pool:.3f} | {distance:.0f} | {alone} |", flush=True)


def one_answer(benchmark):
    """Of each query, the candidate that stays relevant, and the other relevant ones."""
    draw, offsets = np.random.default_rng(0), benchmark.gold_offsets
    golds = [benchmark.gold[offsets[n] : offsets[n + 1]] for n in range(len(benchmark.queries))]
    kept = np.array([draw.choice(gold) for gold in golds])
    return kept, [gold[gold != one] for gold, one in zip(golds, kept, strict=True)]


def languages(benchmark):
    """The columns of each language's candidates."""
    langs = benchmark.candidates.lang
    return [np.flatnonzero(langs == code) for code in np.unique(langs)]


def levelled(benchmark, scores):
    """As `--fair balanced` has it."""
    found = scores.astype(np.float32)
    balance(benchmark, found)
    return found


def standardised(benchmark, scores):
    """Less the mean of the language's, divided by their deviation: what balanced rankings went by before."""
    found = np.empty_like(scores)
    for own in languages(benchmark):
        part = scores[:, own]
        found[:, own] = (part - part.mean(axis=1, keepdims=True)) / part.std(axis=1, keepdims=True)
    return found


def less(benchmark, scores, *, mean, nearest, k):
    """Less a share of the mean of the language's, and of the mean of its k highest."""
    found = np.empty_like(scores)
    for own in languages(benchmark):
        part = scores[:, own]
        highest = np.partition(part, -k, axis=1)[:, -k:].mean(axis=1, keepdims=True)
        found[:, own] = part - mean * part.mean(axis=1, keepdims=True) - nearest * highest
    return found


if __name__ == "__main__":
    main()
