"""`isoglot average`: average the weights of models."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from isoglot.cli.options import Fractions, OutputDir, Switch


def average(
    *models: str,
    output_dir: OutputDir,
    weights: Annotated[Fractions, Parameter(allow_leading_hyphen=True)] = (),
    overwrite: Switch = False,
) -> None:
    """Average the weights of models trained from the same one: seeds, checkpoints, two regimes.

    Searching costs no more than with one model. With two models, --weights are a point on the line between them.

    Args:
        models: Sentence Transformers folders, or embedded; two or more.
        output_dir: Folder for the averaged model.
        weights: Comma-separated, one per model, divided by their sum; equal when not given.
        overwrite: Replace what the folder holds.
    """
    from isoglot.training.averaging import average_models

    folder = average_models(models, output_dir, weights or None, overwrite=overwrite)
    print(f"model in {folder}")
