"""`isoglot search`: search an index with one query, or with a file of them."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from isoglot.cli.help_page import MODEL, SEARCH
from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json, Names, Switch
from isoglot.cli.search_flags import Ranking
from isoglot.cli.search_output import as_record, print_facets, print_hits
from isoglot.core.errors import InputError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.search.searcher import Searcher


def search(
    folder: str,
    query: str | None = None,
    /,
    *,
    queries: Path | None = None,
    run: Path | None = None,
    overwrite: Switch = False,
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    langs: Names | None = None,
    where: str | None = None,
    like: str | None = None,
    offset: int = 0,
    collapse: Names | None = None,
    facets: Names | None = None,
    neighbours: int = 0,
    ranking: Annotated[Ranking | None, Parameter(name="*", group=SEARCH)] = None,
    model: str | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    as_json: Json = False,
) -> None:
    """Search an index with one query, or with a file of them.

    Args:
        folder: Folder made by `isoglot index`, or a place in a store, such as qdrant://localhost:6333/docs.
        query: The query, in any language.
        queries: File of queries: TSV of id and text, or JSONL (BEIR), CSV or Parquet of _id and text.
        run: TREC run to write for --queries.
        overwrite: Replace an existing run.
        k: Number of results; 10 by default, 1000 in a run.
        langs: Comma-separated languages of results.
        where: Filter on metadata: "year >= 2020 AND source LIKE 'docs/%'".
        like: Id of a passage: find similar ones, instead of a query.
        offset: Results to skip, for the next page.
        collapse: Keep one result per document, per text (passages with the same words), or both: document,text.
        facets: Comma-separated fields, such as lang,source: count their values over all passages that match --where
            and --langs.
        neighbours: Show this many passages of the document before and after each result.
        ranking: How the index is searched.
        model: The encoder, if it is now at another place than the index recorded.
        options: How the encoder is opened, if not as the index recorded.
        as_json: Print the results as JSON.
    """
    from isoglot.encoders.loading import quiet_libraries
    from isoglot.search.searcher import Searcher

    chosen = ranking or Ranking()
    if (query is not None) + (queries is not None) + (like is not None) != 1:
        raise InputError("give a query, a file of them with --queries, or a passage's id with --like: one of these")
    own = (chosen.mode != "dense", chosen.rerank, chosen.expand, chosen.query_lang, chosen.feedback)
    if like is not None and any(own):
        raise InputError(
            "--like: searches with the passage's own vector; leave out --mode, --rerank, --expand, --query-lang, "
            "--feedback"
        )
    if (queries is None) != (run is None):
        raise InputError("--queries and --run go together: results of many queries are written as a TREC run")
    if overwrite and run is None:
        raise InputError("--overwrite: replaces a run file; give --queries and --run with it")
    if run is not None and (offset or facets or neighbours):
        raise InputError("--offset, --facets and --neighbours are for one query; leave them out with --queries")
    texts = None
    if queries is not None and run is not None:
        from isoglot.search.runs import read_queries

        if run.exists() and (run.is_dir() or not overwrite):
            raise InputError(f"{run}: exists; give --overwrite to replace it or another --run")
        texts = read_queries(queries)  # before anything is loaded
    quiet_libraries()
    with closing(Searcher.open(folder, model, options=options, light=True)) as searcher:
        how: dict[str, Any] = {"langs": langs, "where": where, "collapse": collapse or ()}
        if like is None:
            how |= chosen.arguments(searcher, langs)
        else:
            how |= {"fair": chosen.fair, "quota": chosen.quota}
        if texts is not None and run is not None:
            _write_run(searcher, texts, run, k, as_json, how)
            return
        how |= {"k": 10 if k is None else k, "offset": offset}
        hits = searcher.search(query or "", **how) if like is None else searcher.more_like(like, **how)
        around = searcher.neighbours_of(hits, neighbours) if neighbours else {}
        counted = searcher.facets(facets, langs=langs, where=where) if facets else {}
    if as_json:
        print(json_line(as_record(hits, offset, around, counted)))
        return
    print_hits(hits, query or "", offset, around)
    print_facets(counted)


def _write_run(
    searcher: Searcher, queries: dict[str, str], path: Path, k: int | None, as_json: bool, how: dict[str, Any]
) -> None:
    from isoglot.measuring.trec import DEPTH
    from isoglot.search.runs import search_to_run

    written = search_to_run(searcher, queries, path, k=DEPTH if k is None else k, **how)
    if as_json:
        print(json_line({"run": str(path), **written._asdict()}))
        return
    print(f"{path}: {written.lines} lines for {written.queries} queries")
    if written.empty:
        some = ", ".join(map(repr, written.empty[:10])) + (", ..." if len(written.empty) > 10 else "")
        print(f"isoglot: nothing found for {len(written.empty)} queries: {some}", file=sys.stderr)
