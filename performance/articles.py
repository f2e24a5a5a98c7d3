"""Shared code of the programs that score models on a folder in LAReQA's layout: arguments, benchmark, figures."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness import unit

from isoglot.data.benchmarks.benchmark import Texts
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.measuring.scoring import score


def parser(doc, *, needed=True):
    """Return a parser with the arguments that these programs share; the folder is optional unless `needed`."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("folder", type=Path, nargs=None if needed else "?", help="{lang}.json in LAReQA's layout")
    made.add_argument("--models", default="base=embedded", help="comma-separated LABEL=MODEL")
    made.add_argument("--third", action="store_true", help="all golds and a third of the other candidates")
    made.add_argument("--quick", action="store_true", help="German and English alone, a third of the candidates")
    return made


def wanted(given):
    """The benchmark and (label, model) pairs that the arguments name."""
    benchmark = load_lareqa(given.folder, given.folder.name, langs="de,en" if given.quick else None)
    if given.third or given.quick:
        benchmark = with_a_third(benchmark)
    return benchmark, models(given.models)


def models(text):
    """Parse comma-separated LABEL=MODEL into (label, model) pairs."""
    return [tuple(pair.split("=", 1)) for pair in text.split(",") if pair]


class Joined:
    """Connected components of keys (union-find)."""

    def __init__(self):
        self._parent = {}

    def root(self, key):
        """The representative of a key's component."""
        while self._parent.setdefault(key, key) != key:
            self._parent[key] = key = self._parent[self._parent[key]]
        return key

    def join(self, one, other):
        self._parent[self.root(one)] = self.root(other)


def with_a_third(benchmark):
    """Reduce a benchmark to all golds and a random third of the other candidates."""
    kept = np.zeros(len(benchmark.candidates), dtype=bool)
    kept[benchmark.gold] = True
    others = np.flatnonzero(~kept)
    kept[np.random.default_rng(0).choice(others, len(others) // 3, replace=False)] = True
    places, new = np.flatnonzero(kept), np.cumsum(kept) - 1
    every = benchmark.candidates
    candidates = Texts([every.ids[at] for at in places], [every.texts[at] for at in places], every.lang[places])
    contexts = None if benchmark.contexts is None else [benchmark.contexts[at] for at in places]
    return replace(benchmark, candidates=candidates, gold=new[benchmark.gold], contexts=contexts)


def line(benchmark, vectors):
    """Mono, cross and pool mAP and rank distance of vectors, as cells of a table row."""
    found = score(benchmark, *(unit(side) for side in vectors), name="")
    pool = found.macro("multilingual", "map")
    values = (found.macro("monolingual", "map"), found.macro("cross_lingual", "map"), pool)
    return " | ".join(f"{value:.3f}" for value in values) + f" | {found.macro('multilingual', 'rank_distance'):.0f}"
