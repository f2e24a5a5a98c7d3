"""Differences between runs, with paired confidence intervals: overall, per language and per family."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.core.run_record import read_run
from isoglot.core.short_repr import brief
from isoglot.languages.table import slices
from isoglot.measuring.bootstrap import Interval, holm, interval, paired_differences
from isoglot.measuring.evaluation import Evaluation, check_measure
from isoglot.measuring.per_query import CROSS, DELETION, MONO, POOL
from isoglot.measuring.ranks import Floats

HEADLINE = ((MONO, "map"), (CROSS, "map"), (POOL, "map"), (POOL, "rank_distance"))
IN_RANKS = frozenset({"rank_distance", "max@r"})
# Smallest and largest value of the measures that are not shares.
_RANGES = {
    **dict.fromkeys(IN_RANKS, (0.0, float("inf"))),
    "max@r_normalised": (0.0, 100.0),
    "mrc@10": (-1.0, 1.0),
}
LOWER_IS_BETTER = IN_RANKS | {"rank_distance_normalised"}
# A high or a low value is good or bad only beside another one: the language's share, or the unbiased value.
NEITHER_IS_BETTER = frozenset(
    {"multilingual.same_language@10", "multilingual.lpr", "multilingual.lpr_unbiased", "one_target_deletion.map"}
)


@dataclass(frozen=True)
class Comparison:
    """Run a minus run b.

    Attributes:
        a, b: regimes.
        measure: `monolingual.map` and so on.
        slice: `all`, a language code, `family:NAME`, `script:NAME` (of several languages), `seen` or `unseen`.
        difference, low, high: estimate and 95 % interval.
        p: two-sided; for languages adjusted by Holm's method over the languages of one (a, b, measure), else raw.
        groups: number of question groups with a value.
    """

    a: str
    b: str
    measure: str
    slice: str
    difference: float
    low: float
    high: float
    p: float | None
    groups: int

    @property
    def significant(self) -> bool:
        """Whether p is under 0.05 (for a language: after Holm's correction)."""
        return self.p is not None and self.p < 0.05


class Stack(NamedTuple):
    """All seeds of one regime: (seeds, groups, cells) matrices by (setting, measure)."""

    regime: str
    languages: tuple[str, ...]
    groups: list[str]
    cells: dict[tuple[str, str], tuple[tuple[str, str], ...]]
    matrices: dict[tuple[str, str], Floats]
    trained: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        return brief(self)

    def part(self, key: tuple[str, str], langs: set[str]) -> Floats:
        """The cells whose query language is in `langs`: (seeds, groups, cells)."""
        if key not in self.matrices:  # nothing was measured there, such as pairs of a single language
            return np.empty((1, len(self.groups), 0))
        keep = [index for index, cell in enumerate(self.cells[key]) if cell[0] in langs]
        return self.matrices[key][:, :, keep]


def stacked(runs: Iterable[tuple[str, Evaluation]]) -> list[Stack]:
    """Stack the seeds of each regime, regimes in order of appearance.

    Args:
        runs: pairs (regime, evaluation), such as the items of a dict; several evaluations of one regime are its seeds.

    Raises:
        InputError: no runs, items that are not pairs, or runs on different benchmarks or languages.
    """
    runs = list(runs)
    if not runs:
        raise InputError("runs: there is none; expected (name, Evaluation) pairs")
    for run in runs:
        check_kind("runs: one of them", run, tuple, "a (name, Evaluation) pair")
    regimes: dict[str, list[Evaluation]] = {}
    for regime, evaluation in runs:
        regimes.setdefault(regime, []).append(evaluation)
    first = runs[0][1]
    for regime, evaluation in runs:
        if (evaluation.benchmark, evaluation.languages, evaluation.groups) != (
            first.benchmark,
            first.languages,
            first.groups,
        ):
            raise InputError(
                f"{regime}: measured on {_said(evaluation)}, but {runs[0][0]} on {_said(first)}; compare runs on the "
                "same queries"
            )
    return [
        Stack(
            regime,
            first.languages,
            first.groups,
            {key: values.cells for key, values in seeds[0].values.items()},
            {
                key: np.stack([seed.values[key].matrix for seed in seeds])
                for key in seeds[0].values
                if all(key in seed.values and seed.values[key].cells == seeds[0].values[key].cells for seed in seeds)
            },
            seeds[0].trained,
        )
        for regime, seeds in regimes.items()
    ]


def _said(evaluation: Evaluation) -> str:
    languages = ",".join(evaluation.languages)
    return f"{evaluation.benchmark} {languages} ({len(evaluation.groups)} question groups)"


def notes_of(runs: Sequence[tuple[str, Evaluation]]) -> list[str]:
    """The runs' notes for readers of the figures; those that not all of them have with the names of the runs."""
    names: dict[str, list[str]] = {}
    for name, run in runs:
        for note in run.notes:
            names.setdefault(note, []).append(name)
    return [
        note if len(own) == len(runs) else f"{', '.join(dict.fromkeys(own))}: {note}" for note, own in names.items()
    ]


def run_folders(specs: Sequence[str]) -> list[tuple[str, Path]]:
    """Find the evaluations to compare: (name, folder) of each, in the order given.

    Args:
        specs: FOLDER or NAME=FOLDER, written by `isoglot evaluate` or by `isoglot study` (all its runs, named after
            their regimes). Without a NAME, a run is named after its folder; if runs of different specs then share a
            name, the name of the folder or of its parent is put before it. So only runs that are given the same NAME
            become seeds of one regime.

    Raises:
        InputError: fewer than two runs, folders without runs, or runs on different benchmarks or with different
            lowest relevant grades.
    """
    found: list[tuple[int, str, Path]] = []  # number of the spec, name, folder
    given: dict[int, Path] = {}  # folders without a NAME, by number
    for number, spec in enumerate(specs):
        # A folder's name may contain an equals sign.
        name, equals, place = ("", "", spec) if Path(spec).is_dir() else spec.partition("=")
        folder = Path(place if equals else spec)
        if equals and not name:
            raise InputError(f"{spec}: no name before the equals sign; expected NAME=FOLDER")
        if not equals:
            given[number] = folder.resolve()
        found += [(number, called, inner) for called, inner in _runs_in(folder, name)]
    named = [(_apart(number, name, found, given), folder) for number, name, folder in found]
    if len(named) < 2:
        raise InputError("one run is not enough to compare; name two or more folders")
    _refuse_unlike([folder for _, folder in named])
    return named


def _runs_in(folder: Path, name: str) -> list[tuple[str, Path]]:
    """The evaluations that isoglot wrote into a folder: one, or all of a study, with their names."""
    if (folder / "study.json").is_file():
        inner = sorted(path.parent for path in (folder / "runs").glob("*/run.json"))
        if not inner:
            raise InputError(f"{folder}: a study without finished runs; let it finish first")
        inner.sort(key=lambda path: path.name != "base")
        prefix = f"{name} " if name else ""
        return [(prefix + path.name.partition("-seed")[0], path) for path in inner]
    if (folder / "metrics.json").is_file():
        return [(name or folder.resolve().name, folder)]
    raise InputError(f"{folder}: neither metrics.json nor study.json here; name folders that isoglot wrote")


def _refuse_unlike(folders: Sequence[Path]) -> None:
    """Raise InputError if runs were measured on different benchmarks or with different lowest relevant grades."""
    records = {folder: read_run(folder) or {} for folder in folders}
    sums = {folder: record.get("data", {}).get("benchmark") for folder, record in records.items()}
    known = {checksum: folder for folder, checksum in sums.items() if checksum}
    if len(known) > 1:
        raise InputError(
            f"{' and '.join(map(str, known.values()))}: measured on different texts or judgements (the checksums in "
            "run.json differ); evaluate all on one benchmark with the same `langs`"
        )
    lowest = {record.get("settings", {}).get("relevant_from", 1): folder for folder, record in records.items()}
    if len(lowest) > 1:
        raise InputError(
            f"{' and '.join(map(str, lowest.values()))}: the lowest relevant grade is "
            f"{' and '.join(f'{grade:g}' for grade in lowest)} (relevant_from in run.json); evaluate all with the same"
        )


def _apart(number: int, name: str, found: list[tuple[int, str, Path]], given: dict[int, Path]) -> str:
    """A run's name, made unique with that of its folder if it was given no NAME and another run has the same name."""
    if number not in given or all(other == number or called != name for other, called, _ in found):
        return name
    own = given[number]
    if own.name == name:
        return f"{own.parent.name}/{name}"
    alike = [folder.name for folder in given.values()].count(own.name) > 1
    return f"{own.parent.name}/{own.name} {name}" if alike else f"{own.name} {name}"


def parse_measures(texts: Sequence[str], stacks: list[Stack]) -> tuple[tuple[str, str], ...]:
    """Parse `setting.measure` names; without any, return the headline measures that all runs have.

    Raises:
        InputError: a measure that some run lacks.
    """
    shared = [key for key in stacks[0].matrices if all(key in stack.matrices for stack in stacks)]
    if not texts:
        chosen = tuple(key for key in HEADLINE if key in shared)
        if (POOL, "rank_distance") in shared:
            return chosen
        return (*chosen, *(key for key in ((MONO, "ndcg@10"), (MONO, "recall@100")) if key in shared))
    known = {f"{setting}.{measure}": (setting, measure) for setting, measure in shared}
    unknown = [text for text in texts if text not in known]
    if unknown:
        raise InputError(f"measures: no {', '.join(unknown)} in these runs; there are: {', '.join(sorted(known))}")
    return tuple(known[text] for text in texts)


def macro_interval(stack: Stack, key: tuple[str, str], *, resamples: int) -> Interval | None:
    """Macro mean of one regime with its interval; None if the setting has no query.

    The variance between seeds is added as if it were normal, so an interval ends where the measure's values end.
    """
    matrix = stack.matrices.get(key)
    if matrix is None or np.isnan(matrix).all():
        return None
    found = interval(matrix, resamples=resamples)
    least, most = (-1.0, 1.0) if key[0] == DELETION else _RANGES.get(key[1], (0.0, 1.0))
    return replace(found, low=max(found.low, least), high=min(found.high, most))


def compare(
    stacks: list[Stack], *, resamples: int = 10_000, measures: Sequence[tuple[str, str]] = HEADLINE
) -> list[Comparison]:
    """Compare every regime with every earlier one.

    Overall, per language, family and script, and by languages seen or unseen in training, with Holm's correction over
    the languages of one comparison.

    Args:
        stacks: from `stacked`.
        resamples: of the bootstrap.
        measures: pairs (setting, measure); those that a run lacks are left out.

    Raises:
        InputError: items of `stacks` that are not stacks, or of `measures` that are not pairs or name no measure.

    Example:
        Vectors that find every answer, compared with vectors that are all identical:

        >>> import numpy as np
        >>> from isoglot import Benchmark, evaluate
        >>> from isoglot.measuring import compare, stacked
        >>> benchmark = Benchmark.from_dicts(
        ...     queries={f"q{n}": f"Frage {n}" for n in range(6)},
        ...     passages={f"p{n}": f"Antwort {n}" for n in range(6)},
        ...     qrels={f"q{n}": {f"p{n}": 1} for n in range(6)},
        ...     languages="de",
        ... )
        >>> alike, exact = np.ones((6, 6)), np.eye(6)
        >>> runs = [("alike", evaluate((alike, alike), benchmark)), ("exact", evaluate((exact, exact), benchmark))]
        >>> found = compare(stacked(runs), resamples=100)
        >>> [(one.a, one.b, one.measure, round(one.difference, 2)) for one in found if one.slice == "all"]
        [('exact', 'alike', 'monolingual.map', 0.59), ('exact', 'alike', 'multilingual.map', 0.59)]
    """
    for stack in stacks:
        check_kind("stacks: one of them", stack, Stack, "what `stacked` makes of (name, Evaluation) pairs")
    for key in measures:
        check_kind("measures: one of them", key, tuple, "(setting, measure), such as ('multilingual', 'map')")
        setting, measure = key
        check_measure(setting, measure, (one for stack in stacks for one in stack.matrices))
    found: list[Comparison] = []
    for index, later in enumerate(stacks):
        for earlier in stacks[:index]:
            found += _differences(later, earlier, measures, resamples)
    return found


def _differences(a: Stack, b: Stack, measures: Sequence[tuple[str, str]], resamples: int) -> list[Comparison]:
    known = {run.trained for run in (a, b) if run.trained is not None}
    # If the two were trained on different languages, no slices of seen and unseen languages are made.
    parts = {
        name: set(own)
        for name, own in slices(a.languages, known.pop() if len(known) == 1 else None).items()
        if len(own) > 1 or not name.startswith(("family:", "script:"))
    }
    columns = {
        key: {
            name: np.array([index for index, cell in enumerate(a.cells[key]) if cell[0] in own], np.int64)
            for name, own in parts.items()
        }
        for key in measures
        if key in a.matrices and key in b.matrices and a.cells[key] == b.cells[key]
    }
    results = paired_differences(a.matrices, b.matrices, columns, resamples=resamples)
    found: list[Comparison] = []
    for key, by_slice in results.items():
        languages = [name for name in by_slice if name in a.languages]
        adjusted = dict(zip(languages, holm([by_slice[name].p or 0.0 for name in languages]), strict=True))
        for name, result in by_slice.items():
            found.append(
                Comparison(
                    a.regime,
                    b.regime,
                    f"{key[0]}.{key[1]}",
                    name,
                    result.estimate,
                    result.low,
                    result.high,
                    float(adjusted[name]) if name in adjusted else result.p,
                    result.groups,
                )
            )
    return found
