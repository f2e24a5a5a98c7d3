"""A study's numbers for other programs: CSV in long form, and a LaTeX table."""

from __future__ import annotations

import csv
import io
import re

import numpy as np

from isoglot.compare import HEADLINE
from isoglot.report import words
from isoglot.report.facts import TITLES, StudyReport
from isoglot.report.markdown import headline_rows
from isoglot.stats import macro_mean

COLUMNS = ("kind", "regime", "against", "measure", "slice", "value", "low", "high", "p", "groups")

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def render_csv(study: StudyReport) -> str:
    """All levels and differences, a row each, with a header.

    `kind` is `level` or `difference` (then `against` names the other regime). `slice` is `all`, a language code
    (the query's) or `family:NAME`. Values are as measured: mAP from 0 to 1, rank distance in ranks. Levels of
    single languages carry no interval.
    """
    stream = io.StringIO()
    rows = csv.writer(stream, lineterminator="\n")
    rows.writerow(COLUMNS)
    for stack in study.stacks:
        for setting, measure in HEADLINE:
            name = f"{setting}.{measure}"
            found = study.levels.get((stack.regime, name))
            if found is None:
                continue
            rows.writerow(
                ["level", stack.regime, "", name, "all", found.estimate, found.low, found.high, "", found.groups]
            )
            for code in stack.languages:
                part = stack.part((setting, measure), {code})
                if part.size and not np.isnan(part).all():
                    value = float(np.mean([macro_mean(seed) for seed in part]))
                    rows.writerow(["level", stack.regime, "", name, code, value, "", "", "", ""])
    for entry in study.comparisons:
        interval = [entry.difference, entry.low, entry.high, "" if entry.p is None else entry.p, entry.groups]
        rows.writerow(["difference", entry.a, entry.b, entry.measure, entry.slice, *interval])
    return stream.getvalue()


def render_latex(study: StudyReport) -> str:
    r"""Levels and differences as one `table` for `\usepackage{booktabs}`."""
    header = " & ".join(["Regime", *(latex(title) for title in TITLES.values())]) + r" \\"
    width = len(TITLES) + 1
    body = [r"\toprule", header, r"\midrule", *map(_line, headline_rows(study))]
    for other in study.references:
        against = study.against(other)
        if not against:
            continue
        body += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\emph{{Difference to {latex(other)}}}}} \\"]
        for regime in against:
            cells = [words.difference(study.difference(regime, other, measure)) for measure in TITLES]
            body.append(_line([regime, *cells]))
    caption = (
        f"{words.title(study)}. Brackets: 95 % intervals of a paired bootstrap over {len(study.benchmark.groups)} "
        "question groups; differences of mAP in points, of rank distance in ranks; * p < 0.05."
    )
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * len(TITLES)}}}",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{latex(caption)}}}",
            r"\end{table}",
            "",
        ]
    )


def latex(text: str) -> str:
    r"""Escape what LaTeX would read as a command.

    >>> latex("50 % of a_b")
    '50 \\% of a\\_b'
    """
    escaped = "".join(_LATEX.get(character, character) for character in text)
    # A hyphen before a number is a minus; `<` needs math mode in the old font encoding.
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped).replace("<", "$<$").replace(">", "$>$")


def _line(cells: list[str]) -> str:
    return " & ".join(latex(cell) for cell in cells) + r" \\"
