"""A file of queries in, a TREC run out: what trec_eval, ir_measures and `isoglot evaluate --run` score."""

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
from isoglot.search.query_checks import LONGEST_QUERY
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
    """What a run holds: queries asked, lines written, and ids of queries for which nothing was found."""

    queries: int
    lines: int
    empty: tuple[str, ...]


def read_queries(path: Path) -> dict[str, str]:
    """Texts of queries by id, in the order of the file.

    Args:
        path: `.tsv` of id and text, as MS MARCO and TREC write topics, with or without a line of column names; JSONL
            such as BEIR's `queries.jsonl`, CSV or Parquet with `_id`, `id`, `qid` or `query_id`, and `text`, `query`
            or `title`. All but Parquet also with `.gz`.

    Raises:
        InputError: no such file, no queries, or lines without an id or a text, with an id twice or with white space in
            it, or with a text that is too long.
    """
    problems = Problems()
    queries: dict[str, str] = {}
    for line, id, text in _entries(path, problems):
        if id.split() != [id]:
            problems.add(path, line, f"id {id!r} is empty or holds white space, which a run cannot name")
        elif id in queries:
            problems.add(path, line, f"id {id!r} is there twice")
        elif not len(text.strip()) >= 1 or len(text) > LONGEST_QUERY:
            problems.add(path, line, f"the query has {len(text.strip())} characters; expected 1 to {LONGEST_QUERY}")
        else:
            queries[id] = text
    problems.raise_if_any(_REMEDY)
    for told in problems.shown:
        _log.warning("%s", told)
    if not queries:
        raise InputError(f"{path}: no queries. {_REMEDY}")
    return queries


def _entries(path: Path, problems: Problems) -> Iterator[tuple[int, str, str]]:
    """Line, id and text of each query."""
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
    """Search for many queries and write what is found as a TREC run, which appears whole or not at all.

    The order is that of `Searcher.search`, whatever the mode. Programs that score runs sort by score, and reorder equal
    ones; so scores are written to fall strictly in float32: one that does not is lowered to the next number below.

    Args:
        searcher: over the index.
        queries: texts by id; queries that find nothing have no lines.
        path: of the run: query, Q0, passage, rank, score, name.
        k: passages a query at most.
        batch: queries that are encoded and searched together.
        name: last column of the run.
        how: as `Searcher.search_many` takes it.

    Raises:
        InputError: as `Searcher.search`, or an id with white space among what is found.
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
