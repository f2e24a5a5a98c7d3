"""Milvus servers for tests: Milvus Lite behind a port, one that requires a token, and a real one if configured."""

from __future__ import annotations

import atexit
import base64
import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from pathlib import Path

SERVER = os.environ.get("ISOGLOT_TEST_MILVUS", "").rstrip("/")  # http://localhost:19530, without a token
MILVUS = ["milvus lite server", *(["milvus server"] if SERVER else [])]


@contextmanager
def milvus_server(folder: Path, *, token: str = "", version: str = "") -> Iterator[str]:
    """Run a server that stores its collections in a folder, and yield its host and port.

    Args:
        folder: of Milvus Lite.
        token: required of clients, as by Milvus; no authentication when empty.
        version: the version to report; the real one when empty.
    """
    import grpc
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

    class Servicer(MilvusServicer):
        def GetVersion(self, request, context):  # noqa: N802
            if not version:
                return super().GetVersion(request, context)
            return milvus_pb2.GetVersionResponse(status=common_pb2.Status(code=0), version=version)

    class Guard(grpc.ServerInterceptor):
        def intercept_service(self, continuation, details):
            given = dict(details.invocation_metadata).get("authorization", "")
            if not token or given == base64.b64encode(token.encode()).decode():
                return continuation(details)

            def refuse(_, context):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check api key is correct")

            return grpc.unary_unary_rpc_method_handler(refuse)

    database = MilvusLite(str(folder))
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[Guard()], options=[("grpc.http2.max_ping_strikes", 0)])
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Servicer(database), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
        database.close()


def milvus_place(kind: str, home: Path) -> str:
    """The place of a folder's own collection, always the same; on a real server it is deleted at the end."""
    collection = "isoglot_test_" + hashlib.blake2b(str(home).encode(), digest_size=8).hexdigest()
    if kind == "milvus lite server":
        return f"milvus://{_shared()}/{collection}"
    _gone_at_the_end(collection)
    return f"milvus:{SERVER}/{collection}"


@lru_cache(maxsize=1)
def _shared() -> str:
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    return stack.enter_context(milvus_server(Path(folder) / "shared.db"))


@cache
def _gone_at_the_end(collection: str) -> None:
    def drop() -> None:
        from pymilvus import MilvusClient

        client = MilvusClient(SERVER)
        for name in (collection, f"{collection}_isoglot"):
            client.drop_collection(name)

    atexit.register(drop)
