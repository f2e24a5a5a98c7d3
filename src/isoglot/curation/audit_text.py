"""Render an audit of rows as text."""

from __future__ import annotations

from typing import Any

from isoglot.core.text_columns import aligned


def render(facts: dict[str, Any]) -> str:
    """Return the facts of `audit` as text with tables; the problems come last."""
    from isoglot.data.description import render as coverage

    lines = [
        coverage(facts["coverage"]),
        "",
        *_render_collisions(facts["collisions"]),
        *_render_made(facts["made"]),
        *_render_bitext_only(facts["unusable"]["languages_in_bitext_only"]),
        *_render_tokens(facts["tokens"]),
    ]
    if facts["writing"]["rows_in_another_language"] is None:
        lines += ["", "languages were not identified: pip install 'isoglot[data]'"]
    for entry in facts["writing"]["examples"]:
        lines.append(
            f"not {entry['lang']} by its {entry['wrong']}: {entry['field']} of {entry['group']}: {entry['text']}"
        )
    if facts["overlap"]:
        lines += [
            f"overlap: {example}"
            for kind in ("exact", "near")
            for example in (facts["overlap"][kind] or {"examples": ()})["examples"]
        ]
    lines += ["", *_render_batches(facts["batches"], facts["coverage"]), ""]
    if not facts["problems"]:
        return "\n".join([*lines, "no problems found"])
    lines.append(f"{len(facts['problems'])} kinds of problems:")
    return "\n".join([*lines, *(f"  {problem['count']:>8} {problem['message']}" for problem in facts["problems"])])


def _render_collisions(collisions: dict[str, Any]) -> list[str]:
    rows, groups = (collisions[f"false_negatives_a_batch_of_random_{what}"] for what in ("rows", "groups"))
    return [
        f"kept out of batches: {collisions['colliding_group_pairs']} pairs of groups share a passage or question; "
        f"drawn at random, a batch would hold {rows:.2f} false negatives (rows) or {groups:.2f} (one row of a group)"
    ]


def _render_made(made: dict[str, dict[str, dict[str, int]]]) -> list[str]:
    return [
        f"{field.replace('_', ' ')} {maker}: " + ", ".join(f"{lang} {count}" for lang, count in sorted(counts.items()))
        for field, makers in made.items()
        for maker, counts in makers.items()
    ]


def _render_bitext_only(langs: list[str]) -> list[str]:
    return [f"in bitext only, never asked in: {', '.join(langs)}"] if langs else []


def _render_tokens(tokens: dict[str, Any] | None) -> list[str]:
    if tokens is None:
        return []
    rows = [
        [
            code,
            f"{own['tokens_a_passage']:.1f}",
            f"{own['tokens_a_100_characters']:.1f}",
            "" if own["premium"] is None else f"{own['premium']:.2f}",
            f"{own['unknown']:.2%}",
            str(own["cut_queries"]),
            str(own["cut_passages"]),
        ]
        for code, own in tokens["languages"].items()
    ]
    head = f"tokens a passage, a 100 characters, against {tokens['reference']}, unknown; cut queries, passages"
    return [
        "",
        head,
        *aligned(rows, (6, 9, 9, 7, 8, 8, 8)),
    ]


def _render_batches(batches: dict[str, Any], coverage: dict[str, Any]) -> list[str]:
    if "error" in batches:
        return [f"no batches of {batches['regime']}: {batches['error']}"]
    total = batches["batches"] * batches["batch_size"]
    pairs = sorted(batches["pairs"].items(), key=lambda entry: -entry[1])
    shown = ", ".join(f"{pair} {count / total:.1%}" for pair, count in pairs[:12])
    return [
        f"the first {batches['batches']} batches of {batches['batch_size']} ({batches['regime']}) hold:",
        "  kinds: " + ", ".join(f"{kind} {count / batches['batches']:.1%}" for kind, count in batches["kinds"].items()),
        "  data sets: "
        + ", ".join(f"{name} {count / batches['batches']:.1%}" for name, count in batches["datasets"].items()),
        "  queries: " + ", ".join(f"{code} {n / total:.1%}" for code, n in batches["query_languages"].items()),
        "  passages: " + ", ".join(f"{code} {n / total:.1%}" for code, n in batches["passage_languages"].items()),
        f"  pairs: {shown}" + (f", and {len(pairs) - 12} more" if len(pairs) > 12 else ""),
        f"  {batches['groups_seen']} of {coverage['groups']} groups, {batches['rows_seen']} of {coverage['rows']} rows",
    ]
