"""Statistics of parallel rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from isoglot.core.files import printable
from isoglot.core.text_columns import aligned, column_width, pad
from isoglot.data.big_arrays import Ints
from isoglot.data.prepared import Prepared
from isoglot.languages.table import language

_PERCENTILES = (5, 50, 95, 100)


def describe(rows: Prepared) -> dict[str, Any]:
    """Count languages, groups, pairs and duplicates of prepared rows; give length percentiles in characters."""
    table = rows.table
    lang = np.asarray(table.lang)
    queries, repeated_queries = _lengths(lang, rows.query_blocks())
    passages, repeated_passages = _lengths(lang, rows.passage_blocks())
    pairs = np.asarray(table.pair_groups).sum(axis=0)
    shared = np.bincount(np.asarray(table.component)[np.unique(np.asarray(table.group), return_index=True)[1]])
    return {
        "rows": len(rows),
        "groups": table.groups,
        "components": len(shared),
        "groups_sharing_a_passage": int(shared[shared > 1].sum()),
        "repeated_queries": repeated_queries,
        "repeated_passages": repeated_passages,
        "datasets": {
            name: int(count)
            for name, count in zip(
                table.datasets,
                np.bincount(np.asarray(table.dataset), minlength=len(table.datasets)),
                strict=True,
            )
        },
        "cross_only": list(table.cross_only),
        "languages": {
            code: {
                "name": language(code).name,
                "rows": int((lang == number).sum()),
                "query_characters": _percentiles(queries[lang == number]),
                "passage_characters": _percentiles(passages[lang == number]),
            }
            for number, code in enumerate(table.languages)
        },
        "pairs": {
            f"{x}>{y}": int(pairs[i, j])
            for i, x in enumerate(table.languages)
            for j, y in enumerate(table.languages)
            if i != j
        },
    }


def render(facts: dict[str, Any]) -> str:
    """Format the result of `describe` as text with tables."""
    codes = list(facts["languages"])
    lines = [
        f"{facts['rows']} rows, {facts['groups']} groups in {facts['components']} components "
        f"({facts['groups_sharing_a_passage']} groups share a passage or question), {len(codes)} languages",
        f"repeated in one language: {facts['repeated_queries']} queries, {facts['repeated_passages']} passages",
        "data sets: "
        + ", ".join(
            f"{printable(name)} ({count} rows"
            f"{', bitext: cross-lingual batches only' if name in facts['cross_only'] else ''})"
            for name, count in facts["datasets"].items()
        ),
        "",
    ]
    width = column_width((f"{own['name']} ({code})" for code, own in facts["languages"].items()), 20)
    lines.append(f"{pad('language', width)}{'rows':>8}   query characters (5 50 95 100 %)   passage characters")
    for code, own in facts["languages"].items():
        query, passage = (
            " ".join(f"{own[key][str(p)]:>5}" for p in _PERCENTILES)
            for key in ("query_characters", "passage_characters")
        )
        label = pad(f"{own['name']} ({code})", width)
        lines.append(f"{label}{own['rows']:>8}   {query:<32}   {passage}")
    counts = [["", *codes]]
    for x in codes:
        cells = (str(facts["languages"][x]["rows"]) if x == y else str(facts["pairs"][f"{x}>{y}"]) for y in codes)
        counts.append([x, *cells])
    lines += ["", "groups that have both languages", *aligned(counts, (5, *(7 for _ in codes)))]
    return "\n".join(lines)


def _lengths(lang: Ints, blocks: Iterable[list[str]]) -> tuple[Ints, int]:
    """Return lengths in characters, (rows,), and how many texts repeat one of their language; keeps only hashes."""
    lengths, hashes = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
    done = 0
    for block in blocks:
        lengths.append(np.array([len(text) for text in block], np.int32))
        codes = lang[done : done + len(block)].tolist()
        hashes.append(np.array([hash(pair) for pair in zip(codes, block, strict=True)], np.int64))
        done += len(block)
    return np.concatenate(lengths), done - len(np.unique(np.concatenate(hashes)))


def _percentiles(lengths: Any) -> dict[str, int]:
    return {str(p): int(np.percentile(lengths, p)) for p in _PERCENTILES}
