"""Analyse a model's cross-lingual errors on held-out articles of a LAReQA folder, and what linear maps would fix.

    python performance/alignment.py mlqa-r --split parts     # writes parts/train and parts/held as LAReQA folders
    python performance/alignment.py mlqa-r --split parts --models base=embedded --quick    # German and English alone
    python performance/alignment.py mlqa-r --split parts --models base=embedded --maps
    python performance/alignment.py mlqa-r --split parts --models base=embedded,hybrid=runs/hybrid --save held

Settings must not be tuned on the benchmark that is reported, so a fifth of the questions (whole articles, in every
language) is held out for tuning; the rest is for training. To keep scoring cheap, the candidates are all golds and a
third of the other sentences (the same third for every model).
"""

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
from articles import Joined, line, models, with_a_third
from harness import unit

from isoglot.core.output_folders import claimed_folder
from isoglot.data.benchmarks.lareqa import load_lareqa, read_lareqa
from isoglot.data.readers.lareqa_rows import lareqa_rows
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load
from isoglot.measuring.benchmark_vectors import encode_benchmark
from isoglot.measuring.scoring import score

SHARE, SEED = 0.2, 7
RIDGES = (1, 3, 10, 30)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="{lang}.json in LAReQA's layout, such as MLQA-R's")
    parser.add_argument("--split", type=Path, required=True, help="where train/ and held/ go, or are already")
    parser.add_argument("--models", default="", help="comma-separated LABEL=MODEL to score")
    parser.add_argument("--save", type=Path, help="folder for each model's figures, for isoglot compare")
    parser.add_argument("--quick", action="store_true", help="German and English alone")
    parser.add_argument("--maps", action="store_true", help="fit linear maps to English on the training part, too")
    given = parser.parse_args()
    if not (given.split / "held").is_dir():
        split(given.folder, given.split)
    langs = "de,en" if given.quick else None
    benchmark = with_a_third(load_lareqa(given.split / "held", "held", langs=langs))
    paragraph = {
        sentence.id: hash(sentence.context)
        for _, sentences, _ in read_lareqa(given.split / "held", None, published={})
        for sentence in sentences
    }
    print(f"{len(benchmark.queries)} queries, {len(benchmark.candidates)} candidates")
    for label, name in models(given.models):
        model = load(name)
        vectors = encode_benchmark(model, benchmark)
        report(label, benchmark, vectors, paragraph)
        if given.save:
            save(label, name, benchmark, vectors, given.save)
        if given.maps:
            maps(label, model, benchmark, vectors, given.split / "train")


def split(folder, target):
    """Split articles into train/ and held/; articles that share a question in any language stay together."""
    data = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    joined = Joined()

    def asked(article):
        return [question["id"] for paragraph in article["paragraphs"] for question in paragraph["qas"]]

    components = defaultdict(set)
    for lang, file in data.items():
        for number, article in enumerate(file["data"]):
            for question in asked(article):
                joined.join((lang, number), question)
    for file in data.values():
        for article in file["data"]:
            for question in asked(article):
                components[joined.root(question)].add(question)
    order = sorted(components.values(), key=min)
    random.Random(SEED).shuffle(order)
    wanted, held = SHARE * sum(map(len, order)), set()
    for questions in order:
        if len(held) >= wanted:
            break
        held |= questions
    for part, inside in (("train", False), ("held", True)):
        (target / part).mkdir(parents=True)
        for lang, file in data.items():
            kept = [article for article in file["data"] if bool(held.intersection(asked(article))) == inside]
            text = json.dumps({**file, "data": kept}, ensure_ascii=False)
            (target / part / f"{lang}.json").write_text(text, encoding="utf-8")


def report(label, benchmark, vectors, paragraph):
    """Print scores, and how often the gold ranks first in its language, or a sentence of its paragraph, or another."""
    print(f"| {label} | {line(benchmark, vectors)} |")
    queries, candidates = vectors
    similar = queries @ candidates.T
    lang, place = benchmark.candidates.lang, np.array([paragraph[key] for key in benchmark.candidates.ids])
    for setting in ("mono", "cross"):
        counts = defaultdict(int)
        for query, own in enumerate(benchmark.queries.lang):
            for gold in benchmark.gold[benchmark.gold_offsets[query] : benchmark.gold_offsets[query + 1]]:
                if (lang[gold] == own) != (setting == "mono"):
                    continue
                pool = np.flatnonzero(lang == lang[gold])
                first = pool[np.argmax(similar[query, pool])]
                right = similar[query, first] <= similar[query, gold]
                counts["right" if right else "its paragraph" if place[first] == place[gold] else "elsewhere"] += 1
        total = sum(counts.values())
        shares = ", ".join(f"{what} {counts[what] / total:.3f}" for what in ("right", "its paragraph", "elsewhere"))
        print(f"  first in {setting}: {shares}")


def save(label, name, benchmark, vectors, folder):
    """Write what `isoglot evaluate` would write for this model and these candidates."""
    with claimed_folder(folder / label) as target:
        score(benchmark, *(unit(side) for side in vectors), name=name).save(target, benchmark)


def maps(label, model, benchmark, vectors, folder):
    """Score centring, rotations and ridge regressions from each language to English, fitted on the training part."""
    rows = list(lareqa_rows(folder))
    sides = [
        encode(model, [getattr(row, key) for row in rows], role).vectors
        for key, role in (("query", "query"), ("passage", "passage"))
    ]
    english = {row.group: at for at, row in enumerate(rows) if row.lang == "en"}
    codes = np.array(benchmark.languages)
    langs = (codes[benchmark.queries.lang], codes[benchmark.candidates.lang])

    def mapped(fit):
        done = []
        for known, side, lang in zip(sides, vectors, langs, strict=True):
            side = side.copy()
            for code in benchmark.languages:
                own = [at for at, row in enumerate(rows) if row.lang == code and row.group in english]
                source, target = known[own], known[[english[rows[at].group] for at in own]]
                middle, wanted = source.mean(axis=0), target.mean(axis=0)
                here = lang == code
                side[here] = (side[here] - middle) @ fit(source - middle, target - wanted) + wanted
            done.append(side)
        return done

    one = np.eye(vectors[0].shape[1])
    print(f"| {label}, centred to English | {line(benchmark, mapped(lambda a, b: one))} |")

    def rotation(a, b):
        left, _, right = np.linalg.svd(a.T @ b + one)
        return left @ right

    print(f"| {label}, rotated to English | {line(benchmark, mapped(rotation))} |")
    for weight in RIDGES:
        found = mapped(lambda a, b, w=weight: one + np.linalg.solve(a.T @ a + w * one, a.T @ (b - a)))
        print(f"| {label}, ridge {weight} towards the identity | {line(benchmark, found)} |")


if __name__ == "__main__":
    main()
