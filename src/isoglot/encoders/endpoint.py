"""Embed texts through any OpenAI-compatible endpoint: in batches, with retries, checks and a cache on disk."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from isoglot.core.arguments import check_kind, check_number, check_whole
from isoglot.core.cache_files import opening_cache
from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.http_retries import FaultError, pause, post, require_httpx
from isoglot.core.progress import Progress
from isoglot.encoders.embedder import Encoded, Role, Vectors, check_asked, readable
from isoglot.encoders.presets import preset_named

if TYPE_CHECKING:
    import httpx

PREFIX = "endpoint:"
_PATIENCE = 30.0  # seconds to wait while other processes write the cache


def is_endpoint(name: str) -> bool:
    """Return whether a model's name denotes an endpoint, as `open_endpoint` takes it."""
    return name.startswith(PREFIX)


class Endpoint:
    """Embeds texts through `POST {url}/embeddings`.

    Every response is checked (one finite vector of the same dimension per text, ordered by `index`) and cached at once,
    so that an interrupted run resumes where it stopped and no text is paid for twice.

    Args:
        url: base of the API, such as `http://localhost:8080/v1`.
        model: the server's name for it; a known model's prompts are prepended to the texts.
        cache: cache file (SQLite); created if missing.
        key: sent as a bearer token, if given.
        batch_size: texts per request.
        timeout: seconds to wait for a response.
        tries: requests per batch before giving up.
        sleep: called to wait between tries.

    Raises:
        InputError: not an http(s) address, no model, a file that is not such a cache, or a number out of range.
    """

    def __init__(
        self,
        url: str,
        model: str,
        cache: Path | str,
        *,
        key: str | None = None,
        batch_size: int = 64,
        timeout: float = 60.0,
        tries: int = 6,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check_kind("url", url, str, "the base of an API, such as http://localhost:8080/v1")
        check_kind("model", model, str, "a name that the server knows")
        check_kind("cache", cache, (str, Path), "the file of the cache, as text or a path")
        check_whole("batch_size", batch_size, 1)
        check_whole("tries", tries, 1)
        check_number("timeout", timeout, "more than 0 seconds", lambda seconds: seconds > 0)
        expected = f"model {PREFIX}{url}#{model}: expected endpoint:http(s)://HOST/v1#MODEL"
        try:
            cache, parts = Path(cache), urlsplit(url)
        except ValueError as error:
            raise InputError(f"{expected} ({error})") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or not model:
            raise InputError(expected)
        if parts.username or parts.password:
            # The address is written into run.json and reports.
            raise InputError(f"model {PREFIX}: the address holds a name or password; put the key in OPENAI_API_KEY")
        self.url, self.model, self.cache = url.rstrip("/"), model, cache
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._batch_size, self._timeout, self._tries, self._sleep = batch_size, timeout, tries, sleep
        self.name = self.device = f"{PREFIX}{self.url}#{model}"
        self._prompts = {"query": preset_named(model).query_prompt, "passage": preset_named(model).passage_prompt}
        self._width: int | None = None
        with opening_cache(cache, "vectors"), closing(self._open()) as store:
            store.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            store.commit()

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Return unit vectors, float32 (n, d); see `encoded`."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Embed texts as unit vectors, with statistics.

        Args:
            texts: duplicates are sent once; none may be empty.
            role: `query` or `passage`.
            what: name of the progress bar.

        Raises:
            InputError: not a list of texts, an unknown role, an empty text, or a request that the server rejects (a
                wrong key, an unknown model).
            IsoglotError: the server kept failing; the responses received so far are cached.
        """
        check_asked(texts, role)
        httpx = require_httpx()
        started = time.perf_counter()
        prompt = self._prompts[role]
        wanted = [prompt + readable(text) for text in texts]
        empty = next((number for number, text in enumerate(texts) if not text.strip()), None)
        if empty is not None:
            raise InputError(f"text {empty} is empty; endpoints refuse empty texts")
        distinct = list(dict.fromkeys(wanted))
        with (
            self._using(),
            closing(self._open()) as store,
            httpx.Client(headers=self._headers, timeout=self._timeout) as client,
            Progress(f"embedding {what or role} at {urlsplit(self.url).hostname}", len(distinct)) as progress,
        ):
            found = self._cached(store, distinct)
            progress.advance(len(found))
            missing = [text for text in distinct if text not in found]
            for start in range(0, len(missing), self._batch_size):
                batch = missing[start : start + self._batch_size]
                answers = dict(zip(batch, self._ask(client, batch), strict=True))
                self._keep(store, answers)
                found |= answers
                progress.advance(len(batch))
        widths = {len(vector) for vector in found.values()}
        if len(widths) > 1:
            raise IsoglotError(
                f"{self.cache}: vectors of {' and '.join(map(str, sorted(widths)))} dimensions; the model behind "
                f"{self.url} has changed, so delete the cache"
            )
        vectors = np.stack([found[text] for text in wanted]) if wanted else np.empty((0, self._width or 0), np.float32)
        return Encoded(vectors, len(distinct), 0, time.perf_counter() - started, None, np.zeros(len(texts), np.bool_))

    def _cached(self, store: sqlite3.Connection, texts: list[str]) -> dict[str, Vectors]:
        """Return the vectors that are in the cache, by text."""
        found: dict[str, Vectors] = {}
        for text in texts:
            row = store.execute("SELECT vector FROM vectors WHERE key = ?", (self._key(text),)).fetchone()
            if row is not None:
                found[text] = np.frombuffer(row[0], np.float32)
                self._width = self._width or len(found[text])
        return found

    def _keep(self, store: sqlite3.Connection, vectors: dict[str, Vectors]) -> None:
        """Write vectors to the cache."""
        rows = [(self._key(text), vector.tobytes()) for text, vector in vectors.items()]
        store.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        store.commit()

    def _ask(self, client: httpx.Client, batch: list[str]) -> Vectors:
        """Request one batch, retrying with growing pauses while the error may be transient."""
        body = {"model": self.model, "input": batch, "encoding_format": "float"}
        fault = FaultError("")
        for attempt in range(self._tries):
            if attempt:
                self._sleep(pause(attempt, fault.wait))
            try:
                answer = post(client, self.url, "embeddings", body)
                vectors = _vectors(answer.content, len(batch), self._width)
            except FaultError as error:
                fault = error
                continue
            self._width = vectors.shape[1]
            return vectors
        raise IsoglotError(
            f"{self.url}: {fault} ({self._tries} tries); answers so far are kept in {self.cache}, "
            "so run the same command again"
        )

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.cache, timeout=_PATIENCE)

    @contextmanager
    def _using(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise IsoglotError(
                f"{self.cache}: the cache of vectors cannot be used ({error}); free some space, or see who else uses "
                "it; the vectors before this one are kept, so run the same command again"
            ) from error

    def _key(self, text: str) -> bytes:
        return hashlib.sha256("\0".join((self.url, self.model, text)).encode()).digest()


def open_endpoint(name: str, *, cache: Path | str | None = None, **settings: Any) -> Endpoint:
    """Open `endpoint:URL#MODEL`, with the key from OPENAI_API_KEY and a cache in isoglot's folder.

    Args:
        name: such as `endpoint:http://localhost:8080/v1#intfloat/multilingual-e5-small`.
        cache: cache file; when None, one per endpoint and model in isoglot's cache folder.
        settings: further arguments of `Endpoint`.

    Raises:
        InputError: not such a name.
        MissingPackageError: the `llm` extra is not installed.
    """
    require_httpx()
    url, _, model = name.removeprefix(PREFIX).partition("#")
    return Endpoint(url, model, cache or _cache_of(name), key=os.environ.get("OPENAI_API_KEY"), **settings)


def refuse_unknown(name: str) -> None:
    """Refuse an endpoint that an index names, unless it was opened on this machine before; other models are accepted.

    Queries and OPENAI_API_KEY are sent to an endpoint, and whoever made the index must not choose where they go.

    Raises:
        InputError: it was never opened here.
    """
    if is_endpoint(name) and not _cache_of(name).exists():
        raise InputError(
            f"the index names an endpoint that was not used here before, {name}; your queries and OPENAI_API_KEY would "
            "be sent there: if you trust it, give it as `model`"
        )


def _cache_of(name: str) -> Path:
    """Return the cache file of an endpoint in isoglot's folder, which exists once the endpoint was opened."""
    from isoglot.core.cache import cache_folder

    return cache_folder() / "endpoints" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.sqlite"


def _vectors(content: bytes, count: int, width: int | None) -> Vectors:
    """Parse a response: unit vectors in the order of the texts, float32 (count, width)."""
    try:
        entries = json.loads(content)["data"]
        by_index = {int(entry["index"]): entry["embedding"] for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise FaultError("an answer that is not a list of embeddings (broken or truncated JSON)") from error
    if len(entries) != count or by_index.keys() != set(range(count)):
        raise FaultError(f"{len(entries)} embeddings for {count} texts, or indices that do not match them")
    widths = {len(vector) if isinstance(vector, list) else 0 for vector in by_index.values()}
    if len(widths) > 1 or 0 in widths or (width is not None and widths != {width}):
        wanted = "one" if width is None else str(width)
        raise FaultError(f"embeddings of {sorted(widths)} dimensions, expected {wanted}")
    try:
        vectors = np.array([by_index[number] for number in range(count)], np.float64)
    except (ValueError, TypeError) as error:
        raise FaultError("embeddings that are not numbers") from error
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(vectors).all() or not (lengths > 0).all():
        raise FaultError("embeddings with NaN, infinity or zero length")
    unit: Vectors = (vectors / lengths).astype(np.float32)
    return unit
