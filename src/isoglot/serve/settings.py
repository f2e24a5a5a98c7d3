"""What a server allows: sizes, counts, seconds and threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from isoglot.core.arguments import check_kind, check_number, check_whole

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
        hosts: names a request may call the server by (its Host header); `*` allows any. A page elsewhere that points
            its own name at this machine is turned away by it.
        root_path: path under which a proxy shows this server, such as `/search`; empty for the root.
        proxies: addresses or networks of the reverse proxies whose `X-Forwarded-` headers are believed.
        keys: file of the keys that open this server (see `isoglot.serve.keys`); None for one that is open.
        origins: of pages elsewhere whose scripts may read answers, such as `https://www.example.org`.
        log_queries: whether log lines of requests say what was searched for.
        query_characters: longest query.
        results: largest k.
        offset: most results that a page passes over.
        sample: results whose languages the page's bar shows.
        url_bytes: longest query string of an address.
        body_bytes: largest request body.
        inputs, input_characters: texts of one embeddings request, and the longest of them.
        documents: most texts of one re-ranking request.
        threads: searches that run at the same time.
        waiting: requests that may wait for a thread; the next one is told to come back (503).
        gather: seconds that an idle encoder waits for queries of other requests.
        together: queries that are encoded together at most.
        at_once: such batches that are encoded at the same time; more than one pays where the encoder has a process of
            its own.
        late: whether searches may be re-ranked by the tokens of an index's own model (`rerank=late`): a third of a
            second and more for passages that were not met before, where the index keeps no tokens.
        remembered: vectors of queries that are kept for when they are asked again, for each index.
        refresh: seconds between two looks for a new version of an index; 0 for none.
        seconds: a request gets its answer, or a 504, within this time.
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
            InputError: one that cannot work, with its name.
        """
        for name in ("hosts", "proxies", "origins"):
            check_kind(name, getattr(self, name), (list, tuple), "several texts")
        for name, least in _LEAST.items():
            check_whole(name, getattr(self, name), least)
        for name in ("gather", "refresh"):
            check_number(name, getattr(self, name), "seconds of 0 or more", lambda number: number >= 0)
        check_number("seconds", self.seconds, "more than 0 of them", lambda number: number > 0)
