"""Print search results in a terminal, or convert them to JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from isoglot.serve.cleaning import as_whole

if TYPE_CHECKING:
    from isoglot.search.hit import Hit
    from isoglot.search.lookup import Facet, Neighbours

_SNIPPET = 200  # characters
_SHOWN = 20  # most values shown of a field


def print_hits(hits: Sequence[Hit], query: str, offset: int, around: Mapping[str, Neighbours]) -> None:
    """Print a line per hit, with the snippet that has most of the query's words, between its neighbours."""
    from isoglot.search.snippets import snippet

    if not hits:
        print("nothing further" if offset else "nothing found")
    width = max([3, *(len(hit.lang) for hit in hits)])
    for rank, hit in enumerate(hits, 1 + offset):
        title = f"{plain(hit.title)} · " if hit.title else ""
        part = snippet(hit.text, query, _SNIPPET)
        text = f"{'…' if part.before else ''}{plain(part.text)}{'…' if part.after else ''}"
        also = f" (and {len(hit.also)} more)" if hit.also else ""
        before, after = around.get(hit.id, ((), ()))
        for passage in before:
            print(f"{'':>{12 + width}}  < {plain(passage.text)[:_SNIPPET]}")
        print(f"{rank:>3}  {hit.score:.4f}  {hit.lang:<{width}}  {title}{text}  [{plain(hit.id)}]{also}")
        for passage in after:
            print(f"{'':>{12 + width}}  > {plain(passage.text)[:_SNIPPET]}")


def print_facets(facets: Mapping[str, Facet]) -> None:
    """Print the values of each field with their counts, most frequent first."""
    for name, facet in facets.items():
        values = [f"{plain(_written(value))} {count}" for value, count in list(facet.counts.items())[:_SHOWN]]
        more = facet.more + max(0, len(facet.counts) - _SHOWN)
        values += [f"and {more} more values"] if more else []
        values += [f"without {facet.without}"] if facet.without else []
        print(f"{plain(name)} of {facet.passages} passages: {', '.join(values)}")


def as_record(hits: Sequence[Hit], offset: int, around: Mapping[str, Neighbours], facets: Mapping[str, Facet]) -> Any:
    """Return the output of --json: a list of hits, or with facets an object of `hits` and `facets`."""
    listed = [
        {"rank": rank, **asdict(hit)}
        | (
            {side: [asdict(passage) for passage in passages] for side, passages in around[hit.id]._asdict().items()}
            if hit.id in around
            else {}
        )
        for rank, hit in enumerate(hits, 1 + offset)
    ]
    if not facets:
        return listed
    return {"hits": listed, "facets": {name: facet_record(facet) for name, facet in facets.items()}}


def facet_record(facet: Facet) -> dict[str, Any]:
    """Return a facet for JSON: values as a list, since the keys of a JSON object can only be texts."""
    values = [{"value": as_whole(value), "count": count} for value, count in facet.counts.items()]
    return {"values": values, "more": facet.more, "passages": facet.passages, "without": facet.without}


def plain(text: str) -> str:
    """Return text as one line, without control characters, which the terminal would execute."""
    return "".join(char if char.isprintable() else " " for char in text)


def _written(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else value
