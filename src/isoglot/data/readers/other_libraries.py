"""Convert training files of other libraries to parallel rows: Sentence Transformers, Tevatron, FlagEmbedding.

Each format is a function from a record to the fields of its rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from isoglot.data.readers.converted_records import Reading, Source, converted_rows, titled
from isoglot.data.rows import Row

_QUERIES = ("query", "anchor", "question", "sentence1")
_PASSAGES = ("positive", "passage", "pos", "answer", "document", "sentence2")
_LABELS = ("label", "labels", "score", "scores")  # as Sentence Transformers calls what is no text
_NO_TEXTS = ("id", "group", "lang", "language", "dataset", *_LABELS)


def pairs_rows(
    sources: Sequence[Source],
    reading: Reading,
    *,
    query: str | None = None,
    passage: str | None = None,
    header: bool = True,
    notes: Counter[str] | None = None,
) -> Iterator[Row]:
    """Stream rows from pairs, triplets or n-tuples for Sentence Transformers (JSONL, CSV, TSV, Parquet).

    Columns whose name begins with `negative` hold negatives; in triplets found by position, the third text does. Pairs
    without negatives may have labels or scores: those below `reading.relevant_from` are left out. Beside negatives, a
    list of one number for the passage and for each negative is a teacher's scores.

    Args:
        sources: the files.
        reading: how to convert records to rows.
        query: the query's column; if None, a column with a usual name in any case (query, anchor, question,
            sentence1), else the first text.
        passage: the passage's column; if None, likewise (positive, passage, pos, answer, document, sentence2), else
            the next text.
        header: whether CSV and TSV begin with a line of column names.
        notes: counts warnings, such as about guessed encodings.

    Raises:
        InputError: lines are malformed (all are reported together), columns are missing, or labels differ and
            `reading.relevant_from` is None.
    """

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        texts = [name for name, value in record.items() if isinstance(value, str) and not _is_taken(name, reading)]
        asked = _column(record, query, _QUERIES, texts[:1])
        answered = _column(record, passage, _PASSAGES, [name for name in texts if name != asked][:1])
        rest = [name for name in texts if name not in (asked, answered)]
        named = [name for name in record if _plain(name).startswith("negative")]
        by_position = _plain(asked) not in _QUERIES and query is None
        negatives: list[str] = []
        for name in named or (rest[:1] if by_position else []):
            value = record[name]
            negatives += value if isinstance(value, list) else [value] if value else []
        used = (asked, answered, reading.group_column, reading.lang_column)
        label = next((record[name] for name in record if _plain(name) in _LABELS and name not in used), None)
        scores = label if negatives and isinstance(label, list) and len(label) == 1 + len(negatives) else []
        if negatives and label is not None and not scores and notes is not None:
            notes["labels or scores that are not one for each passage: left out"] += 1
        return {
            "query": record.get(asked),
            "passage": record.get(answered),
            "negatives": negatives,
            "scores": scores,
            # Beside negatives a single number is a teacher's margin.
            "label": None if named or negatives or not isinstance(label, (str, int, float)) else label,
        }

    return converted_rows(sources, reading, convert, header=header, notes=notes)


def tevatron_rows(sources: Sequence[Source], reading: Reading, notes: Counter[str] | None = None) -> Iterator[Row]:
    """Stream rows from Tevatron's JSONL.

    Its fields are `query_id`, `query`, `positive_passages` and `negative_passages` (each with `docid`, `title`,
    `text`). Every positive passage becomes a row; `notes` counts duplicates that were left out.

    Raises:
        InputError: lines are malformed; all are reported together.
    """

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        positives, negatives = record["positive_passages"], record.get("negative_passages") or []
        return {
            "group": record.get("query_id"),
            "query": record["query"],
            "passages": [{"title": entry.get("title") or None, "text": entry["text"]} for entry in positives],
            "negatives": [titled(entry) for entry in negatives],
        }

    return converted_rows(sources, reading, convert, notes=notes)


def flagembedding_rows(sources: Sequence[Source], reading: Reading, notes: Counter[str] | None = None) -> Iterator[Row]:
    """Stream rows from FlagEmbedding's JSONL: `query`, `pos`, `neg`, optionally `pos_scores`, `neg_scores` and `id`.

    Every positive becomes a row; `notes` counts duplicates and unusable scores that were left out. A single text
    counts as a list of one.

    Raises:
        InputError: lines are malformed; all are reported together.
    """

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        positives, negatives = _listed(record["pos"]), _listed(record.get("neg") or [])
        converted = {
            "group": record.get("id"),
            "query": record["query"],
            "passages": positives,
            "negatives": negatives,
        }
        own, others = record.get("pos_scores") or [], record.get("neg_scores") or []
        if own and (len(own), len(others)) == (len(positives), len(negatives)):
            converted["scores"] = [*own, *others]
        elif (own or others) and notes is not None:
            notes["rows whose scores do not fit their passages: left out"] += 1
        return converted

    return converted_rows(sources, reading, convert, notes=notes)


def _listed(texts: Any) -> Any:
    return [texts] if isinstance(texts, str) else texts


def _is_taken(name: str, reading: Reading) -> bool:
    return name in (reading.group_column, reading.lang_column) or _plain(name) in _NO_TEXTS


def _column(record: dict[str, Any], given: str | None, usual: tuple[str, ...], else_first: list[str]) -> str:
    if given is not None:
        if given not in record:
            raise KeyError(given)
        return given
    have = {_plain(name): name for name in reversed(record)}
    for name in usual:
        if name in have:
            return have[name]
    for name in else_first:
        return name
    raise KeyError(usual[0])


def _plain(name: str) -> str:
    return name.strip().lower()
