"""Query expansion and translation through any OpenAI-compatible endpoint (arXiv 2511.19325).

A model writes a short passage that would answer the query, or translates the query, or both, in that order. Query,
passage and translations are then searched for as one text.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from isoglot.core.arguments import check_choice
from isoglot.core.chat_completions import complete, json_object, without_thoughts
from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.core.http_retries import FaultError, require_httpx
from isoglot.languages.table import language

Strategy = Literal["passage", "translate", "both"]
STRATEGIES: tuple[Strategy, ...] = ("passage", "translate", "both")

_log = logging.getLogger("isoglot")
_LONGEST = 4000  # characters of an answer at most
_PASSAGE = (
    "Write one short passage, two to four sentences, that answers the question below, in the language of the question. "
    "Write the passage only.\n\n{text}"
)
_TRANSLATE = (
    "Translate the text below into each of these languages: {names}. Answer with one JSON object only, "
    "whose keys are {codes} and whose values are the translations.\n\n{text}"
)


class Expander:
    """Rewrites queries with a language model; falls back to the plain query, with a warning, when that fails.

    Args:
        endpoint: base URL of an OpenAI-compatible API, such as `http://127.0.0.1:11434/v1`.
        model: model name known to the endpoint.
        strategy: `passage` (a passage that would answer), `translate`, or `both` (passage first, then translated).
        langs: languages to translate into.
        api_key: sent to the endpoint.
        timeout: seconds for one request.
        cache: folder in which answers are cached; None for memory only.

    Raises:
        InputError: an unknown strategy, no URL, or a translation without languages.
        MissingPackageError: httpx is not installed.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        model: str = "default",
        strategy: Strategy = "passage",
        langs: Sequence[str] = (),
        api_key: str = "none",
        timeout: float = 20.0,
        cache: Path | None = None,
    ) -> None:
        check_choice("strategy", strategy, STRATEGIES)
        if not re.match(r"https?://[^/]", endpoint):
            raise InputError(f"endpoint {endpoint!r}: expected the URL of an OpenAI-compatible API (http://HOST/v1)")
        if "@" in endpoint.split("/")[2]:
            raise InputError("endpoint: the address holds a name or password; put the key in OPENAI_API_KEY")
        if strategy != "passage" and not langs:
            raise InputError(f"strategy {strategy}: no languages to translate into; name them in `langs`")
        self._client = require_httpx().Client(headers={"Authorization": f"Bearer {api_key}"}, timeout=timeout)
        self._endpoint, self._model, self._strategy = endpoint, model, strategy
        self._langs = tuple(langs)
        self._cache_folder = cache
        self._cache: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, query: str) -> str:
        """Return the query followed by what the model adds; the query alone (and a logged warning) if that fails."""
        key = self._key(query)
        known = self._known(key)
        if known is not None:
            return known
        try:
            expanded = self._expand(query)
        except (FaultError, InputError, ValueError) as error:
            _log.warning("query expansion failed (%s); searching for the plain query", error)
            return query
        with self._lock:
            self._cache[key] = expanded
        if self._cache_folder is not None:
            write_json(self._cache_folder / f"{key}.json", {"query": query, "expanded": expanded})
        return expanded

    def _expand(self, query: str) -> str:
        parts = [query]
        if self._strategy != "translate":
            parts.append(_sensible(self._ask(_PASSAGE.format(text=query))))
        if self._strategy != "passage":
            parts += self._translations(" ".join(parts))
        return "\n".join(parts)

    def _translations(self, text: str) -> list[str]:
        """Return translations into the requested languages, except those that the model left out."""
        names = ", ".join(f"{language(code).name} ({code})" for code in self._langs)
        answer = self._ask(_TRANSLATE.format(names=names, codes=", ".join(self._langs), text=text))
        record = json_object(answer)
        texts = [record[code] for code in self._langs if isinstance(record.get(code), str)]
        if not texts:
            raise ValueError("the answer holds none of the translations asked for")
        return [_sensible(entry) for entry in texts if entry.strip() != text.strip()]

    def _ask(self, prompt: str) -> str:
        return complete(self._client, self._endpoint, self._model, prompt, temperature=0.0, most_tokens=1024).text

    def _key(self, query: str) -> str:
        settings = [self._endpoint, self._model, self._strategy, *self._langs, query]
        return hashlib.blake2b("\0".join(settings).encode("utf-8", "replace"), digest_size=16).hexdigest()

    def _known(self, key: str) -> str | None:
        if key in self._cache:
            return self._cache[key]
        path = self._cache_folder / f"{key}.json" if self._cache_folder is not None else None
        if path is None or not path.is_file():
            return None
        try:
            return str(read_json(path)["expanded"])
        except (InputError, KeyError, TypeError):
            return None  # a damaged cache entry: ask again


def _sensible(answer: str) -> str:
    """Return an answer, stripped, if it is worth searching for.

    Raises:
        ValueError: empty, without letters, or far too long.
    """
    text = without_thoughts(answer).strip()
    if not any(map(str.isalpha, text)):
        raise ValueError("the answer holds no words")
    if len(text) > _LONGEST:
        raise ValueError(f"the answer has {len(text)} characters")
    return text
