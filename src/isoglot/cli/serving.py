"""`isoglot serve`: serve indexes over HTTP; also the server of the quick start."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Annotated, Any, Literal
from weakref import ref

from cyclopts import Parameter

from isoglot.cli.help_page import MODEL
from isoglot.cli.options import Names, Switch
from isoglot.cli.termination import sigterm_ends
from isoglot.core.errors import InputError, MissingPackageError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from isoglot.encoders.embedder import Embedder, Encoder
    from isoglot.encoders.judges import Judge
    from isoglot.search.searcher import Searcher
    from isoglot.search.stores.protocol import Opened
    from isoglot.serve.settings import ServeSettings
    from isoglot.studies.run import Study

LOOPBACK = "127.0.0.1"
PORT = 8000
SECONDS_TO_END = 5.0
_BATCHES = 2  # at a time for an encoder in its own process: one batch beside the requests leaves cores idle


def serve(
    index: str,
    /,
    *,
    compare: str | None = None,
    port: int = PORT,
    host: str = LOOPBACK,
    model: str | None = None,
    compare_model: str | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    rerank: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    allow_host: Names = (),
    root_path: str = "",
    trust_proxy: Names = (),
    keys: Path | None = None,
    cors: Names = (),
    refresh: float = 0.0,
    drain: float = 0.0,
    local: Path | None = None,
    log: Literal["text", "json"] | None = None,
    log_queries: Switch = False,
) -> None:
    """Serve an index as a search page and a JSON API, until Ctrl-C.

    Args:
        index: Folder made by isoglot index, or a place in a store, such as qdrant://localhost:6333/docs.
        compare: A second index, to compare side by side with the first.
        port: Port to listen on; 0 takes any free one.
        host: Address to listen on; by default only this machine can connect.
        model: The encoder, if it is now at another place than the index recorded.
        compare_model: The encoder of the second index, if it is now at another place than that index recorded.
        options: How encoders are opened, if not as the indexes recorded.
        rerank: Offer a re-ranker for searches (rerank=NAME) and for /v1/rerank: a cross-encoder or another encoder, by
            folder or Hub id (late:MODEL to compare its token vectors, too); or late, for searches only: the token
            vectors of the index's own model. May be given several times.
        allow_host: Further host names by which requests may address this server, such as search.example.org or
            *.example.org. If none is given, a server that listens to the network accepts any.
        root_path: Path at which a reverse proxy exposes this server, such as /search.
        trust_proxy: Addresses or networks of reverse proxies whose X-Forwarded headers are trusted.
        keys: File of API keys (isoglot keys add), one of which every request must carry; read again whenever it
            changes.
        cors: Other origins whose scripts may read responses (CORS), such as https://www.example.org.
        refresh: Seconds between two checks for a new version of the index, which is then served; 0 for no checks.
        drain: Seconds after SIGTERM in which /readyz fails and all else is answered, for a load balancer to notice.
        local: Folder into which indexes of object stores are pulled; the cache when not given.
        log: Write a line for every request to stderr, as text or as JSON.
        log_queries: Include the queries in these lines.
    """
    require_packages()
    from isoglot.encoders.endpoint import is_endpoint
    from isoglot.encoders.late_interaction import LATE
    from isoglot.encoders.loading import quiet_libraries
    from isoglot.search.replicas.opening import open_replica
    from isoglot.search.replicas.place import is_address
    from isoglot.search.stores.named import open_place
    from isoglot.serve.access import checked_origins
    from isoglot.serve.keys import read_keys
    from isoglot.serve.proxies import behind_proxy
    from isoglot.serve.server import allowed_hosts, listen
    from isoglot.serve.settings import ServeSettings

    chosen = options or ModelOptions()
    wanted: list[tuple[str, Opened, str | None]] = []
    encoders: list[str] = []
    for folder, own in ((index, model), *([(compare, compare_model)] if compare is not None else [])):
        place = open_replica(folder, local) if is_address(folder) else open_place(folder)
        encoders.append(encoder_named(folder, place, own))
        wanted.append((folder, place, own))
    if refresh < 0:
        raise InputError(f"--refresh {refresh}: expected seconds, or 0 for never")
    if not 0 <= drain <= 3600:
        raise InputError(f"--drain {drain}: expected 0 to 3600 seconds")
    limits = ServeSettings(
        hosts=allowed_hosts(host, others=bool(allow_host)),
        keys=keys,
        origins=checked_origins(cors),
        refresh=refresh,
        log_queries=log_queries,
        late=LATE in rerank,
        at_once=1 if any(map(is_endpoint, encoders)) else _BATCHES,
    )
    settings = behind_proxy(limits, allow_host, root_path, trust_proxy)
    if keys is not None:
        try:
            read_keys(keys)  # fails before a model is loaded
        except InputError as error:
            raise InputError(f"--keys: {error}") from error
    quiet_libraries()
    with ExitStack() as stack:
        taken = stack.enter_context(listen(host, port))
        judges = _judges(rerank)
        app = _app(wanted, chosen, settings, judges, stack)
        del wanted, place  # else an index would stay open after a new version has replaced it
        _run(app, taken, keyed=keys is not None, log=log, drain=drain, leave=app.state.leave)


def _app(
    wanted: Sequence[tuple[str, Opened, str | None]],
    options: ModelOptions,
    settings: ServeSettings,
    judges: dict[str, Judge],
    stack: ExitStack,
) -> FastAPI:
    """Return the application for open indexes; it alone keeps references to them, so that old versions are released."""
    from isoglot.search.searcher import Searcher
    from isoglot.serve.app import create_app
    from isoglot.serve.encoders import SharedEncoders

    searchers: dict[str, Searcher] = {}
    embed: dict[str, Embedder] = {}
    encoders = SharedEncoders(options)
    stack.callback(encoders.close)
    for folder, place, model in wanted:
        name = _name(folder, searchers)
        searchers[name] = searcher = Searcher.open(place, model, opener=partial(encoders.of, model))
        stack.callback(_close, ref(searcher))
        searcher.warm()
        embed[name] = searcher.encoder
        if settings.late:
            require_tokens(searcher.encoder, folder)
    return create_app(searchers, settings, embed=embed, judges=judges)


def _close(searcher: ref[Searcher]) -> None:
    there = searcher()
    if there is not None:
        there.close()


def serve_quickstart(study: Study, *, port: int = PORT) -> None:
    """Serve the quick start's corpus with the base and the hybrid model side by side, until Ctrl-C."""
    from isoglot.serve.app import create_app
    from isoglot.serve.server import listen
    from isoglot.serve.settings import ServeSettings
    from isoglot.serve.showcase import models_of, showcase

    models = models_of(study)
    with listen(LOOPBACK, port) as taken:
        searchers, embed = showcase(models)
        _run(create_app(searchers, ServeSettings(), embed=embed), taken)


def _judges(wanted: Sequence[str]) -> dict[str, Judge]:
    """Open the judges of `--rerank`, by the last part of their path, with any prefix `late:` kept.

    Raises:
        InputError: a model is missing, two have the same name, or one has a reserved name.
    """
    from isoglot.encoders.late_interaction import LATE, PREFIX
    from isoglot.serve.rerankers import NOT_RERANKED

    judges: dict[str, Judge] = {}
    for model in wanted:
        if model == LATE:
            continue
        path = Path(model.removeprefix(PREFIX))
        name = (PREFIX if model.startswith(PREFIX) else "") + (path.absolute() if path.is_dir() else path).name
        if name in judges:
            raise InputError(f"--rerank {model}: another model is also called {name!r}; give a path with another name")
        if name == LATE:
            raise InputError(f"--rerank {model}: `late` is the index's own model; give a path with another name")
        if name == NOT_RERANKED:
            raise InputError(f"--rerank {model}: {name!r} means no re-ranking; give a path with another name")
        judges[name] = judge_of(model)
    return judges


def encoder_named(place: str, opened: Opened, model: str | None) -> str:
    """Return the name of an index's encoder: `--model`, or as recorded in the index.

    Raises:
        InputError: neither is given.
    """
    name = model or (opened.about.model if opened.about else "")
    if not name:
        raise InputError(f"{place}: does not name the encoder of its vectors; give it as --model")
    return name


def judge_of(model: str) -> Judge:
    """Open a judge given with `--rerank`.

    Raises:
        InputError: the model is missing, or cannot score pairs.
    """
    from isoglot.encoders.judges import open_judge

    try:
        return open_judge(model)
    except InputError as error:
        raise InputError(f"--rerank {model}: {error}") from error


def require_tokens(encoder: Encoder, index: str) -> None:
    """Check that an encoder can compare token vectors, by comparing two texts, which also warms it up.

    Raises:
        InputError: the encoder gives vectors of whole texts only.
    """
    from isoglot.encoders.late_interaction import late_scorer

    try:
        late_scorer(encoder).late("warm", ["warm"])
    except InputError as error:
        raise InputError(f"--rerank late: {index}: {error}") from error


def _run(app: ASGIApp, taken: socket, **how: Any) -> None:
    """Serve, and end the process even if a search hangs in its thread."""
    from isoglot.serve.server import run

    try:
        with sigterm_ends():
            run(app, taken, **how)
    except KeyboardInterrupt:
        # At exit, Python waits for threads, and nothing can stop them.
        if any(thread.name.startswith("isoglot-") for thread in threading.enumerate()):
            end = threading.Timer(SECONDS_TO_END, os._exit, (130,))
            end.daemon = True
            end.start()
        raise


def check_serving(port: int) -> None:
    """Check, before a long run, that the packages and the port for serving are available.

    Raises:
        MissingPackageError: packages of the extra `serve` are missing.
        InputError: the port is in use or not permitted.
    """
    require_packages()
    from isoglot.serve.server import listen

    listen(LOOPBACK, port).close()


def require_packages() -> None:
    """Check for the packages of the extra `serve`.

    Raises:
        MissingPackageError: names those that are missing and the extra that installs them.
    """
    missing = [
        name for name in ("babel", "fastapi", "jinja2", "prometheus_client", "uvicorn") if find_spec(name) is None
    ]
    if missing:
        raise MissingPackageError(f"serving needs {', '.join(missing)}: pip install 'isoglot[serve]'")


def _name(place: str, taken: Collection[str]) -> str:
    name = Path(place).resolve().name or "index"
    return name if name not in taken else f"{name} (2)"
