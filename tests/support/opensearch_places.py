"""OpenSearch indexes for tests: of a stand-in, and of a real server if configured."""

from __future__ import annotations

import atexit
import hashlib
import os
import urllib.error
import urllib.request
from contextlib import ExitStack
from functools import cache, lru_cache
from pathlib import Path

from support.opensearch_server import opensearch_server

SERVER = os.environ.get("ISOGLOT_TEST_OPENSEARCH", "").rstrip("/")  # http://localhost:9200, without security
OPENSEARCH = ["opensearch", *(["opensearch server"] if SERVER else [])]


def opensearch_place(kind: str, home: Path) -> str:
    """The place of a folder's own index, always the same; on a real server it is deleted at the end."""
    index = "isoglot-test-" + hashlib.blake2b(f"{os.getpid()} {home}".encode(), digest_size=8).hexdigest()
    if kind == "opensearch":
        return f"opensearch://{_stand_in()}/{index}"
    _gone_at_the_end(f"{SERVER}/{index}")
    return f"opensearch:{SERVER}/{index}"


@lru_cache(maxsize=1)
def _stand_in() -> str:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(opensearch_server()).address


@cache
def _gone_at_the_end(url: str) -> None:
    def delete() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=60).close()
        except urllib.error.HTTPError as error:
            if error.code != 404:  # a test may not have created one
                raise

    atexit.register(delete)
