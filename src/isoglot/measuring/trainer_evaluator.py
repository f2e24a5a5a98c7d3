"""An evaluator for Sentence Transformers trainings that measures all three settings."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.evaluation import SentenceEvaluator

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.devices import Precision
from isoglot.measuring.comparing import LOWER_IS_BETTER
from isoglot.measuring.evaluating import evaluate
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.inputs import opened_benchmark
from isoglot.measuring.per_query import CROSS, MONO, POOL, SETTINGS


class MultilingualEvaluator(SentenceEvaluator):  # type: ignore[misc]
    """Evaluate a model on a benchmark during training: monolingual, cross-lingual and pooled retrieval.

    Encodes every text once and returns flat metrics such as `atlas_multilingual_map` and
    `atlas_multilingual_rank_distance`, and the pooled mAP of each language as `atlas_multilingual_map_de`.

    Args:
        benchmark: the benchmark, or a name or path that `load_benchmark` opens.
        name: prefix of every metric; the benchmark's name by default, no prefix when empty.
        primary: the metric that selects the best checkpoint, as SETTING.MEASURE.
        length: queries and candidates are truncated to this many tokens; the model's preset when None.
        precision: `auto`, `bf16` or `fp32`.
        write_csv: append each call's metrics to `multilingual_{name}_results.csv` in the trainer's eval folder.

    Raises:
        InputError: no such benchmark; or, on the first call, a primary metric that is not measured.

    Example:
        Pass it to any `SentenceTransformerTrainer` as `evaluator`, or call it with a `model`, as the trainer does.

        >>> from isoglot import Benchmark, MultilingualEvaluator
        >>> benchmark = Benchmark.from_dicts(
        ...     queries={"q1": "Wer schrieb das?"},
        ...     passages={"p1": "Grimm.", "p2": "Eine Stadt am Meer."},
        ...     qrels={"q1": {"p1": 1}},
        ...     languages="de",
        ... )
        >>> evaluator = MultilingualEvaluator(benchmark, name="german", primary="monolingual.map", precision="fp32")
        >>> metrics = evaluator(model)
        >>> metrics["german_monolingual_map"] in (0.5, 1.0)
        True
    """

    def __init__(
        self,
        benchmark: Benchmark | str | Path,
        *,
        name: str | None = None,
        primary: str = f"{POOL}.map",
        length: int | None = None,
        precision: Precision = "auto",
        write_csv: bool = True,
    ) -> None:
        super().__init__()
        self.benchmark = opened_benchmark(benchmark)
        self.name = self.benchmark.name if name is None else name
        self.length = length
        self.precision = precision
        self.write_csv = write_csv
        self._primary = _key(*primary.split(".", 1)) if "." in primary else primary
        self.greater_is_better = self._primary not in {
            _key(setting, measure) for setting in SETTINGS for measure in LOWER_IS_BETTER
        }
        self.primary_metric = self._primary
        self.last: Evaluation | None = None

    def __call__(
        self, model: SentenceTransformer, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Encode, score and return the flat metrics; the full evaluation is kept in `last`."""
        training = model.training
        try:
            result = evaluate(
                model, self.benchmark, name=self.name or "model", length=self.length, precision=self.precision
            )
        finally:
            model.train(training)
        self.last = result
        found = flat_metrics(result)
        if self._primary not in found:
            raise InputError(
                f"primary {self._primary!r} is not measured on {self.benchmark.name}; there are: {', '.join(found)}"
            )
        if output_path is not None and self.write_csv:
            self._append(Path(output_path), found, epoch, steps)
        metrics: dict[str, float] = self.prefix_name_to_metrics(found, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def get_config_dict(self) -> dict[str, Any]:
        """The facts about this evaluator for the model card."""
        return {"benchmark": self.benchmark.name, "languages": list(self.benchmark.languages)}

    def _append(self, folder: Path, found: dict[str, float], epoch: int, steps: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"multilingual_{self.name.replace('/', '_') or 'benchmark'}_results.csv"
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream)
            if fresh:
                rows.writerow(["epoch", "steps", *found])
            rows.writerow([epoch, steps, *found.values()])


def flat_metrics(result: Evaluation) -> dict[str, float]:
    """Macro means as SETTING_MEASURE, and the pooled mAP of each language; NaN values are left out.

    >>> _key("multilingual", "recall@10")
    'multilingual_recall_at_10'
    """
    found = {
        _key(setting, measure): result.macro(setting, measure)
        for setting, measure in result.values
        if setting in (MONO, CROSS, POOL)
    }
    for lang, own in result.metrics()["per_language"].items():
        if POOL in own:
            found[f"{_key(POOL, 'map')}_{lang}"] = own[POOL]["map"]
    return {key: value for key, value in found.items() if not math.isnan(value)}


def _key(setting: str, measure: str) -> str:
    # Trackers such as MLflow reject `@` in names; MTEB writes `_at_` too.
    return f"{setting}_{measure.replace('@', '_at_')}"
