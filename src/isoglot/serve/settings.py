"""The limits of a server: sizes, counts, seconds and threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from isoglot.core.arguments import check_kind, check_number, check_whole, settle

_LEAST = {
    "query_characters": 1,
    "results": 1,
    "offset": 0,
    "sample": 1,
    "url_bytes": 1,
    "body_bytes": 1,
    "inputs": 1,
    "input_characters": 1,
    "documents": 1,
    "threads": 1,
    "waiting": 0,
    "together": 1,
    "at_once": 1,
    "remembered": 0,
}


@dataclass(frozen=True)
class ServeSettings:
    """Limits of one server.

    Attributes:
        hosts: values allowed in a request's Host header; `*` allows any. This blocks DNS rebinding: a foreign site
            that points its own name at this machine.
        root_path: path under which a proxy exposes this server, such as `/search`; empty for the root.
        proxies: addresses or networks of the reverse proxies whose `X-Forwarded-` headers are trusted.
        keys: file of the API keys (see `isoglot.serve.keys`); None to require no key.
        origins: other origins whose scripts may read responses (CORS), such as `https://www.example.org`.
        log_queries: whether the request log contains the queries.
        query_characters: longest query, in characters.
        results: largest k.
        offset: largest offset of the first result shown.
        sample: number of top results whose languages the page's bar shows.
        url_bytes: longest query string of an address, in bytes.
        body_bytes: largest request body, in bytes.
        inputs, input_characters: most texts of one embeddings request, and the longest text in characters.
        documents: most texts of one re-ranking request.
        threads: searches that run at the same time.
        waiting: requests that may wait for a thread; further ones get a 503.
        gather: seconds that an idle encoder waits for queries of other requests, to batch them.
        together: largest batch of queries.
        at_once: batches encoded at the same time; more than one pays off if the encoder runs in its own process.
        late: whether searches may be re-ranked by the token vectors of the index's model (`rerank=late`). Unless the
            index stores its tokens, this takes a third of a second or more for passages not scored before.
        remembered: query vectors cached for each index.
        refresh: seconds between two checks for a new version of an index; 0 for no checks.
        seconds: time limit of a request, which is then answered with a 504.
    """

    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    root_path: str = ""
    proxies: tuple[str, ...] = ()
    keys: Path | None = None
    origins: tuple[str, ...] = ()
    log_queries: bool = False
    query_characters: int = 2000
    results: int = 100
    offset: int = 1000
    sample: int = 50
    url_bytes: int = 32_768
    body_bytes: int = 1_048_576
    inputs: int = 128
    input_characters: int = 20_000
    documents: int = 1000
    threads: int = 2
    waiting: int = 64
    gather: float = 0.0
    together: int = 32
    at_once: int = 1
    late: bool = False
    remembered: int = 4096
    refresh: float = 0.0
    seconds: float = 20.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is invalid; names the setting.
        """
        settle(self)
        for name in ("hosts", "proxies", "origins"):
            check_kind(name, getattr(self, name), (list, tuple), "several texts")
        for name, least in _LEAST.items():
            check_whole(name, getattr(self, name), least)
        for name in ("gather", "refresh"):
            check_number(name, getattr(self, name), "seconds of 0 or more", lambda number: number >= 0)
        check_number("seconds", self.seconds, "more than 0 seconds", lambda number: number > 0)
