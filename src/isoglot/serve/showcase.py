"""The quick start's corpus, searchable with the untouched model and with the one trained on hybrid batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.progress import progress_line
from isoglot.data.rows import read_rows
from isoglot.encoders.loading import load
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.index.protocol import Passage, Vectors
from isoglot.search.searcher import Searcher
from isoglot.serve.encoders import embedder, one_at_a_time
from isoglot.serve.served import Embed
from isoglot.studies.atlas_study import atlas, settings
from isoglot.studies.run import BASE, Study


class Showcase(NamedTuple):
    """Searchers and their models, by the names that the page shows."""

    searchers: dict[str, Searcher]
    embed: dict[str, Embed]


def models_of(study: Study) -> dict[str, str]:
    """The base and the first hybrid model of a finished quick start, by regime.

    Raises:
        InputError: no hybrid run, or its model is gone.
    """
    for run in study.runs:
        if run.regime.startswith("hybrid") and run.seed is not None:
            folder = study.folder / "runs" / f"{run.regime}-seed{run.seed}" / "model"
            if folder.is_dir():
                return {BASE: settings().model, run.regime: str(folder)}
    raise InputError(f"{study.folder}: holds no hybrid model to serve; run the quick start in another --output-dir")


def showcase(models: Mapping[str, str], rows: Path | None = None) -> Showcase:
    """Encode the passages of rows with each model, into exact indexes in memory.

    Args:
        models: model (as `isoglot.encoders.loading.load` takes it) by the name to show.
        rows: a row file; the quick start's test rows when None.
    """
    passages = [
        Passage(
            id=f"{row.group}/{row.lang}",
            document=row.group,
            text=row.passage_text,
            lang=row.lang,
            metadata={"topic": row.topic} if row.topic else {},
        )
        for _, _, row in read_rows([rows or atlas("test")])
    ]
    searchers: dict[str, Searcher] = {}
    embed: dict[str, Embed] = {}
    for name, model in models.items():
        progress_line(f"encoding {len(passages)} passages with {name}")
        encode = embedder(one_at_a_time(load(model)))
        vectors = encode([passage.text for passage in passages], "document").vectors
        searchers[name] = Searcher(MemoryIndex(passages, vectors), _queries(encode), model_name=name)
        embed[name] = encode
    return Showcase(searchers, embed)


def _queries(encode: Embed) -> Callable[[list[str]], Vectors]:
    return lambda texts: encode(texts, "query").vectors
