"""The parameters of the JSON API's searches: their limits, and their descriptions in the OpenAPI document."""

from collections.abc import Sequence

from fastapi import Query

from isoglot.search.snippets import LONGEST, SHORTEST
from isoglot.serve.openapi_values import Listed
from isoglot.serve.rerankers import ServedRerankers
from isoglot.serve.search_request import MOST_FACETS
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings

_LANGS = 500  # most languages that a request may name
_NEIGHBOURS = 5
_ID = 2000  # characters


class Parameters:
    """FastAPI's annotations of each parameter; those called `a_...` annotate a single value of it.

    Args:
        collections: the collections to search.
        settings: limits.
        rerankers: the re-rankers that requests may name.
    """

    def __init__(self, collections: Sequence[Collection], settings: ServeSettings, rerankers: ServedRerankers) -> None:
        self.a_language = Listed(lambda: languages_there(collections), kind="string")
        self.a_field = Listed(lambda: sorted({name for entry in collections for name in entry.fields()}), kind="string")
        self.a_reranker = Listed(lambda: rerankers.names, kind="string")
        self.query = Query(
            max_length=settings.query_characters,
            description="The query, in any language; if it is empty or only spaces, there are no results.",
        )
        self.id = Query(max_length=_ID, description="Id of a passage, from /search.")
        self.k = Query(ge=1, le=settings.results, description="Maximum number of passages.")
        self.offset = Query(ge=0, le=settings.offset, description="Number of results to skip, for the next page.")
        self.lang = Query(max_length=_LANGS, description="Search only this language; may be repeated.")
        self.where = Query(
            max_length=settings.query_characters,
            description="Find only passages that match a filter, such as year >= 2020 AND source LIKE 'docs/%'",
            json_schema_extra={"format": "isoglot-filter"},
        )
        self.mode = Query(description="dense: by meaning; lexical: by words; hybrid: by both.")
        self.fair = Query(description="balanced: correct the model's preference for some languages.")
        self.feedback = Query(
            description="Search twice: the second search also looks for passages like the best ones, which finds their "
            "translations. Not with mode=lexical."
        )
        self.rerank = Query(
            max_length=_ID,
            description="Re-rank the top 50 (or k) results with a re-ranker of this server; late uses the token "
            "vectors of the index's own model.",
        )
        self.collapse = Query(
            max_length=2, description="Keep one result per document, or per text (same words); may be repeated."
        )
        self.facets = Query(
            max_length=MOST_FACETS, description="Count this field's values in all passages that match lang and where."
        )
        self.snippet = Query(
            ge=SHORTEST, le=LONGEST, description="Length, in characters, of the part with most of the query's words."
        )
        self.neighbours = Query(
            ge=0, le=_NEIGHBOURS, description="Number of passages to show before and after each result."
        )
        self.index = Query(description="Name of the index to search.")


def languages_there(collections: Sequence[Collection]) -> list[str]:
    """Return the codes of all languages in which any of the collections has passages, sorted."""
    return sorted({code for entry in collections for code in entry.languages})
