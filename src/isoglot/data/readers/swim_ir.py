"""Read SWIM-IR (Thakur et al., arXiv 2311.05800): generated questions for Wikipedia passages, JSONL or Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from isoglot.core.problems import Problems
from isoglot.data.records import read_records
from isoglot.data.rows import Row, check_row
from isoglot.languages.checking import in_language, in_script
from isoglot.languages.codes import known_code
from isoglot.languages.detection import identifier_if_there

_FIELDS = ("_id", "code", "query", "title", "text")
_PASSAGES = "en"  # language of the passages in the cross-lingual sets
_OTHER = "records whose passage is in another language than the question (as in the cross-lingual sets)"


def swim_ir_rows(
    files: Sequence[Path],
    *,
    dataset: str = "swim-ir",
    langs: tuple[str, ...] = (),
    cross_lingual: bool = False,
    notes: Counter[str] | None = None,
) -> Iterator[Row]:
    """Stream the rows of SWIM-IR files (`_id`, `code`, `query`, `title`, `text`); a group is a code and an id.

    The cross-lingual sets pair questions with English passages, but a row has one language: so a record becomes two
    bitext rows, the question in its language and the passage in English, which cross-lingual batches pair in both
    directions.

    Args:
        files: `.jsonl` (also `.gz`) or `.parquet`.
        dataset: name of the data set.
        langs: keep only questions in these languages; all if empty.
        cross_lingual: whether the files belong to the cross-lingual sets.
        notes: counts what was left out.

    Raises:
        InputError: a file is missing, or records are malformed (all are reported together).
    """
    left_out = Counter[str]() if notes is None else notes
    problems = Problems()
    identify = identifier_if_there()
    for path in files:
        for number, _, record in read_records(path, problems):
            missing = [name for name in _FIELDS if not isinstance(record, dict) or name not in record]
            if missing:
                problems.add(path, number, f"no {', '.join(missing)}; expected SWIM-IR's fields {', '.join(_FIELDS)}")
                continue
            lang = known_code(str(record["code"]))
            if langs and lang not in langs:
                continue
            if cross_lingual and lang == _PASSAGES:
                left_out["questions in English, as their passages are"] += 1
                continue
            said, text = _PASSAGES if cross_lingual else lang, str(record["text"])
            if said and not (in_script(text, said) and (identify is None or in_language(text, said, identify))):
                left_out["records whose passage is not in English" if cross_lingual else _OTHER] += 1
                continue
            for fields in _fields(record, dataset, cross_lingual):
                row = check_row(fields, path, number, problems)
                if row is not None:
                    yield row
    problems.raise_if_any("Fix or remove these records; docs/data.md describes the format.")


def _fields(record: dict[str, Any], dataset: str, cross_lingual: bool) -> Iterator[dict[str, Any]]:
    own = {"group": f"{record['code']}:{record['_id']}", "dataset": dataset}
    question = own | {"lang": record["code"], "query": record["query"]}
    if not cross_lingual:
        yield question | {"passage": record["text"], "title": record["title"] or None}
        return
    text = record["text"]
    yield question | {"passage": record["query"], "kind": "bitext"}
    yield own | {"lang": _PASSAGES, "query": text, "passage": text, "title": record["title"] or None, "kind": "bitext"}
