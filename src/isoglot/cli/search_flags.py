"""The search flags that `isoglot search` and `isoglot evaluate --index` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from isoglot.cli.options import Switch

if TYPE_CHECKING:
    from isoglot.search.searcher import Searcher


@dataclass(frozen=True)
class Ranking:
    """How an index is searched.

    Attributes:
        mode: What a search compares: dense (meaning), lexical (words, BM25), or hybrid (both).
        fair: balanced removes the model's preference for some languages from the ranking.
        quota: With --fair balanced: share of the results that is divided evenly between languages (0 to 1).
        query_lang: Language of the query, for an index with --debias; guessed when not given.
        rerank: Re-rank the best results: with a cross-encoder or another encoder (folder or Hub id), or with late, the
            token vectors of the index's own model (late:MODEL for another model).
        feedback: Pseudo-relevance feedback: search twice, the second time with the query vector moved towards the best
            passages of the first search, in any language.
        expand: Query expansion: URL of an OpenAI-compatible API that rewrites the query first; its key in
            OPENAI_API_KEY.
        expand_with: What the API writes: passage (one that would answer the query), translate, or both.
        expand_model: Name of the model at the API.
        expand_timeout: Seconds to wait for one request.
    """

    mode: Literal["dense", "lexical", "hybrid"] = "dense"
    fair: Literal["none", "balanced"] = "none"
    quota: float = 0.5
    query_lang: str | None = None
    rerank: str | None = None
    feedback: Switch = False
    expand: str | None = None
    expand_with: Literal["passage", "translate", "both"] = "passage"
    expand_model: str = "default"
    expand_timeout: float = 20.0

    def given(self) -> str | None:
        """Return the first flag that was set and needs an index, or None; `feedback` and `fair` suit vectors, too."""
        plain = Ranking(feedback=self.feedback, fair=self.fair)
        return next((name for name, value in vars(self).items() if value != getattr(plain, name)), None)

    @property
    def wants_models(self) -> bool:
        """Whether the search needs a model; a lexical one without re-ranking does not."""
        return self.mode != "lexical" or self.rerank is not None

    def arguments(self, searcher: Searcher, langs: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Return the arguments for `Searcher.search`; expansion translates to `langs` (default: all of the index)."""
        how = {name: getattr(self, name) for name in ("mode", "fair", "quota", "query_lang", "rerank", "feedback")}
        return {**how, "expand": self._expander(langs or tuple(searcher.languages()))}

    def _expander(self, langs: tuple[str, ...]) -> Any:
        import os

        from isoglot.core.cache import cache_folder
        from isoglot.search.expansion import Expander

        if self.expand is None:
            return None
        return Expander(
            self.expand,
            model=self.expand_model,
            strategy=self.expand_with,
            langs=langs,
            api_key=os.environ.get("OPENAI_API_KEY", "none"),
            timeout=self.expand_timeout,
            cache=cache_folder() / "expansions",
        )

    def record(self) -> dict[str, Any]:
        """Return the settings for `run.json`."""
        expansion = {"expand_with": self.expand_with, "expand_model": self.expand_model} if self.expand else {}
        own = ("mode", "fair", "quota", "query_lang", "rerank", "feedback", "expand")
        return {**{name: getattr(self, name) for name in own}, **expansion}
