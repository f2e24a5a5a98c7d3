"""SWIM-IR (Thakur et al., arXiv 2311.05800): generated questions for Wikipedia passages, JSON lines or Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from isoglot.core.problems import Problems
from isoglot.data.records import read_records
from isoglot.data.rows import Row, check_row
from isoglot.languages.checking import in_script
from isoglot.languages.codes import known_code

_FIELDS = ("_id", "code", "query", "title", "text")


def swim_ir_rows(
    files: Sequence[Path], *, dataset: str = "swim-ir", langs: tuple[str, ...] = (), notes: Counter[str] | None = None
) -> Iterator[Row]:
    """Stream the rows of the monolingual sets (`_id`, `code`, `query`, `title`, `text`); a group is a code and an id.

    The cross-lingual sets pair questions with English passages, which a row (one language) cannot say; where scripts
    show it, such records are counted and left out.

    Args:
        files: `.jsonl` (also `.gz`) or `.parquet`.
        dataset: name of the data set.
        langs: the only languages; all when empty.
        notes: counts what was left out.

    Raises:
        InputError: a missing file, or malformed records (all are gathered).
    """
    left_out = Counter[str]() if notes is None else notes
    problems = Problems()
    for path in files:
        for number, record in read_records(path, problems):
            missing = [name for name in _FIELDS if not isinstance(record, dict) or name not in record]
            if missing:
                problems.add(path, number, f"no {', '.join(missing)}; expected SWIM-IR's fields {', '.join(_FIELDS)}")
                continue
            lang = known_code(str(record["code"]))
            if langs and lang not in langs:
                continue
            if lang and not in_script(str(record["text"]), lang):
                left_out["records whose passage is in another language than the question"] += 1
                continue
            fields = {
                "group": f"{record['code']}:{record['_id']}",
                "lang": record["code"],
                "query": record["query"],
                "passage": record["text"],
                "title": record["title"] or None,
                "dataset": dataset,
            }
            row = check_row(fields, path, number, problems)
            if row is not None:
                yield row
    problems.raise_if_any("Mend these records or take them out; docs/data.md describes the format.")
