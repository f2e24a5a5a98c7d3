"""The cost of additional training languages for the others: train in more and more languages with equal steps.

    isoglot data from-lareqa mlqa-r --context-negatives 1 -o rows.jsonl
    python performance/language_curve.py rows.jsonl --languages de,en,zh,ar,hi,es,vi --sizes 3,5,7 -o curve \\
      --train "--regime hybrid --negatives 1 --max-steps 50 --lr 1e-4 --temperature .02 --query-length 64 \\
      --passage-length 96" --evaluate "--benchmark xquad-r --data-dir xquad-r"

    python performance/language_curve.py rows.jsonl --quick -o curve      # two and three languages, one seed, two steps

The first languages of --languages are in every training: models are first evaluated on these, with the same queries
and passages, then on all languages, including those that a model was not trained in. The number of steps does not
depend on the number of languages. Results that are already in the folder are reused.
"""

import argparse
import shlex
import shutil
from pathlib import Path

import numpy as np
from data_curve import figures_in, interval, isoglot, spread


def main() -> None:
    """Train and evaluate what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="a JSONL file of parallel rows")
    parser.add_argument("--languages", default="de,en,zh,ar,hi,es,vi", help="in the order in which they are added")
    parser.add_argument("--sizes", default="3,5,7", help="how many of them each training has; the fewest first")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--train", type=shlex.split, default=[], help="further flags of isoglot train")
    parser.add_argument("--evaluate", type=shlex.split, default=[], help="further flags of isoglot evaluate")
    parser.add_argument("--quick", action="store_true", help="two and three languages, one seed, two steps of eight")
    given = parser.parse_args()
    if given.quick:
        given.languages, given.sizes, given.seeds = "de,en,zh", "2,3", "0"
        given.train += ["--max-steps", "2", "--batch-size", "8"]
    languages = given.languages.split(",")
    sizes, seeds = [int(size) for size in given.sizes.split(",")], [int(seed) for seed in given.seeds.split(",")]
    sides = {"always trained": languages[: sizes[0]], "all": languages}
    found: dict[tuple[str, int, int], dict[str, float]] = {}
    for seed in seeds:
        for size in sizes:
            home = given.output / f"{size}-{seed}"
            if not all((home / side.split()[0] / "metrics.json").exists() for side in sides):
                shutil.rmtree(home, ignore_errors=True)
                made = ["--rows", given.rows, "--langs", ",".join(languages[:size]), "--seed", seed, "--save-steps", 0]
                isoglot("train", *made, *given.train, "-o", home / "model")
                for side, langs in sides.items():
                    asked = ["--langs", ",".join(langs), "--resamples", 0, "-o", home / side.split()[0]]
                    isoglot("evaluate", "--model", home / "model", *asked, *given.evaluate)
                shutil.rmtree(home / "model")
            for side in sides:
                found[side, size, seed] = figures_in(home / side.split()[0])
        tables(found, {side: ", ".join(langs) for side, langs in sides.items()}, sizes, seeds[: seeds.index(seed) + 1])


def tables(found: dict, sides: dict[str, str], sizes: list[int], seeds: list[int]) -> None:
    """Print means over seeds with their standard deviations, and each size's difference from the one before it."""
    names = list(next(iter(found.values())))
    for side, langs in sides.items():
        print(f"\nMeasured in {langs} ({side}); below each mean its difference from the size before, by seed, ± 95 %\n")
        print(f"| training languages | {' | '.join(names)} |\n|---:|{'---:|' * len(names)}")
        for place, size in enumerate(sizes):
            rows = np.array([list(found[side, size, seed].values()) for seed in seeds])
            print(f"| {size} | {' | '.join(map(spread, rows.T))} |")
            if place:
                before = np.array([list(found[side, sizes[place - 1], seed].values()) for seed in seeds])
                print(f"| | {' | '.join(map(interval, (rows - before).T))} |", flush=True)


if __name__ == "__main__":
    main()
