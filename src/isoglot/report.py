"""A study in words and tables: what training did to each setting, and to each language and family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isoglot import __version__
from isoglot.compare import HEADLINE, LOWER_IS_BETTER, Comparison, Stack, level, stacked
from isoglot.data.benchmark import Benchmark
from isoglot.data.overlap import Overlap
from isoglot.evaluate import CROSS, MONO, POOL, Evaluation
from isoglot.languages import by_family, language
from isoglot.stats import Interval, minimal_detectable

BASELINE = "x-x-mono"
_TITLES = {
    "monolingual.map": "mono mAP",
    "cross_lingual.map": "cross mAP",
    "multilingual.map": "pool mAP",
    "multilingual.rank_distance": "rank distance",
}


@dataclass(frozen=True)
class StudyReport:
    """What a report is written from; see `isoglot.study`."""

    benchmark: Benchmark
    runs: Sequence[tuple[str, int | None, Evaluation]]
    comparisons: Sequence[Comparison]
    settings: dict[str, Any]
    trained_languages: tuple[str, ...]
    groups: int
    rows: int
    overlap: Overlap
    seeds: tuple[int, ...]
    resamples: int


def render_markdown(study: StudyReport) -> str:
    """The whole report as Markdown."""
    stacks = stacked([(regime, evaluation) for regime, _, evaluation in study.runs])
    regimes = [stack.regime for stack in stacks]
    parts = [
        f"# {', '.join(regimes[1:])} against the untouched model on {study.benchmark.name}",
        _setup(study),
        "## Retrieval and language bias",
        _levels(study, stacks),
    ]
    for other in (BASELINE, regimes[0]):
        against = [regime for regime in regimes if regime != other]
        if other in regimes and len(against) > 0:
            parts += [f"## Differences to {other}", _differences(study, against, other)]
    parts += ["## What it costs or gains monolingually", _monolingual(study, stacks)]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column left, the others right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def render_evaluation(result: Evaluation) -> str:
    """One run as text: macro means, then a row a query language."""
    lines = [
        f"{result.model} on {result.benchmark}",
        "",
        f"{'':<14}{'mAP':>8}{'R@1':>8}{'R@10':>8}{'rank distance':>16}",
    ]
    for setting in (MONO, CROSS, POOL):
        cells = [_figure(result.macro(setting, name)) for name in ("map", "recall@1", "recall@10")]
        distance = result.macro(setting, "rank_distance") if setting == POOL else math.nan
        lines.append(f"{setting:<14}{''.join(f'{cell:>8}' for cell in cells)}{_figure(distance, '.0f'):>16}".rstrip())
    lines += ["", f"{'query language':<20}{'mono':>8}{'cross':>8}{'pool':>8}{'rank distance':>16}"]
    per_language = result.metrics()["per_language"]
    for code in result.languages:
        own = per_language[code]
        cells = [_figure(own.get(setting, {}).get("map", math.nan)) for setting in (MONO, CROSS, POOL)]
        distance = own.get(POOL, {}).get("rank_distance", math.nan)
        label = f"{language(code).name} ({code})"
        lines.append(f"{label:<20}{''.join(f'{cell:>8}' for cell in cells)}{_figure(distance, '.0f'):>16}")
    lines += ["", "mAP by query language; - where there is nothing to measure"]
    return "\n".join(lines)


def summary(rows: Sequence[Sequence[str]]) -> str:
    """Headline rows as aligned text."""
    lines = [["regime", *_TITLES.values()], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def headline_rows(study: StudyReport) -> list[list[str]]:
    """Regime and its headline figures with intervals, a row each."""
    return _level_rows(study, stacked([(regime, evaluation) for regime, _, evaluation in study.runs]))


def _figure(value: float, form: str = ".3f") -> str:
    return "-" if math.isnan(value) else format(value, form)


def _setup(study: StudyReport) -> str:
    settings = study.settings
    benchmark = study.benchmark
    unseen = [code for code in benchmark.languages if code not in study.trained_languages]
    lines = [
        f"{len(benchmark.queries)} queries of {len(benchmark.groups)} question groups against "
        f"{len(benchmark.candidates)} candidates in {len(benchmark.languages)} languages "
        f"({' '.join(benchmark.languages)}). Trained on {study.rows} rows of {study.groups} groups in "
        f"{len(study.trained_languages)} languages ({' '.join(study.trained_languages)})"
        + (f"; never trained on: {' '.join(unseen)}." if unseen else "."),
        f"Model `{settings['model']}`; {settings['max_steps']} steps of {settings['batch_size']} pairs, learning rate "
        f"{settings['lr']:g}, temperature {settings['temperature']:g}, {settings['xy']} language pairs, token table "
        f"`{settings['embeddings']}`; seed{'s' if len(study.seeds) > 1 else ''} {', '.join(map(str, study.seeds))}. "
        f"isoglot {__version__}.",
        f"Brackets are 95 % intervals of a paired bootstrap over question groups ({study.resamples} resamples; all "
        "language versions of a question are drawn together"
        + (", and seeds too)." if len(study.seeds) > 1 else "). One seed: variance between trainings is not in them."),
    ]
    lines += list(benchmark.notes)
    if study.overlap:
        lines.append(
            f"**Not zero-shot**: {study.overlap.groups} groups, {study.overlap.queries} queries and "
            f"{study.overlap.passages} passages of the training rows also stand in the benchmark."
        )
    return "\n\n".join(lines)


def _levels(study: StudyReport, stacks: list[Stack]) -> str:
    header = ["regime", *_TITLES.values()]
    note = "mAP: higher is better. Rank distance: lower is better"
    least = len(study.benchmark.gold) / max(1, len(study.benchmark.queries)) - 1
    return f"{table(header, _level_rows(study, stacks))}\n\n{note}, at least about {least:.0f} here."


def _level_rows(study: StudyReport, stacks: list[Stack]) -> list[list[str]]:
    rows = []
    for stack in stacks:
        row = [stack.regime]
        for setting, measure in HEADLINE:
            found = level(stack, (setting, measure), resamples=study.resamples)
            row.append("-" if found is None else _level(found, measure))
        rows.append(row)
    return rows


def _differences(study: StudyReport, regimes: list[str], other: str) -> str:
    header = ["regime", *_TITLES.values()]
    rows, sentences = [], []
    for regime in regimes:
        row, words = [regime], []
        for name, title in _TITLES.items():
            found = _find(study.comparisons, regime, other, name, "all")
            row.append("-" if found is None else _difference(found))
            if found is not None:
                words.append(f"{title} {_verdict(found)}")
        rows.append(row)
        sentences.append(f"- {regime} against {other}: {'; '.join(words)}.")
    mdd = _detectable(study.comparisons, regimes, other)
    return (
        f"{table(header, rows)}\n\nmAP in points (1 point = 0.01), rank distance in ranks; * means p < 0.05.\n\n"
        + "\n".join(sentences)
        + mdd
    )


def _detectable(comparisons: Sequence[Comparison], regimes: list[str], other: str) -> str:
    found = _find(comparisons, regimes[-1], other, "monolingual.map", "all")
    if found is None:
        return ""
    error = (found.high - found.low) / (2 * 1.96)
    return (
        f"\n\nThe smallest monolingual difference that this benchmark would show with probability .8 is about "
        f"{100 * minimal_detectable(error):.1f} points ({regimes[-1]} against {other})."
    )


def _monolingual(study: StudyReport, stacks: list[Stack]) -> str:
    regimes = [stack.regime for stack in stacks]
    base = regimes[0]
    parts = []
    for regime in regimes[1:]:
        parts.append(_monolingual_words(study.comparisons, stacks[0], regime, base))
        if regime != BASELINE and BASELINE in regimes:
            parts.append(_monolingual_words(study.comparisons, stacks[0], regime, BASELINE))
    header = ["family", "language", "trained on", base]
    for regime in regimes[1:]:
        header += [regime, f"{regime} - {base}"]
        if regime != BASELINE and BASELINE in regimes:
            header.append(f"{regime} - {BASELINE}")
    rows = []
    for family, codes in by_family(stacks[0].languages).items():
        for code in codes:
            rows.append(
                [
                    family,
                    f"{language(code).name} ({code})",
                    "yes" if code in study.trained_languages else "no",
                ]
            )
            rows[-1] += _monolingual_cells(study, stacks, {code}, code)
        if len(codes) > 1:
            rows.append([family, f"*all {len(codes)}*", ""])
            rows[-1] += _monolingual_cells(study, stacks, set(codes), f"family:{family}")
    return (
        "\n".join(f"- {part}" for part in parts)
        + "\n\nMonolingual mAP and its change in points; * means p < 0.05 after Holm's correction over the languages "
        "(families: uncorrected).\n\n" + table(header, rows)
    )


def _monolingual_cells(study: StudyReport, stacks: list[Stack], langs: set[str], name: str) -> list[str]:
    regimes = [stack.regime for stack in stacks]
    cells = []
    for stack in stacks:
        matrix = stack.part((MONO, "map"), langs)
        means = [
            np.nanmean(matrix[:, :, index])
            for index in range(matrix.shape[2])
            if not np.isnan(matrix[:, :, index]).all()
        ]
        cells.append(f"{np.mean(means):.3f}" if means else "-")
        if stack.regime == regimes[0]:
            continue
        others = [regimes[0]] + ([BASELINE] if stack.regime != BASELINE and BASELINE in regimes else [])
        for other in others:
            found = _find(study.comparisons, stack.regime, other, "monolingual.map", name)
            cells.append("-" if found is None else _difference(found))
    return cells


def _monolingual_words(comparisons: Sequence[Comparison], stack: Stack, regime: str, other: str) -> str:
    """One sentence: in how many languages nothing significant happened, and where something did."""
    own = [
        found
        for code in stack.languages
        if (found := _find(comparisons, regime, other, "monolingual.map", code)) is not None
    ]
    losses = [found for found in own if found.significant and found.difference < 0]
    gains = [found for found in own if found.significant and found.difference > 0]
    named = [
        f"{word}: {', '.join(f'{language(found.slice).name} {_difference(found, star=False)}' for found in part)}"
        for word, part in (("significant losses", losses), ("significant gains", gains))
        if part
    ]
    text = f"**{regime} against {other}**: no significant monolingual loss in {len(own) - len(losses)} of {len(own)} languages"
    families = [
        f"{found.slice.removeprefix('family:')} {_difference(found, star=False)}"
        + ("" if found.significant else " (not significant)")
        for found in comparisons
        if (found.a, found.b, found.measure) == (regime, other, "monolingual.map") and found.slice.startswith("family:")
    ]
    return (
        "; ".join([text, *named])
        + "."
        + (f" Families of several languages: {'; '.join(families)}." if families else "")
    )


def _find(comparisons: Sequence[Comparison], regime: str, other: str, measure: str, name: str) -> Comparison | None:
    """The comparison regime - other, turned round where it was made the other way."""
    for found in comparisons:
        if (found.measure, found.slice) != (measure, name):
            continue
        if (found.a, found.b) == (regime, other):
            return found
        if (found.a, found.b) == (other, regime):
            return Comparison(
                regime,
                other,
                measure,
                name,
                -found.difference,
                -found.high,
                -found.low,
                found.p,
                found.groups,
            )
    return None


def _level(found: Interval, measure: str) -> str:
    if measure in LOWER_IS_BETTER:
        return f"{found.estimate:.0f} [{found.low:.0f}, {found.high:.0f}]"
    return f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _difference(found: Comparison, *, star: bool = True) -> str:
    mark = "*" if star and found.significant else ""
    if found.measure.rpartition(".")[2] in LOWER_IS_BETTER:
        return f"{found.difference:+.0f} [{found.low:+.0f}, {found.high:+.0f}]{mark}"
    return f"{100 * found.difference:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]{mark}"


def _verdict(found: Comparison) -> str:
    if not found.significant:
        return "shows no significant difference"
    better = (found.difference < 0) == (found.measure.rpartition(".")[2] in LOWER_IS_BETTER)
    return f"is significantly {'better' if better else 'worse'}"
