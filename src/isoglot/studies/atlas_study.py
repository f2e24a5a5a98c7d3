"""The embedded study: the embedded model on the embedded corpus, in a few minutes on two cores."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from isoglot.data.benchmarks.benchmark import from_rows
from isoglot.data.prepared import prepare
from isoglot.studies.report import summary
from isoglot.studies.run import Study, study
from isoglot.studies.settings import StudySettings
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import TrainSettings

RECIPE = "quickstart.toml"


@dataclass(frozen=True)
class Quickstart:
    """The finished study and its summary table."""

    study: Study
    summary: str

    def __repr__(self) -> str:
        return repr(self.study)


def atlas(split: str) -> Path:
    """The path of the embedded corpus's `train` or `test` rows: questions and passages in 11 languages, CC BY 4.0."""
    return Path(str(files("isoglot") / "atlas" / f"{split}.jsonl"))


def settings() -> StudySettings:
    """The study settings of the embedded recipe."""
    recipe = tomllib.loads((files("isoglot") / "atlas" / RECIPE).read_text(encoding="utf-8"))
    sampling = {field.name: recipe.pop(field.name) for field in fields(Sampling) if field.name in recipe}
    regimes, seeds = tuple(recipe.pop("regimes")), tuple(recipe.pop("seeds"))
    model = recipe.pop("model")
    return StudySettings(
        model=model,
        regimes=regimes,
        seeds=seeds,
        train=TrainSettings(sampling=Sampling(**sampling), **recipe),
    )


def quickstart(
    folder: Path | str,
    *,
    max_steps: int | None = None,
    seeds: tuple[int, ...] | None = None,
    overwrite: bool = False,
) -> Quickstart:
    """Run (or resume) the embedded study in a folder.

    Args:
        folder: output folder, created if missing.
        max_steps: steps of each training; those of the recipe when None.
        seeds: training seeds; those of the recipe when None or empty.
        overwrite: replace what the folder holds.
    """
    chosen = settings()
    if max_steps is not None:
        chosen = replace(chosen, train=replace(chosen.train, max_steps=max_steps))
    if seeds:
        chosen = replace(chosen, seeds=seeds)
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        rows = prepare([atlas("train")], Path(scratch) / "train", show_progress=False)
        test = prepare([atlas("test")], Path(scratch) / "test", show_progress=False)
        result = study(rows, from_rows(test, "atlas-test"), folder, chosen, overwrite=overwrite)
    return Quickstart(result, summary(result.rows))
