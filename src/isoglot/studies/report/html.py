"""A study as one self-contained HTML file: no network, no script, light and dark, all text escaped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from isoglot.languages.table import language
from isoglot.studies.report import colours, markdown, svg_charts, views, words
from isoglot.studies.report.examples import Example, examples
from isoglot.studies.report.study_facts import MONO_ONLY, TITLES, StudyReport

_Show = Callable[[float], tuple[str, str, str]]  # value -> text, background, description


class Cell(NamedTuple):
    """One cell of a heatmap: text, colours, and a description in words (`said`)."""

    text: str
    background: str
    ink: str
    said: str


class Heatmap(NamedTuple):
    """A square matrix of cells, languages by languages."""

    title: str
    languages: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def render_html(study: StudyReport, *, with_examples: bool = True) -> str:
    """The whole report as one page.

    Args:
        study: what to show.
        with_examples: show the queries on which regimes differ most, with texts of the benchmark.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    # Only the charts are markup, and they escape their texts; everything else is escaped by the template.
    page = Environment(
        loader=PackageLoader("isoglot.studies.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("report.html")
    legend = [(regime, colours.series(number)) for number, regime in enumerate(study.regimes)]
    separations = views.separations(study)
    return page.render(
        title=words.title(study),
        origin=study.origin,
        single=len(study.regimes) < 2,
        in_short=words.in_short(study),
        separations=separations,
        separation=Markup(svg_charts.separation(separations, f"Change against {study.origin}, in points of mAP")),
        setup=words.setup(study),
        floor=words.floor(study),
        titles=list(TITLES.values()),
        levels=markdown.headline_rows(study),
        differences=[
            (other, markdown.difference_rows(study, other), words.smallest(study, other))
            for other in study.references
            if study.against(other)
        ],
        differences_note=markdown.DIFFERENCES_NOTE,
        monolingual=[
            " ".join([words.monolingual(study, regime, other), words.families(study, regime, other)]).strip()
            for other in study.references
            for regime in study.against(other)
        ],
        monolingual_table=markdown.monolingual_table(study),
        monolingual_note=markdown.MONOLINGUAL_NOTE,
        legend=legend,
        scores=_scores(study),
        changes=_changes(study),
        deletions=_drops(study),
        composition=_shares(study),
        own_shares=views.own_shares(study),
        pooled=Markup(_pooled(study)),
        rank_distance=Markup(svg_charts.boxes(views.rank_distances(study), "Rank distance over queries, by regime")),
        trade_off=Markup(
            svg_charts.plane(views.trade_off(study), "Pooled change against monolingual change, by regime")
        ),
        alpha=[(title, Markup(chart)) for title, chart in _alpha(study)],
        examples=_examples(study) if with_examples else [],
        name=lambda code: language(code).name,
    )


def _pooled(study: StudyReport) -> str:
    number = {regime: index for index, regime in enumerate(study.regimes)}
    rows = [
        (language(code).name, [svg_charts.Point(number[regime], value) for regime, value in own.items()])
        for code, own in views.pooled(study).items()
    ]
    return svg_charts.dots(rows, "Pooled mAP by query language and regime, with 95 % intervals")


def _alpha(study: StudyReport) -> list[tuple[str, str]]:
    points = views.alpha_curve(study)
    return [
        (
            TITLES[measure],
            svg_charts.curve(
                [(alpha, study.levels[regime, measure]) for alpha, regime in points],
                f"{TITLES[measure]} against alpha, with the band of its 95 % intervals",
            ),
        )
        for measure in (views.curve_measures(study) if points else [])
    ]


def _examples(study: StudyReport) -> list[tuple[str, list[Example]]]:
    last = study.regimes[-1]
    pairs = [(last, other) for other in (study.regimes[0], MONO_ONLY) if other in study.regimes and other != last]
    found = [(f"{a} against {b}", examples(study, a, b)) for a, b in pairs]
    return [entry for entry in found if entry[1]]


def _scores(study: StudyReport) -> list[Heatmap]:
    maps = views.pair_scores(study)
    low, high = _range(maps)

    def show(value: float) -> tuple[str, str, str]:
        return f"{100 * value:.0f}", colours.sequential((value - low) / (high - low)), f"{100 * value:.1f} points"

    return [_heatmap(study, entry, show) for entry in maps]


def _changes(study: StudyReport) -> list[Heatmap]:
    return _signed(study, views.pair_changes(study))


def _drops(study: StudyReport) -> list[Heatmap]:
    return _signed(study, views.deletions(study), across="without the answer in")


def _signed(study: StudyReport, maps: Sequence[views.Matrix], *, across: str = "passage") -> list[Heatmap]:
    widest = max(map(abs, _range(maps)))

    def show(value: float) -> tuple[str, str, str]:
        text = f"{100 * value:+.0f}"
        said = f"{100 * value:+.1f} points"
        return "0" if text in ("+0", "-0") else text, colours.diverging(value / widest), said

    return [_heatmap(study, entry, show, across) for entry in maps]


def _shares(study: StudyReport) -> list[Heatmap]:
    maps = views.composition(study)
    high = _range(maps)[1]

    def show(value: float) -> tuple[str, str, str]:
        return f"{100 * value:.0f}", colours.sequential(value / high), f"{100 * value:.1f} %"

    return [_heatmap(study, entry, show) for entry in maps]


def _range(maps: Sequence[views.Matrix]) -> tuple[float, float]:
    """Smallest and largest value of several maps, at least 0.01 apart, for their common colour scale."""
    values = np.concatenate([entry.values.ravel() for entry in maps]) if maps else np.empty(0)
    values = values[~np.isnan(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return low, max(high, low + 0.01)


def _heatmap(study: StudyReport, matrix: views.Matrix, show: _Show, across: str = "passage") -> Heatmap:
    codes = study.measured_on.languages
    rows = []
    for query, line in zip(codes, matrix.values, strict=True):
        cells = []
        for passage, value in zip(codes, line, strict=True):
            if np.isnan(value):
                cells.append(Cell("", "transparent", "inherit", "nothing to measure"))
                continue
            text, background, said = show(float(value))
            where = f"query {language(query).name}, {across} {language(passage).name}: {said}"
            cells.append(Cell(text, background, colours.ink(background), where))
        rows.append(cells)
    return Heatmap(matrix.regime, codes, rows)
