"""`isoglot mcp`: offer an index as tools to agents."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from isoglot.cli.help_page import MODEL
from isoglot.cli.serving import LOOPBACK, encoder_named, judge_of, require_tokens
from isoglot.cli.termination import sigterm_ends
from isoglot.core.errors import MissingPackageError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.encoders.judges import Judge


def mcp(
    index: str,
    /,
    *,
    http: int | None = None,
    model: str | None = None,
    rerank: str | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
) -> None:
    """Give agents the tools search and fetch over an index (Model Context Protocol), until they are done or Ctrl-C.

    Args:
        index: Folder made by isoglot index, or a place in a store, such as qdrant://localhost:6333/docs.
        http: Port of this machine to listen on (streamable HTTP, path /mcp); standard input and output by default.
        model: The encoder, if it is now at another place than the index recorded.
        rerank: Re-rank the best results of every search: with a cross-encoder or another encoder (folder or Hub id), or
            with late, the token vectors of the index's own model.
        options: How the encoder is opened, if not as the index recorded.
    """
    missing = [name for name in ("mcp", "uvicorn") if find_spec(name) is None]
    if missing:
        raise MissingPackageError(f"isoglot mcp needs {', '.join(missing)}: pip install 'isoglot[mcp]'")
    from isoglot.encoders.late_interaction import LATE
    from isoglot.encoders.loading import quiet_libraries
    from isoglot.search.searcher import Searcher
    from isoglot.search.stores.named import open_place
    from isoglot.serve.mcp_tools import create_mcp
    from isoglot.serve.server import listen, run

    opened = open_place(index)
    encoder_named(index, opened, model)
    quiet_libraries()
    judge: Judge | Literal["late"] | None = None
    if rerank is not None:
        judge = "late" if rerank == LATE else judge_of(rerank)
    taken = None if http is None else listen(LOOPBACK, http)
    searcher = Searcher.open(opened, model, options=options, light=True)
    try:
        searcher.warm()
        if rerank == LATE:
            require_tokens(searcher.encoder, index)
        server = create_mcp(searcher, Path(index).resolve().name or "index", rerank=judge)
        with sigterm_ends():
            if taken is None:
                try:
                    server.run("stdio")
                except* BrokenPipeError:
                    pass  # the client is gone, and its calls with it
            else:
                run(server.streamable_http_app(host=LOOPBACK), taken, path="/mcp")
    finally:
        searcher.close()
