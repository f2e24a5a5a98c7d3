"""Export a study's figures as CSV in long form and as a LaTeX table."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from itertools import groupby

import numpy as np

from isoglot.measuring.bootstrap import macro_mean
from isoglot.measuring.comparing import HEADLINE
from isoglot.studies.report import words
from isoglot.studies.report.markdown import headline_rows
from isoglot.studies.report.study_facts import TITLES, StudyReport

COLUMNS = ("kind", "regime", "against", "measure", "slice", "value", "low", "high", "p", "groups")

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}

# Grave, acute, circumflex, tilde, macron, breve, dot, diaeresis, ring, double acute, caron, cedilla.
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"


def render_csv(study: StudyReport) -> str:
    """All levels and differences, one row each, with a header.

    `kind` is `level` or `difference` (then `against` names the other regime). `slice` is `all`, a language code
    (the query's), `family:NAME`, `script:NAME`, `seen` or `unseen`. Values are unscaled: mAP from 0 to 1, rank
    distance in ranks. Levels of single languages have no interval.
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
        f"{words.title(study)}. Brackets: 95 % intervals of a paired bootstrap over {len(study.measured_on.groups)} "
        "question groups; differences of mAP in points, of rank distance in ranks; * p < 0.05."
    )
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\begin{{tabular}}{{@{{}}l{'r' * len(TITLES)}@{{}}}}",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{latex(caption)}}}",
            r"\end{table}",
            "",
        ]
    )


def latex(text: str) -> str:
    r"""Escape text for LaTeX; characters that pdfLaTeX cannot print without extra packages become their code points.

    >>> latex("50 % of a_b")
    '50 \\% of a\\_b'
    >>> latex("café ไท")
    'café \\texttt{U+0E44 U+0E17}'
    """
    runs = [(known, "".join(run)) for known, run in groupby(" ".join(text.split()), _is_plain)]
    escaped = "".join(
        "".join(_LATEX.get(character, character) for character in run)
        if known
        else rf"\texttt{{{' '.join(f'U+{ord(character):04X}' for character in run)}}}"
        for known, run in runs
    )
    # A hyphen before a number is a minus; `<` and `>` need math mode in the old font encoding.
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped).replace("<", "$<$").replace(">", "$>$")


def _is_plain(character: str) -> bool:
    """Whether plain pdfLaTeX can print a character: ASCII, or a western or central European letter with one accent."""
    if character.isascii():
        return character.isprintable()
    parts = unicodedata.normalize("NFD", character)
    return "À" <= character <= "ſ" and len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS


def _line(cells: list[str]) -> str:
    # Without `{}`, a bracket or star at the start of a row would be parsed as an argument of the preceding line break.
    return "{}" + " & ".join(latex(cell) for cell in cells) + r" \\"
