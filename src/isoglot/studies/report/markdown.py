"""A study as Markdown: findings, levels, differences, and the monolingual cost per language and family."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isoglot.languages.table import by_family, language
from isoglot.measuring.per_query import MONO
from isoglot.studies.report import words
from isoglot.studies.report.study_facts import MONO_ONLY, TITLES, StudyReport

DIFFERENCES_NOTE = "mAP in points (1 point = 0.01), rank distance in ranks; * means p < 0.05."
MONOLINGUAL_NOTE = (
    "Monolingual mAP and its change in points; * means p < 0.05 after Holm's correction over the languages "
    "(families: uncorrected)."
)


def render_markdown(study: StudyReport) -> str:
    """The whole report as Markdown."""
    parts = [
        f"# {words.title(study)}",
        "\n".join(f"- {line}" for line in words.in_short(study)),
        *words.setup(study),
        "## Retrieval and language bias",
        table(["regime", *TITLES.values()], headline_rows(study)),
        words.floor(study),
    ]
    for other in study.references:
        against = study.against(other)
        if against:
            parts += [
                f"## Differences to {other}",
                table(["regime", *TITLES.values()], difference_rows(study, other)),
                DIFFERENCES_NOTE,
                "\n".join(f"- {line}" for line in verdicts(study, other)),
                words.smallest(study, other),
            ]
    heading = "What it costs or gains monolingually" if len(study.regimes) > 1 else "Each language alone"
    parts += [f"## {heading}", "\n".join(_monolingual_lines(study)), MONOLINGUAL_NOTE]
    header, rows = monolingual_table(study)
    parts.append(table(header, rows))
    return "\n\n".join(part for part in parts if part) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, with the first column left-aligned and the others right-aligned."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def summary(rows: Sequence[Sequence[str]]) -> str:
    """Headline rows as an aligned plain-text table with a header."""
    lines = [["regime", *TITLES.values()], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def headline_rows(study: StudyReport) -> list[list[str]]:
    """One row per regime: its name and its headline figures with intervals."""
    return [
        [regime, *(words.level(study.levels.get((regime, measure)), measure) for measure in TITLES)]
        for regime in study.regimes
    ]


def difference_rows(study: StudyReport, other: str) -> list[list[str]]:
    """One row per regime: its name and its differences to a reference, with intervals."""
    return [
        [regime, *(words.difference(study.difference(regime, other, measure)) for measure in TITLES)]
        for regime in study.against(other)
    ]


def verdicts(study: StudyReport, other: str) -> list[str]:
    """One sentence for each regime that is compared with a reference."""
    lines = []
    for regime in study.against(other):
        found = [(name, study.difference(regime, other, measure)) for measure, name in TITLES.items()]
        said = [f"{name} {words.verdict(entry)}" for name, entry in found if entry is not None]
        lines.append(f"{regime} against {other}: {'; '.join(said)}.")
    return lines


def monolingual_table(study: StudyReport) -> tuple[list[str], list[list[str]]]:
    """Header and rows of monolingual mAP by language and family, with changes against the first regime and x-x-mono."""
    base = study.regimes[0]
    header = ["family", "language", "trained on", base]
    for regime in study.regimes[1:]:
        header += [regime, *(f"{regime} - {other}" for other in _others(study, regime))]
    rows = []
    for family, codes in by_family(study.stacks[0].languages).items():
        for code in codes:
            known = "-" if not study.trained_languages else "yes" if code in study.trained_languages else "no"
            cells = _monolingual_cells(study, {code}, code)
            rows.append([family, f"{language(code).name} ({code})", known, *cells])
        if len(codes) > 1:
            cells = _monolingual_cells(study, set(codes), f"family:{family}")
            rows.append([family, f"all {len(codes)}", "", *cells])
    return header, rows


def _monolingual_lines(study: StudyReport) -> list[str]:
    lines = []
    for other in study.references:
        for regime in study.against(other):
            said = words.monolingual(study, regime, other)
            named = f"{regime} against {other}"
            text = f"**{named}**{said.removeprefix(named)}"
            lines.append(f"- {' '.join(part for part in (text, words.families(study, regime, other)) if part)}")
    return lines


def _others(study: StudyReport, regime: str) -> list[str]:
    return [other for other in (study.regimes[0], MONO_ONLY) if other in study.references and other != regime]


def _monolingual_cells(study: StudyReport, langs: set[str], part: str) -> list[str]:
    cells = []
    for stack in study.stacks:
        matrix = stack.part((MONO, "map"), langs)
        means = [
            np.nanmean(matrix[:, :, index])
            for index in range(matrix.shape[2])
            if not np.isnan(matrix[:, :, index]).all()
        ]
        cells.append(f"{np.mean(means):.3f}" if means else "-")
        if stack.regime == study.regimes[0]:
            continue
        for other in _others(study, stack.regime):
            cells.append(words.difference(study.difference(stack.regime, other, "monolingual.map", part)))
    return cells
