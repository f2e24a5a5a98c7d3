"""Write all files of a report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from isoglot.core.files import write_json, write_text
from isoglot.studies.report.exports import render_csv, render_latex
from isoglot.studies.report.html import render_html
from isoglot.studies.report.image_files import write_figures
from isoglot.studies.report.markdown import render_markdown
from isoglot.studies.report.study_facts import StudyReport


def write_report(study: StudyReport, folder: Path, *, with_examples: bool = True) -> str:
    """Write report.html, report.md, report.csv, report.tex and the images in `figures`; for a study also study.json.

    Args:
        study: what to report.
        folder: output folder.
        with_examples: show queries and passages of the benchmark in the HTML.

    Returns:
        The report as Markdown.
    """
    record = {
        "runs": [{"regime": regime, "seed": seed, "metrics": result.metrics()} for regime, seed, result in study.runs],
        "comparisons": [asdict(comparison) for comparison in study.comparisons],
    }
    text = render_markdown(study)
    if study.is_study:
        write_json(folder / "study.json", record)
    write_text(folder / "report.md", text)
    write_text(folder / "report.html", render_html(study, with_examples=with_examples))
    write_text(folder / "report.csv", render_csv(study))
    write_text(folder / "report.tex", render_latex(study))
    write_figures(study, folder / "figures")
    return text
