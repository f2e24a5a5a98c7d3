"""Offer an index to agents as the tools `search` and `fetch`, over the Model Context Protocol and its SDK."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import Tool, ToolAnnotations
from pydantic import BaseModel, Field

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.suggestions import no_such
from isoglot.core.version import __version__
from isoglot.encoders.judges import Judge
from isoglot.encoders.late_interaction import LATE
from isoglot.languages.codes import known_code
from isoglot.search.filters.tokens import FilterError
from isoglot.search.query_checks import Fair, Mode, check_feedback, clean_query
from isoglot.search.searcher import Searcher
from isoglot.serve.cleaning import plain
from isoglot.serve.rerankers import Judged, reach
from isoglot.serve.search_request import MOST_FACETS, Answer, Ask
from isoglot.serve.search_response import Counts, all_counts
from isoglot.serve.served import open_collections
from isoglot.serve.settings import ServeSettings
from isoglot.serve.workers import BusyError, Workers

P = ParamSpec("P")
R = TypeVar("R")
_FIELDS = 60  # most fields named in a tool's description
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


class FoundPassage(BaseModel):
    """A passage that was found."""

    id: str = Field(description="Id of the document; fetch returns all of it.")
    title: str
    lang: str = Field(description="Language code; und if unknown.")
    text: str = Field(description="The passage.")
    url: str = Field(description="URL of the document if it has one, otherwise its source.")
    score: float = Field(description="Comparable only within one response.")


class FoundPassages(BaseModel):
    """The results of search, best first."""

    results: list[FoundPassage]
    facets: dict[str, Counts] = Field(
        default_factory=dict,
        description="Counts of the requested fields, over all passages that match langs and where.",
    )


class FetchedDocument(BaseModel):
    """The result of fetch: a whole document."""

    id: str
    title: str
    lang: str
    text: str
    url: str
    metadata: dict[str, Any]


def create_mcp(
    searcher: Searcher,
    name: str = "index",
    *,
    rerank: Judge | Literal["late"] | None = None,
) -> MCPServer[Any]:
    """Return an MCP (Model Context Protocol) server for an open index.

    Args:
        searcher: an open index, which the caller owns and closes.
        name: name of the server, as agents see it.
        rerank: re-ranker for the top 50 (or k) results of every search: a judge, which scores (query, passage) pairs,
            or `late` for the token vectors of the index's own model.

    Raises:
        UnavailableError: the index does not answer.
        InputError: `rerank` is a text other than `late`.
    """
    limits = ServeSettings()
    if isinstance(rerank, str) and rerank != LATE:
        raise InputError(f"rerank {rerank!r}: expected `late`, or a judge, such as one from `open_judge`")
    judge = None if rerank is None or isinstance(rerank, str) else Judged("rerank", rerank)
    (collection,) = open_collections({name: searcher})
    workers = Workers(limits.threads, limits.waiting, limits.seconds)
    codes = ", ".join(collection.languages) or "none"
    server: MCPServer[Any] = _Tools(
        name,
        version=__version__,
        log_level="WARNING",
        instructions=(
            f"Searches {collection.passages} passages in {len(collection.languages)} languages ({codes}). A query in "
            "any language finds passages in all of them; search first, then fetch documents by id to read them whole."
        ),
    )

    @server.tool(title=f"Search {name}", annotations=_READS)
    async def search(
        query: Annotated[str, Field(max_length=limits.query_characters, description="The query, in any language.")],
        k: Annotated[int, Field(ge=1, le=limits.results, description="Maximum number of passages.")] = 10,
        langs: Annotated[
            list[str] | None, Field(description=f"Search only these languages. Available: {codes}.")
        ] = None,
        where: Annotated[
            str | None,
            Field(
                max_length=limits.query_characters,
                description="Find only passages that match a filter, such as: year >= 2020 AND source LIKE 'docs/%'. "
                f"Fields: {', '.join(plain(name) for name in collection.fields()[:_FIELDS])}.",
            ),
        ] = None,
        facets: Annotated[
            list[str] | None,
            Field(
                max_length=MOST_FACETS,
                description="Count the values of these fields, such as lang, to see which langs and where to use. "
                "With an empty query, only counts are returned.",
            ),
        ] = None,
        offset: Annotated[int, Field(ge=0, le=limits.offset, description="Number of results to skip.")] = 0,
        mode: Annotated[Mode, Field(description="dense: by meaning; lexical: by words; hybrid: by both.")] = "dense",
        fair: Annotated[Fair, Field(description="balanced: no language is preferred.")] = "none",
        feedback: Annotated[
            bool,
            Field(
                description="Search again for passages like the best ones: this finds passages that say the same in "
                "other languages. Not with mode lexical."
            ),
        ] = False,
    ) -> FoundPassages:
        """Find passages that answer a query, whatever language they are in."""
        wanted = list(dict.fromkeys(known_code(code) or code for code in langs or []))
        unknown = [code for code in wanted if code not in collection.languages]
        if unknown:
            raise ToolError(f"langs: there is no {plain(unknown[0])[:40]!r}; there are: {codes}")
        try:
            check_feedback(feedback, mode)
        except InputError as error:
            raise ToolError(str(error)) from error
        if rerank is not None and offset and offset + k > reach(k):
            raise ToolError(
                f"offset: only the {reach(k)} best results can be read here; narrow the search by langs or where"
            )
        ask = Ask(
            query=clean_query(query),
            k=k,
            langs=wanted,
            mode=mode,
            fair=fair,
            where=where,
            offset=offset,
            facets=tuple(dict.fromkeys(facets or ())),
            feedback=feedback,
            rerank=LATE if isinstance(rerank, str) else None,
            judge=judge,
        )
        return _found(await _answer(workers, collection.ask, ask))

    @server.tool(title=f"Read a document of {name}", annotations=_READS)
    async def fetch(
        id: Annotated[str, Field(max_length=2000, description="Id of a document, from search.")],
    ) -> FetchedDocument:
        """Read a document whole: all its passages in their order."""
        passages = await _answer(workers, collection.document, id)
        if not passages:
            raise ToolError(f"there is no document {plain(id)[:100]!r}; take an id from search")
        first = passages[0]
        return FetchedDocument(
            id=plain(first.document),
            title=plain(first.title),
            lang=plain(first.lang),
            text="\n\n".join(plain(passage.text) for passage in passages),
            url=plain(str(first.metadata.get("url") or first.source)),
            metadata=plain(first.metadata),
        )

    return server


class _Tools(MCPServer[Any]):
    """The SDK's server, but rejecting unknown arguments, which the SDK ignores; the tools' schemas say so."""

    async def list_tools(self) -> list[Tool]:
        tools = await super().list_tools()
        for tool in tools:
            tool.input_schema = {**tool.input_schema, "additionalProperties": False}
        return tools

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        there = {tool.name: list(tool.input_schema["properties"]) for tool in await self.list_tools()}.get(name)
        unknown = [] if there is None else [given for given in arguments if given not in there]
        if there is not None and unknown:
            raise ToolError(f"{plain(unknown[0])[:40]}: {no_such('argument', unknown[0], there)}")
        return await super().call_tool(name, arguments, context)


def _found(answer: Answer) -> FoundPassages:
    """Return an answer in the format for agents."""
    return FoundPassages(
        results=[
            FoundPassage(
                id=plain(hit.document or hit.id),
                title=plain(hit.title),
                lang=plain(hit.lang),
                text=plain(hit.text),
                url=plain(str(hit.metadata.get("url") or hit.source)),
                score=plain(float(hit.score)) or 0.0,
            )
            for hit in answer.hits
        ],
        facets=all_counts(answer),
    )


async def _answer(workers: Workers, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return await workers.run(function, *args, **kwargs)
    except BusyError as error:
        raise ToolError("too many searches at once; try again in a moment") from error
    except TimeoutError as error:
        raise ToolError("the search took too long; try a shorter query") from error
    except FilterError as error:
        raise ToolError(plain(str(error))) from error
    except IsoglotError as error:
        raise ToolError("the index does not answer; the server's messages give the reason") from error
