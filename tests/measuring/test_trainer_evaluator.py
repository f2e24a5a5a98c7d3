"""The evaluator inside a real Sentence Transformers training."""

import csv
import doctest

import pytest

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import assemble
from isoglot.measuring import trainer_evaluator as module
from isoglot.measuring.evaluating import evaluate
from isoglot.measuring.trainer_evaluator import MultilingualEvaluator


def bench(langs=("de", "en"), groups=6):
    queries = [(f"{x}:{n}:q", x, f"g{n}", f"{x} wie hoch ist {n * 7}") for x in langs for n in range(groups)]
    candidates = [(f"{x}:{n}", x, f"{x} berg {n * 7} hat {n * 91} m") for x in langs for n in range(groups)]
    return assemble("mini", queries, candidates, {f"g{n}": [f"{x}:{n}" for x in langs] for n in range(groups)})


def load(folder):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def test_doctest(tiny_model):
    assert doctest.testmod(module, extraglobs={"model": load(tiny_model)}).failed == 0


def test_trainer_measures_and_keeps_the_best(tiny_model, tmp_path):
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    model = load(tiny_model)
    measured = MultilingualEvaluator(bench(), precision="fp32")
    rows = {"query": [f"wie hoch {n}" for n in range(8)], "passage": [f"berg {n}" for n in range(8)]}
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(tmp_path),
            max_steps=2,
            per_device_train_batch_size=4,
            eval_strategy="steps",
            eval_steps=1,
            save_strategy="steps",
            save_steps=1,
            load_best_model_at_end=True,
            metric_for_best_model="eval_mini_multilingual_map",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict(rows),
        loss=MultipleNegativesRankingLoss(model),
        evaluator=measured,
    )
    trainer.train()
    seen = [entry for entry in trainer.state.log_history if "eval_mini_multilingual_map" in entry]
    assert [entry["step"] for entry in seen] == [1, 2]
    best = max(entry["eval_mini_multilingual_map"] for entry in seen)
    assert trainer.state.best_metric == pytest.approx(best)
    # The best checkpoint is back in the model, and scores as it did.
    again = evaluate(model, bench(), precision="fp32")
    assert again.macro("multilingual", "map") == pytest.approx(best, abs=1e-6)


def test_metrics_are_flat_and_named(tiny_model, tmp_path):
    model = load(tiny_model)
    model.train()
    measured = MultilingualEvaluator(bench(), name="", primary="multilingual.rank_distance", precision="fp32")
    found = measured(model, str(tmp_path), epoch=1, steps=5)
    assert model.training  # as it was
    assert measured.primary_metric == "multilingual_rank_distance"
    assert not measured.greater_is_better
    assert found["multilingual_rank_distance"] == pytest.approx(measured.last.macro("multilingual", "rank_distance"))
    assert found["multilingual_map"] == pytest.approx((found["multilingual_map_de"] + found["multilingual_map_en"]) / 2)
    assert {"monolingual_map", "cross_lingual_recall_at_1"} <= found.keys()
    measured(model, str(tmp_path), epoch=1, steps=6)
    rows = list(csv.DictReader((tmp_path / "multilingual_benchmark_results.csv").open()))
    assert [row["steps"] for row in rows] == ["5", "6"]


@pytest.mark.parametrize(
    ("primary", "greater"),
    [
        ("multilingual.map", True),
        ("multilingual.rank_distance", False),
        ("multilingual.rank_distance_normalised", False),
        ("multilingual.max@r", False),
        ("multilingual_rank_distance", False),
        ("multilingual.max@r_normalised", True),
    ],
)
def test_which_way_the_best_checkpoint_lies(primary, greater):
    assert MultilingualEvaluator(bench(), primary=primary).greater_is_better == greater


def test_what_cannot_be_measured_is_left_out(tiny_model):
    model = load(tiny_model)
    found = MultilingualEvaluator(bench(("de",)), precision="fp32")(model)
    assert "mini_monolingual_map" in found
    assert not any(key.startswith("mini_cross") for key in found)
    with pytest.raises(InputError, match=r"cross_lingual_map.*not measured on mini"):
        MultilingualEvaluator(bench(("de",)), primary="cross_lingual.map")(model)
