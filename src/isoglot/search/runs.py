"""Search for a file of queries and write a TREC run, for trec_eval, ir_measures and `isoglot evaluate --run`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write
from isoglot.core.problems import Problems
from isoglot.core.progress import Progress
from isoglot.data.records import read_records, table_rows
from isoglot.measuring.trec import DEPTH, label_of, run_lines, strictly_falling
from isoglot.search.query_checks import LONGEST_QUERY, clean_query
from isoglot.search.searcher import Searcher

_log = logging.getLogger(__name__)
BATCH = 64
_IDS = ("_id", "id", "qid", "query_id", "query-id")
_TEXTS = ("text", "query", "title")
_REMEDY = (
    "Expected an id and a text for each query: TSV (id, tab, text), or JSONL, CSV or Parquet with "
    f"{' or '.join(_IDS)}, and {' or '.join(_TEXTS)}."
)


class Written(NamedTuple):
    """Summary of a written run: number of queries and lines, and ids of queries for which nothing was found."""

    queries: int
    lines: int
    empty: tuple[str, ...]


def read_queries(path: Path) -> dict[str, str]:
    """Read the texts of queries by id, in the order of the file.

    Args:
        path: `.tsv` of id and text, as MS MARCO and TREC write topics, with or without a header line; JSONL such as
            BEIR's `queries.jsonl`, CSV or Parquet with `_id`, `id`, `qid` or `query_id`, and `text`, `query` or
            `title`. All but Parquet may be compressed (`.gz`).

    Raises:
        InputError: no such file, no queries, or a line without an id or text, with a repeated id or one that contains
            white space, or with a text that is too long.
    """
    problems = Problems()
    queries: dict[str, str] = {}
    for line, id, given in _entries(path, problems):
        text = clean_query(given)
        if id.split() != [id]:
            problems.add(path, line, f"id {id!r} is empty or holds white space, which a run cannot name")
        elif id in queries:
            problems.add(path, line, f"id {id!r} is there twice")
        elif not text or len(given) > LONGEST_QUERY:
            problems.add(path, line, f"the query has {len(text)} characters; expected 1 to {LONGEST_QUERY}")
        else:
            queries[id] = text
    problems.raise_if_any(_REMEDY)
    for told in problems.shown:
        _log.warning("%s", told)
    if not queries:
        raise InputError(f"{path}: no queries. {_REMEDY}")
    return queries


def _entries(path: Path, problems: Problems) -> Iterator[tuple[int, str, str]]:
    """Yield line number, id and text of each query."""
    if path.name.removesuffix(".gz").endswith(".tsv"):
        for line, (id, text) in table_rows(path, 2, problems):
            if not (line == 1 and id.lower() in _IDS and text.lower() in _TEXTS):
                yield line, id, text
        return
    for line, _, record in read_records(path, problems):
        key, words = _first(record, _IDS), _first(record, _TEXTS)
        if isinstance(key, bool) or not isinstance(key, str | int) or not isinstance(words, str):
            problems.add(path, line, "no query with an id and a text")
        else:
            yield line, str(key), words


def _first(record: Any, names: tuple[str, ...]) -> Any:
    found = {str(key).strip().lower(): value for key, value in record.items()} if isinstance(record, dict) else {}
    return next((found[name] for name in names if found.get(name) is not None), None)


def search_to_run(
    searcher: Searcher,
    queries: Mapping[str, str],
    path: str | Path,
    *,
    k: int = DEPTH,
    batch: int = BATCH,
    name: str = "isoglot",
    **how: Any,
) -> Written:
    """Search for many queries and write the results as a TREC run; the file is written atomically.

    The order is that of `Searcher.search`, in every mode. Programs that evaluate runs sort by score and reorder ties,
    so the written scores fall strictly in float32: a score that does not is lowered to the next smaller number.

    Args:
        searcher: of the index.
        queries: texts by id; a query without results has no lines.
        path: of the run; columns: query, Q0, passage, rank, score, name.
        k: passages per query at most.
        batch: queries that are encoded and searched together.
        name: last column of the run.
        how: settings of `Searcher.search_many`.

    Raises:
        InputError: as `Searcher.search`, or the id of a result contains white space.
        IsoglotError: the file cannot be written.

    Example:
        >>> search_to_run(Searcher.open("my-index"), {"q1": "Wie hoch ist der Ararat?"}, "out.trec")  # doctest: +SKIP
    """
    if batch < 1:
        raise InputError(f"batch {batch}: expected at least 1")
    label = label_of(name)
    lines, empty = 0, []
    with (
        atomic_write(Path(path)) as temporary,
        temporary.open("w", encoding="utf-8") as out,
        Progress("queries", total=len(queries)) as progress,
    ):
        asked = list(queries.items())
        for first in range(0, len(asked), batch):
            some = asked[first : first + batch]
            for (id, _), hits in zip(some, searcher.search_many([text for _, text in some], k=k, **how), strict=True):
                if not hits:
                    empty.append(id)
                    continue
                scores = strictly_falling(np.array([[hit.score for hit in hits]], np.float32))[0]
                out.writelines(run_lines(id, (hit.id for hit in hits), scores, label))
                lines += len(hits)
            progress.advance(len(some))
    return Written(len(queries), lines, tuple(empty))
