"""Export an evaluation as MTEB result files, for comparison with other MTEB tasks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from isoglot.core.files import write_json
from isoglot.languages.iso_codes import iso_639_3, iso_15924
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.per_query import CROSS, MONO, POOL

TASK_NAMES = {"xquad-r": "XQuAD-R", "mlqa-r": "MLQA-R"}
POOLED = "-Pooled"
MAIN = "map"


def mteb_code(code: str) -> str:
    """MTEB's code for a language with its script; only the language if the script is unknown.

    >>> mteb_code("de"), mteb_code("zh-Hant")
    ('deu-Latn', 'zho-Hant')
    """
    name, script = iso_639_3(code), iso_15924(code)
    return f"{name}-{script}" if script else name


def mteb_results(
    evaluation: Evaluation, *, seconds: float | None = None, revision: str = "not specified"
) -> list[dict[str, Any]]:
    """Two results in MTEB's schema: one with a subset per pair of languages, one pooled with one per query language.

    The main score is `map`, mean average precision over the full ranking (MTEB's own `map_at_1000` truncates it at
    1000). Values that are not numbers are left out, as are subsets without `map`, and results without subsets.

    Args:
        evaluation: the evaluation to export.
        seconds: duration of the evaluation, if known.
        revision: of the data set.
    """
    name = TASK_NAMES.get(evaluation.benchmark, evaluation.benchmark)
    figures = evaluation.metrics()
    pairs = []
    for x in evaluation.languages:
        for y in evaluation.languages:
            scores = _pair(evaluation, x, y)
            if scores:
                pairs.append({**scores, "hf_subset": f"{x}-{y}", "languages": [mteb_code(x), mteb_code(y)]})
    pooled = []
    for lang in evaluation.languages:
        scores = _scores(figures["per_language"][lang].get(POOL, {}))
        if scores:
            others = [mteb_code(other) for other in evaluation.languages if other != lang]
            pooled.append({**scores, "hf_subset": lang, "languages": [mteb_code(lang), *others]})
    return [
        {
            "dataset_revision": revision,
            "task_name": task,
            "mteb_version": None,
            "scores": {"test": entries},
            "evaluation_time": seconds,
            "kg_co2_emissions": None,
        }
        for task, entries in ((name, pairs), (f"{name}{POOLED}", pooled))
        if entries
    ]


def write_mteb(evaluation: Evaluation, folder: Path | str, **facts: Any) -> list[Path]:
    """Write each of `mteb_results` as TASK.json; return the paths."""
    written = []
    for result in mteb_results(evaluation, **facts):
        path = Path(folder) / f"{result['task_name'].replace('/', '_')}.json"
        write_json(path, result)
        written.append(path)
    return written


def _pair(evaluation: Evaluation, x: str, y: str) -> dict[str, float]:
    found = {}
    for (setting, measure), values in evaluation.values.items():
        if setting == (MONO if x == y else CROSS) and (x, y) in values.cells:
            column = values.matrix[:, values.cells.index((x, y))]
            present = column[column == column]
            if len(present):
                found[measure] = float(present.mean())
    return _scores(found)


def _scores(found: dict[str, Any]) -> dict[str, float]:
    kept = {
        key.replace("@", "_at_"): float(value)
        for key, value in found.items()
        if isinstance(value, (int, float)) and not math.isnan(value)
    }
    return {"main_score": kept[MAIN], **kept} if MAIN in kept else {}
