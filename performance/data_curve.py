"""How much parallel data is needed: train on subsets of the groups, evaluate on one benchmark, and fit a curve.

    isoglot data from-lareqa mlqa-r --context-negatives 1 -o rows.jsonl
    python performance/data_curve.py rows.jsonl --sizes 64,128,256,512,all --seeds 0,1,2 -o curve \\
      --train "--negatives 1 --max-steps 50 --lr 1e-4 --temperature .02 --query-length 64 --passage-length 96" \\
      --evaluate "--benchmark xquad-r --data-dir xquad-r"

    python performance/data_curve.py rows.jsonl --quick -o curve     # 16, 32 and 64 groups, one seed, two steps

A seed selects the groups (smaller sizes are subsets of larger ones) and seeds the training; both regimes of a seed use
the same groups and number of steps. Results that are already in the folder are reused. The fit is a straight line over
the logarithm of the number of groups, by least squares over all trainings; beyond the largest size it is an
extrapolation, and its interval (95 %, for the mean of trainings) does not account for curves that flatten.
"""

import argparse
import json
import random
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy import stats

FIGURES = {
    "mono mAP": ("monolingual", "map"),
    "cross mAP": ("cross_lingual", "map"),
    "pool mAP": ("multilingual", "map"),
    "rank distance": ("multilingual", "rank_distance"),
}
BEYOND = (10_000, 100_000)


def main() -> None:
    """Train and evaluate what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="a JSONL file of parallel rows")
    parser.add_argument("--sizes", default="64,128,256,512,all", help="groups, comma-separated; made in this order")
    parser.add_argument("--regimes", default="x-x-mono,hybrid")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--train", type=shlex.split, default=[], help="further flags of isoglot train")
    parser.add_argument("--evaluate", type=shlex.split, default=[], help="further flags of isoglot evaluate")
    parser.add_argument("--quick", action="store_true", help="16, 32 and 64 groups, one seed, two steps of eight")
    given = parser.parse_args()
    if given.quick:
        given.sizes, given.seeds = "16,32,64", "0"
        given.train += ["--max-steps", "2", "--batch-size", "8"]
    groups: dict[str, list[str]] = {}
    for line in given.rows.read_text(encoding="utf-8").splitlines():
        groups.setdefault(json.loads(line)["group"], []).append(line)
    sizes = [len(groups) if size == "all" else int(size) for size in given.sizes.split(",")]
    regimes, seeds = given.regimes.split(","), [int(seed) for seed in given.seeds.split(",")]
    found = {}
    for size in sizes:
        for seed in seeds:
            drawn = sorted(groups)
            random.Random(seed).shuffle(drawn)
            home = given.output / f"{size}-{seed}"
            home.mkdir(parents=True, exist_ok=True)
            rows = home / "rows.jsonl"
            rows.write_text("".join(f"{line}\n" for group in drawn[:size] for line in groups[group]), encoding="utf-8")
            for regime in regimes:
                found[size, seed, regime] = measured(home / regime, rows, regime, seed, given)
        tables(found, sizes[: sizes.index(size) + 1], seeds, regimes)


def measured(home: Path, rows: Path, regime: str, seed: int, given: argparse.Namespace) -> dict[str, float]:
    """The figures of one training, which is run if they are missing."""
    if not (home / "metrics.json").exists():
        shutil.rmtree(home, ignore_errors=True)
        model = home.with_name(f"{regime}-model")
        how = ["--rows", rows, "--regime", regime, "--seed", seed, "--save-steps", 0, "--overwrite", "-o", model]
        isoglot("train", *how, *given.train)
        isoglot("evaluate", "--model", model, "--resamples", 0, "-o", home, *given.evaluate)
        shutil.rmtree(model)
    return figures_in(home)


def figures_in(home: Path) -> dict[str, float]:
    """Read the headline figures that `isoglot evaluate` wrote."""
    metrics = json.loads((home / "metrics.json").read_text(encoding="utf-8"))
    return {name: metrics[setting][measure] for name, (setting, measure) in FIGURES.items()}


def isoglot(*args: object) -> None:
    """Run an isoglot command."""
    subprocess.run([sys.executable, "-m", "isoglot", *map(str, args)], check=True, stdout=subprocess.DEVNULL)


def tables(found: dict, sizes: list[int], seeds: list[int], regimes: list[str]) -> None:
    """Print means over seeds with their standard deviations, paired differences, and the fitted lines."""
    names = list(next(iter(found.values())))
    print(f"\n| groups | regime | {' | '.join(names)} |\n|---:|---|{'---:|' * len(names)}")
    for size in sorted(sizes):
        for regime in regimes:
            rows = np.array([list(found[size, seed, regime].values()) for seed in seeds])
            print(f"| {size} | {regime} | {' | '.join(map(spread, rows.T))} |")
    first, *others = regimes
    for other in others:
        print(f"\n{other} less {first}, by seed; beside the mean its 95 % interval (t, {len(seeds) - 1} degrees)\n")
        print(f"| groups | {' | '.join(names)} |\n|---:|{'---:|' * len(names)}")
        for size in sorted(sizes):
            rows = [[found[size, s, other][n] - found[size, s, first][n] for n in names] for s in seeds]
            print(f"| {size} | {' | '.join(map(interval, np.array(rows).T))} |")
    if len(sizes) < 3:
        return
    print("\nFitted over log2(groups): a doubling brings, and what the line says at more groups\n")
    print(f"| regime | figure | a doubling | {' | '.join(f'{n:,}' for n in BEYOND)} |\n|---|---|---:|---:|---:|")
    for regime in regimes:
        for name in names:
            points = [(np.log2(n), found[n, s, regime][name]) for n in sorted(sizes) for s in seeds]
            print(f"| {regime} | {name} | {' | '.join(line(np.array(points)))} |", flush=True)


def line(points: np.ndarray) -> list[str]:
    """The slope with its interval, then the line's value at each of `BEYOND` with the interval of its mean."""
    x, y = points.T
    fit = stats.linregress(x, y)
    wide = stats.t.ppf(0.975, len(x) - 2)
    left = np.sqrt(np.sum((y - fit.intercept - fit.slope * x) ** 2) / (len(x) - 2))
    cells = [f"{fit.slope:+.4f} ± {wide * fit.stderr:.4f}"]
    for size in BEYOND:
        at = np.log2(size)
        error = left * np.sqrt(1 / len(x) + (at - x.mean()) ** 2 / np.sum((x - x.mean()) ** 2))
        cells.append(f"{fit.intercept + fit.slope * at:.3f} ± {wide * error:.3f}")
    return cells


def spread(values: np.ndarray) -> str:
    """Mean and standard deviation over seeds."""
    return f"{values.mean():.4g} ± {values.std(ddof=1):.2g}" if len(values) > 1 else f"{values[0]:.4g}"


def interval(values: np.ndarray) -> str:
    """Mean and half-width of its 95 % interval (Student's t)."""
    if len(values) == 1:
        return f"{values[0]:+.3g}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3g} ± {half:.2g}"


if __name__ == "__main__":
    main()
