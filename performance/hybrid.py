"""Ablation of hybrid search: questions and names in held-out articles, with other weights and with rank fusion.

    python performance/alignment.py mlqa-r --split parts
    python performance/hybrid.py parts/held
    python performance/hybrid.py parts/held --grid    # tuned weight and exponent
    python performance/hybrid.py xquad-r --langs de,en --quick

Questions are those of a LAReQA folder, searched within a language, across two, in the pool of all, and in the pool with
balanced languages. Names simulate searches for known words: one or two of the three rarest words (of four letters or
more, in languages written with spaces) of each sentence that answers a question; that sentence is the answer. All
lists are 50 deep; figures are mean average precision, macro-averaged over languages or pairs of languages.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from harness import finish, parser

DEPTH = 50
WEIGHTS, EXPONENTS = (0.5, 1.0, 1.25, 1.5, 2.0), (0, 1, 2, 3)
NAMES = re.compile(r"\w{4,}")
UNSPACED = {"ja", "th", "zh"}


def main():
    made = parser(__doc__)
    made.add_argument("folder", type=Path, help="{lang}.json in LAReQA's layout, whole or held-out articles of it")
    made.add_argument("--langs", help="some of its languages")
    made.add_argument("--model", default="embedded")
    made.add_argument("--grid", action="store_true", help="other weights and exponents, too")
    args = made.parse_args()
    from isoglot.data.benchmarks.lareqa import load_lareqa
    from isoglot.search.index.building import build_index
    from isoglot.search.searcher import Searcher

    benchmark = load_lareqa(args.folder, "folder", langs=args.langs)
    texts = benchmark.candidates
    codes = [benchmark.languages[number] for number in texts.lang]
    notes = [
        {"id": id, "lang": lang, "text": text} for id, lang, text in zip(texts.ids, codes, texts.texts, strict=True)
    ]
    with TemporaryDirectory(prefix="isoglot-hybrid-") as scratch:
        build_index(notes, Path(scratch) / "index", args.model)
        searcher = Searcher.open(Path(scratch) / "index", light=True)
        sets = {"questions": list(questions(benchmark)), "names": list(names(benchmark, codes))}
        if args.quick:
            sets = {name: asked[:100] for name, asked in sets.items()}
        looked = {name: list(look(searcher, asked, list(benchmark.languages))) for name, asked in sets.items()}
        searcher.close()
    print(f"{len(texts)} passages; " + ", ".join(f"{len(asked)} {name}" for name, asked in sets.items()))
    record = {}

    def row(label, order):
        record[label] = {name: figures(lists, order) for name, lists in looked.items()}
        cells = (
            f"{name} {setting} {value:.3f}" for name, own in record[label].items() for setting, value in own.items()
        )
        print(f"{label:28} " + ", ".join(cells), flush=True)

    row("dense", lambda near, matched, text: near)
    row("lexical", lambda near, matched, text: matched)
    row("ranks fused", ranks_fused)
    row("hybrid", hybrid())
    for exponent in EXPONENTS if args.grid else ():
        for weight in WEIGHTS:
            row(f"weight {weight}, share ** {exponent}", hybrid(weight, exponent))
    own, before = record["hybrid"], record["ranks fused"]
    goals = [
        (f"{name}-{setting}-over-ranks-fused", own[name][setting] - before[name][setting], 0, True)
        for name in own
        for setting in own[name]
    ]
    finish(
        goals,
        {"passages": len(texts), "asked": {name: len(asked) for name, asked in sets.items()}, "map": record},
        args.json,
    )


def questions(benchmark):
    """Yield (text, language, relevant ids) of each question."""
    codes = benchmark.languages
    for number, text in enumerate(benchmark.queries.texts):
        relevant = {benchmark.candidates.ids[place] for place in benchmark.relevant(number)}
        yield text, codes[benchmark.queries.lang[number]], relevant


def names(benchmark, codes):
    """Yield the same for queries of rare words; the sentence that they were taken from is relevant."""
    draw, seen = random.Random(0), defaultdict(Counter)
    words = [sorted(set(NAMES.findall(text.lower()))) for text in benchmark.candidates.texts]
    for lang, own in zip(codes, words, strict=True):
        seen[lang].update(own)
    for place in np.unique(benchmark.gold).tolist():
        lang = codes[place]
        rare = sorted(words[place], key=lambda word: (seen[lang][word], word))[:3]
        if rare and lang not in UNSPACED:
            taken = draw.sample(rare, min(len(rare), draw.choice((1, 2))))
            yield " ".join(taken), lang, {benchmark.candidates.ids[place]}


def look(searcher, asked, languages):
    """Yield the dense and the lexical hits of every query, in every setting in which it has an answer."""
    from isoglot.search.candidates import matching, nearest

    index = searcher._index
    vectors = searcher.query_vectors([text for text, _, _ in asked])
    for (text, own, relevant), vector in zip(asked, vectors, strict=True):
        settings = [(lang, [lang], None) for lang in languages]
        for name, langs, apart in (*settings, ("pool", None, None), ("balanced", None, languages)):
            found = relevant if langs is None else {id for id in relevant if id.startswith(f"{name}:")}
            if found:
                near = nearest(index, vector, DEPTH, langs, apart=apart)
                yield text, own, name, found, near, matching(index, text, DEPTH, langs, apart=apart)


def figures(lists, order):
    """Mean average precision in each setting; relevant passages missing from a list count as 0."""
    from isoglot.measuring.measures import average_precision

    cells = defaultdict(list)
    for text, own, name, relevant, near, matched in lists:
        setting = name if name in ("pool", "balanced") else "mono" if name == own else "cross"
        ranked = order(list(near), list(matched), text)
        rank = {one.passage.document: rank for rank, one in enumerate(ranked, 1)}
        ranks = np.array([rank.get(id, np.inf) for id in relevant])
        cells[setting, own, name].append(average_precision(np.array([0, len(relevant)]), ranks)[0])
    means = defaultdict(list)
    for (setting, _, _), values in cells.items():
        means[setting].append(np.mean(values))
    return {
        setting: float(np.mean(means[setting])) for setting in ("mono", "cross", "pool", "balanced") if means[setting]
    }


def ranks_fused(near, matched, text):
    """Reciprocal rank fusion (Cormack et al. 2009), constant 60."""
    scores, known = defaultdict(float), {}
    for entries in (near, matched):
        for rank, one in enumerate(entries, 1):
            scores[one.key] += 1 / (60 + rank)
            known[one.key] = one
    return [known[key] for key in sorted(scores, key=lambda key: -scores[key])]


def hybrid(weight=None, exponent=None):
    """isoglot's hybrid ranking, optionally with another lexical weight and another exponent of the word share."""
    from isoglot.search import candidates

    def order(near, matched, text):
        copies = [
            [candidates.Candidate(one.passage, dict(one.parts), one.score) for one in side] for side in (near, matched)
        ]
        own = candidates.of_words
        if weight is not None:
            candidates.of_words = lambda scores, shares: weight * scores / max(scores.max(), 1e-6) * shares**exponent
        try:
            words = candidates.terms_of_text
            return candidates.fuse(*copies, words(text), lambda one: words(f"{one.passage.title} {one.passage.text}"))
        finally:
            candidates.of_words = own

    return order


if __name__ == "__main__":
    main()
