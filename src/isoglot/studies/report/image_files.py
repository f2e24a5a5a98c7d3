"""A study's charts as PNG and SVG files, for papers and slides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isoglot.core.files import atomic_write
from isoglot.languages.table import language
from isoglot.studies.report import colours, views
from isoglot.studies.report.study_facts import TITLES, StudyReport
from isoglot.studies.report.svg_charts import log_ticks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")


def write_figures(study: StudyReport, folder: Path) -> list[Path]:
    """Write every chart for which the study has data, in both formats.

    Args:
        study: what to draw.
        folder: output folder, created if missing.

    Returns:
        The files, such as `pairs.png`, `changes.svg`, `pooled.png`, `rank-distance.svg`, `trade-off.png`,
        `deletions.png`, `top10.svg`, `alpha.png`.
    """
    drawn: list[tuple[str, Callable[[StudyReport], Figure | None]]] = [
        ("pairs", _pairs),
        ("changes", _changes),
        ("pooled", _pooled),
        ("rank-distance", _rank_distance),
        ("trade-off", _trade_off),
        ("deletions", _deletions),
        ("top10", _top10),
        ("alpha", _alpha),
    ]
    written = []
    for name, draw in drawn:
        figure = draw(study)
        if figure is None:
            continue
        for form in FORMATS:
            path = folder / f"{name}.{form}"
            with atomic_write(path) as temporary:
                # Without a date, equal studies give equal files.
                extra = {"metadata": {"Date": None}} if form == "svg" else {"dpi": 150}
                figure.savefig(temporary, format=form, bbox_inches="tight", **extra)
            written.append(path)
    return written


def _new(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    # matplotlib's object-oriented interface needs no display, and pyplot would keep figures alive.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def _heatmaps(
    study: StudyReport,
    maps: Sequence[views.Matrix],
    label: str,
    *,
    change: bool = False,
    floor: float | None = None,
    across: str = "passage language",
) -> Figure | None:
    if not maps:
        return None
    from matplotlib.colors import LinearSegmentedColormap

    codes = study.measured_on.languages
    side = 1.2 + 0.28 * len(codes)
    figure, axes = _new(side * len(maps) + 0.8, side, len(maps))
    values = [100 * entry.values for entry in maps]
    present = np.concatenate([entry[~np.isnan(entry)] for entry in values])
    high = max(1.0, float(np.abs(present).max(initial=0)))
    low = -high if change else floor if floor is not None else float(present.min(initial=high))
    palette: Any = "cividis"
    if change:
        palette = LinearSegmentedColormap.from_list("gain", [colours.diverging(x) for x in np.linspace(-1, 1, 33)])
    for axis, entry, matrix in zip(axes, maps, values, strict=True):
        image = axis.imshow(matrix, cmap=palette, vmin=low, vmax=high)
        axis.set_title(entry.regime)
        axis.set_xticks(range(len(codes)), codes, rotation=90)
        axis.set_yticks(range(len(codes)), codes)
        axis.set_xlabel(across)
    axes[0].set_ylabel("query language")
    figure.colorbar(image, ax=list(axes), label=label, shrink=0.8)
    return figure


def _pairs(study: StudyReport) -> Figure | None:
    return _heatmaps(study, views.pair_scores(study), "mAP (points)")


def _changes(study: StudyReport) -> Figure | None:
    return _heatmaps(study, views.pair_changes(study), "change of mAP (points)", change=True)


def _deletions(study: StudyReport) -> Figure | None:
    maps = views.deletions(study)
    return _heatmaps(study, maps, "drop of pooled mAP (points)", change=True, across="deleted language")


def _top10(study: StudyReport) -> Figure | None:
    return _heatmaps(study, views.composition(study), "share of the top 10 (%)", floor=0.0)


def _pooled(study: StudyReport) -> Figure | None:
    rows = views.pooled(study)
    if not rows:
        return None
    figure, (axis,) = _new(6, 1 + 0.42 * len(rows))
    regimes = study.regimes
    for number, regime in enumerate(regimes):
        places = [place + 0.2 * (number - (len(regimes) - 1) / 2) for place in range(len(rows))]
        shown = [(place, own[regime]) for place, own in zip(places, rows.values(), strict=True) if regime in own]
        _points(axis, shown, regime, number)
    axis.set_yticks(range(len(rows)), [language(code).name for code in rows])
    axis.invert_yaxis()
    axis.set_xlabel("pooled mAP")
    axis.legend(frameon=False)
    return figure


def _points(axis: Any, shown: list[tuple[float, Any]], label: str, number: int) -> None:
    centre = np.array([value.estimate for _, value in shown])
    sides = np.array([[v.estimate - v.low, v.high - v.estimate] for _, v in shown]).reshape(-1, 2).T
    axis.errorbar(centre, [y for y, _ in shown], xerr=sides.clip(0), fmt="o", color=colours.series(number), label=label)


def _rank_distance(study: StudyReport) -> Figure | None:
    spreads = views.rank_distances(study)
    if not spreads:
        return None
    figure, (axis,) = _new(6, 1 + 0.5 * len(spreads))
    axis.bxp(
        [
            {"label": s.regime, "whislo": a, "q1": b, "med": c, "q3": d, "whishi": e, "mean": s.mean, "fliers": []}
            for s in spreads
            for a, b, c, d, e in [s.quantiles]
        ],
        orientation="horizontal",
        showmeans=True,
        showfliers=False,
    )
    axis.set_xscale("log")
    marks = log_ticks(min(s.quantiles[0] for s in spreads), max(s.quantiles[-1] for s in spreads))
    axis.set_xticks(marks, [f"{mark:g}" for mark in marks], minor=False)
    axis.invert_yaxis()
    axis.set_xlabel("rank distance (whiskers: 10 to 90 % of queries; triangle: mean)")
    return figure


def _trade_off(study: StudyReport) -> Figure | None:
    changes = views.trade_off(study)
    if not changes:
        return None
    figure, (axis,) = _new(5.5, 4.5)
    axis.axhline(0, color="#999999", linewidth=0.8)
    axis.axvline(0, color="#999999", linewidth=0.8)
    for number, change in enumerate(changes, 1):
        (x, x_low, x_high), (y, y_low, y_high) = change.mono, change.pool
        across, up = [[max(0.0, x - x_low)], [max(0.0, x_high - x)]], [[max(0.0, y - y_low)], [max(0.0, y_high - y)]]
        axis.errorbar([x], [y], xerr=across, yerr=up, fmt="o", color=colours.series(number), label=change.regime)
    axis.set_xlabel("monolingual change (points of mAP)")
    axis.set_ylabel("pooled change (points of mAP)")
    axis.legend(frameon=False)
    return figure


def _alpha(study: StudyReport) -> Figure | None:
    points = views.alpha_curve(study)
    measures = views.curve_measures(study)
    if not points or not measures:
        return None
    figure, axes = _new(3.2 * len(measures), 2.8, len(measures))
    alphas = [alpha for alpha, _ in points]
    for axis, measure in zip(axes, measures, strict=True):
        found = [study.levels[regime, measure] for _, regime in points]
        axis.fill_between(alphas, [v.low for v in found], [v.high for v in found], alpha=0.2, color=colours.series(1))
        axis.plot(alphas, [v.estimate for v in found], "o-", color=colours.series(1))
        axis.set_title(TITLES[measure])
        axis.set_xlabel("alpha")
    return figure
