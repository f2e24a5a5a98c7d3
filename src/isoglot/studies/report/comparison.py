"""A comparison of runs in words and tables (Markdown), and as a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from isoglot.languages.table import language
from isoglot.measuring.bootstrap import FEWEST_GROUPS
from isoglot.measuring.comparing import Comparison, Stack, macro_interval, notes_of
from isoglot.measuring.evaluation import Evaluation
from isoglot.studies.report.markdown import table
from isoglot.studies.report.study_facts import detectable, has_direction, in_ranks, lower_is_better, unit
from isoglot.studies.report.words import difference, level, ranks, too_few, verdict

Measure = tuple[str, str]


def render_comparison(
    runs: Sequence[tuple[str, Evaluation]],
    stacks: Sequence[Stack],
    found: Sequence[Comparison],
    measures: Sequence[Measure],
    *,
    resamples: int,
) -> str:
    """Render levels, then every run against each earlier one, in sentences and per language.

    Args:
        runs: pairs (name, evaluation), in order; several with one name are seeds.
        stacks: the same runs, stacked.
        found: from `comparing.compare`.
        measures: the measures to show.
        resamples: of the bootstrap.
    """
    first = runs[0][1]
    parts = [
        f"# {', '.join(stack.regime for stack in stacks[1:])} against {stacks[0].regime} on {first.benchmark}",
        _setup(stacks, runs, resamples),
        table(
            ["run", "seeds", *(f"{setting} {measure}" for setting, measure in measures)],
            [
                [
                    stack.regime,
                    str(sum(name == stack.regime for name, _ in runs)),
                    *(level(macro_interval(stack, key, resamples=resamples), ".".join(key)) for key in measures),
                ]
                for stack in stacks
            ],
        ),
    ]
    for index, stack in enumerate(stacks):
        for other in stacks[:index]:
            own = {(entry.measure, entry.slice): entry for entry in found if (entry.a, entry.b) == _names(stack, other)}
            parts += [f"## {stack.regime} against {other.regime}", _sentences(own, stack, other, measures)]
            parts.append(_by_slice(own, stack, measures))
    return "\n\n".join(parts) + "\n"


def comparison_record(runs: Sequence[tuple[str, Evaluation]], found: Sequence[Comparison]) -> dict[str, Any]:
    """The content of `comparison.json`: runs with their metrics, and all differences."""
    return {
        "runs": [{"run": name, "metrics": evaluation.metrics()} for name, evaluation in runs],
        "comparisons": [{**asdict(entry), "significant": entry.significant} for entry in found],
    }


def _setup(stacks: Sequence[Stack], runs: Sequence[tuple[str, Evaluation]], resamples: int) -> str:
    first = runs[0][1]
    single = [stack.regime for stack in stacks if all(len(matrix) == 1 for matrix in stack.matrices.values())]
    if len(single) == len(stacks):
        seeds = "). One run a name: variance between trainings is not in them."
    else:
        seeds = "; the variance between seeds is added" + (f", but {', '.join(single)}: one run)." if single else ").")
    text = (
        f"{len(first.groups)} question groups in {len(first.languages)} languages ({' '.join(first.languages)}), "
        f"{sum(first.candidates.values())} candidates. Brackets are 95 % intervals of a paired bootstrap over groups "
        f"({resamples} resamples; all language versions of a question are drawn together"
        + seeds
        + " Differences are in points (0.01), of ranks in ranks; * means p < 0.05, for languages after Holm's "
        "correction over them."
    )
    return "\n\n".join([text, *notes_of(runs)])


def _sentences(own: dict[tuple[str, str], Comparison], stack: Stack, other: Stack, measures: Sequence[Measure]) -> str:
    lines = []
    for setting, measure in measures:
        name = f"{setting}.{measure}"
        overall = own.get((name, "all"))
        if overall is None:
            continue
        by_language = [own[name, code] for code in stack.languages if (name, code) in own]
        text = f"- **{setting} {measure}** {verdict(overall)} ({difference(overall, star=False)})"
        if len(by_language) > 1:
            text += _languages(by_language, directed=has_direction(name))
        lines.append(f"{text}.{_smallest(overall)}")
    return "\n".join(lines) or f"{stack.regime} and {other.regime} share no measure of these."


def _languages(found: Sequence[Comparison], *, directed: bool) -> str:
    """In which languages a run is significantly worse or better; or lower or higher, if neither is better."""
    down = [entry for entry in found if entry.significant and not _better(entry)]
    up = [entry for entry in found if entry.significant and _better(entry)]
    text = ""
    if directed:
        text = f"; no significant loss in {len(found) - len(down)} of {len(found)} languages{too_few(found)}"
    for word, part in (("losses" if directed else "lower", down), ("gains" if directed else "higher", up)):
        if part:
            text += f"; {word}: " + ", ".join(f"{language(e.slice).name} {difference(e, star=False)}" for e in part)
    return text


def _smallest(overall: Comparison) -> str:
    """One sentence on the smallest difference that would be found; empty if all groups differ alike."""
    if overall.low == overall.high:
        return ""
    if overall.groups < FEWEST_GROUPS:
        return f" {overall.groups} question groups are too few to show any difference; {FEWEST_GROUPS} are the least."
    smallest = unit(overall.measure) * detectable(overall)
    said = f"{smallest:{ranks(smallest)}} ranks" if in_ranks(overall.measure) else f"{smallest:.1f} points"
    return f" A true difference of {said} would be found with probability .8."


def _by_slice(own: dict[tuple[str, str], Comparison], stack: Stack, measures: Sequence[Measure]) -> str:
    names = [f"{setting}.{measure}" for setting, measure in measures]
    slices = list(dict.fromkeys(part for _, part in own))
    rows = []
    for part in slices:
        label = f"{language(part).name} ({part})" if part in stack.languages else part.replace(":", " ")
        rows.append([label, *(difference(own.get((name, part))) for name in names)])
    return table(["query language", *(name.replace(".", " ") for name in names)], rows)


def _better(entry: Comparison) -> bool:
    return (entry.difference < 0) == lower_is_better(entry.measure)


def _names(stack: Stack, other: Stack) -> tuple[str, str]:
    return stack.regime, other.regime
