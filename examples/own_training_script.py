"""Hybrid batches in a Sentence Transformers training script of your own.

Three pieces drop in: the batch sampler, the collator that folds its row numbers into pairs, and the loss that never
counts a translation as a negative. Everything else is Sentence Transformers as you know it.

    python examples/own_training_script.py --model intfloat/multilingual-e5-small --rows rows.jsonl --output out
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)

from isoglot.data.row_table import RowTable
from isoglot.data.rows import read_rows
from isoglot.training import Sampling
from isoglot.training.losses.weighted import GroupMaskedInfoNCE
from isoglot.training.own_trainer import FoldingCollator, dataset_sampler


def load_rows(paths: list[Path]) -> Dataset:
    """Columns group, lang, query, passage, dataset, and `label`: which rows have the same passage, in any language."""
    rows = [row for _, _, row in read_rows(paths)]
    names = ("group", "lang", "query", "passage", "dataset")
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    table = RowTable.from_columns(columns["group"], columns["lang"], columns["passage"], columns["dataset"])
    return Dataset.from_dict({**columns, "label": table.component})


def train(model_name: str, paths: list[Path], output: Path, *, max_steps: int, batch_size: int, alpha: float) -> Path:
    """Train and save the model; gives the folder back."""
    model = SentenceTransformer(model_name)
    rows = load_rows(paths)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(output / "checkpoints"),
        max_steps=max_steps,
        per_device_train_batch_size=batch_size,
        learning_rate=3e-5,
        warmup_steps=min(10, max_steps // 2),
        # A partial of a function in a module: training arguments are pickled into every checkpoint.
        batch_sampler=partial(dataset_sampler, sampling=Sampling("hybrid", alpha=alpha), steps=max_steps),
        save_steps=max(1, max_steps // 2),
        use_cpu=not torch.cuda.is_available(),
        report_to=[],
        # The sampler and the collator need group, lang and label.
        remove_unused_columns=False,
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        loss=GroupMaskedInfoNCE(model, temperature=0.03),
        data_collator=FoldingCollator(
            preprocess_fn=model.preprocess,
            prompts={"query": model.prompts["query"], "passage": model.prompts["document"]},
        ),
    )
    trainer.train()
    # The stock model card quotes training rows.
    model.save_pretrained(str(output / "model"), create_model_card=False)
    return output / "model"


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description="Train with hybrid batches inside a script of your own.")
    parser.add_argument(
        "--model", required=True, help="Sentence Transformers folder or Hub id with query/document prompts"
    )
    parser.add_argument("--rows", required=True, nargs="+", type=Path, help="JSONL or Parquet rows (docs/data.md)")
    parser.add_argument("--output", required=True, type=Path, help="folder for checkpoints and the model")
    parser.add_argument("--max-steps", default=300, type=int)
    parser.add_argument("--batch-size", default=32, type=int)
    parser.add_argument("--alpha", default=0.5, type=float, help="probability of a monolingual batch")
    given = parser.parse_args()
    folder = train(
        given.model,
        given.rows,
        given.output,
        max_steps=given.max_steps,
        batch_size=given.batch_size,
        alpha=given.alpha,
    )
    print(f"model in {folder}")


if __name__ == "__main__":
    main()
