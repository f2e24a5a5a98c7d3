"""Make the quick start's corpus searchable, with the base model and with the one trained on hybrid batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.progress import progress_line
from isoglot.data.rows import read_rows
from isoglot.encoders.embedder import Embedder
from isoglot.encoders.encoding import encode
from isoglot.encoders.opening import open_embedder
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.studies.atlas_study import atlas, settings
from isoglot.studies.run import BASE, Study


class Showcase(NamedTuple):
    """Searchers and their models, by the names shown on the page."""

    searchers: dict[str, Searcher]
    embed: dict[str, Embedder]


def models_of(study: Study) -> dict[str, str]:
    """Return the base model and the first hybrid model of a finished quick start, by regime.

    Raises:
        InputError: there is no hybrid run, or its model is gone.
    """
    for run in study.runs:
        if run.regime.startswith("hybrid") and run.seed is not None:
            folder = study.folder / "runs" / f"{run.regime}-seed{run.seed}" / "model"
            if folder.is_dir():
                return {BASE: settings().model, run.regime: str(folder)}
    raise InputError(f"{study.folder}: holds no hybrid model to serve; run the quick start in another folder")


def showcase(models: Mapping[str, str]) -> Showcase:
    """Encode the passages of the quick start's test rows with each model, and index them in memory (exact search).

    Args:
        models: models, as for `isoglot.load`, by the name to show.
    """
    passages = [
        Passage(
            id=f"{row.group}/{row.lang}",
            document=row.group,
            text=row.passage_text,
            lang=row.lang,
            metadata={"topic": row.topic} if row.topic else {},
        )
        for _, _, row in read_rows([atlas("test")])
    ]
    searchers: dict[str, Searcher] = {}
    embed: dict[str, Embedder] = {}
    for name, model in models.items():
        progress_line(f"encoding {len(passages)} passages with {name}")
        embed[name] = open_embedder(model)
        vectors = encode(embed[name], [passage.text for passage in passages], "passage").vectors
        searchers[name] = Searcher(MemoryIndex(passages, vectors), embed[name], model_name=name)
    return Showcase(searchers, embed)
