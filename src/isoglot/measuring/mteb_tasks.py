"""XQuAD-R, MLQA-R and their pooled variants as MTEB tasks, read from local files.

Needs the `mteb` extra. Each benchmark gives two tasks: one with a subset per ordered pair of languages, and a pooled
one with a subset per query language, against the candidates of all languages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from isoglot.core.errors import needs
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.benchmarks.download import REVISIONS, SHA256, fetch_lareqa
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.languages.table import parse_codes
from isoglot.measuring.mteb_results import POOLED, TASK_NAMES, mteb_code

with needs("MTEB tasks need mteb", "mteb"):
    from datasets import Dataset
    from mteb import TaskMetadata
    from mteb.abstasks import AbsTaskRetrieval

SPLIT = "test"
MAIN = "map_at_1000"
_LICENCES = {"xquad-r": "cc-by-sa-4.0", "mlqa-r": "cc-by-sa-3.0"}


class LareqaTask(AbsTaskRetrieval):  # type: ignore[misc]
    """Base class of tasks on benchmarks in LAReQA's layout; `lareqa_tasks` creates the subclasses that can be run.

    Attributes:
        open: returns the benchmark.
        pooled: whether candidates of all languages are pooled, instead of one passage language per subset.
    """

    open: Callable[[], Benchmark]
    pooled: bool
    data_loaded: bool

    def load_data(self, num_proc: int | None = None, *, timer: Any = None, **kwargs: Any) -> None:
        """Fill `dataset` from the local benchmark; nothing is downloaded from a hub."""
        if self.data_loaded:
            return
        benchmark = type(self).open()
        self.dataset = {subset: {SPLIT: self._part(benchmark, subset)} for subset in self.hf_subsets}
        self.data_loaded = True

    def _part(self, benchmark: Benchmark, subset: str) -> dict[str, Any]:
        query_lang, _, passage_lang = subset.partition("-")
        number = {code: index for index, code in enumerate(benchmark.languages)}
        candidates = np.arange(len(benchmark.candidates))
        if not self.pooled:
            candidates = np.flatnonzero(benchmark.candidates.lang == number[passage_lang])
        inside = set(candidates.tolist())
        relevant, queries = {}, []
        for query in np.flatnonzero(benchmark.queries.lang == number[query_lang]).tolist():
            golds = [gold for gold in benchmark.relevant(query).tolist() if gold in inside]
            # As everywhere in isoglot, a pair is scored on the questions that have an answer in its passage language.
            if golds:
                key = benchmark.queries.ids[query]
                queries.append({"id": key, "text": benchmark.queries.texts[query]})
                relevant[key] = {benchmark.candidates.ids[gold]: 1 for gold in golds}
        texts = [
            {"id": benchmark.candidates.ids[place], "title": "", "text": benchmark.candidates.texts[place]}
            for place in candidates.tolist()
        ]
        return {
            "queries": Dataset.from_list(queries),
            "corpus": Dataset.from_list(texts),
            "relevant_docs": relevant,
            "top_ranked": None,
        }


def lareqa_tasks(
    name: str = "xquad-r",
    folder: Path | None = None,
    *,
    langs: str | Sequence[str] | None = None,
    with_context: bool = False,
) -> list[LareqaTask]:
    """Return the two tasks of a benchmark: by pairs of languages, and pooled.

    Args:
        name: `xquad-r` or `mlqa-r`; with `folder` any name.
        folder: contains {lang}.json; the published files are downloaded to isoglot's cache when None.
        langs: codes to keep, as a sequence or a comma-separated string; all that the folder contains by default.
        with_context: encode each candidate sentence followed by its paragraph.

    Raises:
        InputError: an unknown benchmark, or files that are missing or invalid.

    Example:
        >>> import mteb
        >>> mteb.evaluate(model, lareqa_tasks("xquad-r"))  # doctest: +SKIP
    """
    if folder is None:
        from isoglot.core.cache import cache_folder

        codes = parse_codes(langs, tuple(SHA256.get(name, ())))
        folder = fetch_lareqa(name, cache_folder() / name, langs=codes)
    benchmark = load_lareqa(folder, name, langs=langs, with_context=with_context)
    return [_task_class(name, benchmark, pooled=pooled)() for pooled in (False, True)]


def register(tasks: Iterable[LareqaTask]) -> None:
    """Register tasks with `mteb.get_task` and `mteb.get_tasks` under their names, in this process.

    `mteb.evaluate` accepts task objects; this is for code that looks tasks up by name. MTEB has no public way to
    add tasks, so this updates its private registry.
    """
    registry = import_module("mteb.get_tasks")._TASKS_REGISTRY
    registry.update({task.metadata.name: type(task) for task in tasks})


def _task_class(name: str, benchmark: Benchmark, *, pooled: bool) -> type[LareqaTask]:
    codes = benchmark.languages
    title = f"{TASK_NAMES.get(name, name)}{POOLED if pooled else ''}"
    if pooled:
        subsets = {x: [mteb_code(x), *(mteb_code(y) for y in codes if y != x)] for x in codes}
        against = "the candidate sentences of all languages together"
    else:
        subsets = {f"{x}-{y}": [mteb_code(x), mteb_code(y)] for x in codes for y in codes}
        against = "the candidate sentences of one language"
    metadata = TaskMetadata(
        name=title,
        description=f"Questions in {len(codes)} languages against {against}: find the sentence that answers.",
        reference="https://arxiv.org/abs/2004.05484",
        dataset={
            "path": "google-research-datasets/lareqa",
            "revision": REVISIONS.get(name, benchmark.checksum[:40]),
        },
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=[SPLIT],
        eval_langs=subsets,
        main_score=MAIN,
        domains=["Encyclopaedic", "Written"],
        task_subtypes=["Question answering"],
        license=_LICENCES.get(name),
        annotations_creators="human-annotated",
        dialect=[],
        sample_creation="found",
        bibtex_citation="",
    )
    return type(title, (LareqaTask,), {"metadata": metadata, "open": staticmethod(lambda: benchmark), "pooled": pooled})
