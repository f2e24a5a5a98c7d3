"""One evaluation as text for a terminal."""

from __future__ import annotations

import math

from isoglot.core.text_columns import aligned
from isoglot.languages.table import language
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.studies.report.words import figure

_FURTHER = (
    *((setting, measure) for setting in (MONO, POOL) for measure in ("ndcg@10", "recall@100")),
    *((POOL, measure) for measure in ("same_language@10", "lpr", "lpr_unbiased", "tlr@10", "comp@10", "mrc@10")),
)


def render_evaluation(result: Evaluation) -> str:
    """Render one evaluation: macro means, a row per query language, then further measures with intervals."""
    lines = [
        f"{result.model} on {result.benchmark}",
        "",
        f"{'':<14}{'mAP':>8}{'R@1':>8}{'R@10':>8}{'rank distance':>16}",
    ]
    for setting in (MONO, CROSS, POOL):
        cells = [figure(result.macro(setting, name)) for name in ("map", "recall@1", "recall@10")]
        distance = result.macro(setting, "rank_distance") if setting == POOL else math.nan
        lines.append(f"{setting:<14}{''.join(f'{cell:>8}' for cell in cells)}{figure(distance, '.0f'):>16}".rstrip())
    table = [["query language", "mono", "cross", "pool", "rank distance"]]
    per_language = result.metrics()["per_language"]
    for code in result.languages:
        own = per_language[code]
        cells = [figure(own.get(setting, {}).get("map", math.nan)) for setting in (MONO, CROSS, POOL)]
        distance = own.get(POOL, {}).get("rank_distance", math.nan)
        table.append([f"{language(code).name} ({code})", *cells, figure(distance, ".0f")])
    lines += ["", *aligned(table, (20, 8, 8, 8, 16)), "", "mAP by query language; - where there is nothing to measure"]
    for setting, measure in _FURTHER:
        if not math.isnan(mean := result.macro(setting, measure)):
            own = result.intervals.get(f"{setting}.{measure}", {}).get("all")
            bounds = f" [{figure(own.low)}, {figure(own.high)}]" if own else ""
            lines.append(f"{setting + ' ' + measure:<40}{figure(mean):>8}{bounds}")
    return "\n".join(lines)
