"""A stand-in for an OpenSearch server, after its public documentation, that rejects what the server rejects."""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.opensearch_mappings import merge, parse
from support.opensearch_queries import RefusedError, Searched, known_keys

_SETTINGS = re.compile(
    r"index\.(knn|knn\.algo_param\.ef_search|number_of_(shards|replicas)|refresh_interval|similarity\.\w+\.\w+|"
    r"mapping\.total_fields\.limit|max_result_window)\Z"
)
_NAME = re.compile(r'[^A-Z ,:"*+\\|<>/?#_\-][^A-Z ,:"*+\\|<>/?#]*\Z')
_ID = 512  # bytes


class StandIn:
    """The indexes of a server, and the faults to simulate.

    Attributes:
        version: the version to report.
        user: name and password required of clients; None for no authentication.
        forbidden: requests whose path contains this are forbidden to that user.
        knn: whether the k-NN plugin is installed.
        busy: how many documents of the next bulk requests are rejected with status 429.
        failing: whether a shard does not respond.
        requests: method and path of each request.
        address: of the server.
    """

    def __init__(self) -> None:
        self.version, self.user, self.forbidden = "2.19.0", None, None
        self.knn, self.busy, self.failing = True, 0, False
        self.requests: list[str] = []
        self.address = ""
        self.indexes: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Any]:
        url = urlsplit(target)
        path = [unquote(part) for part in url.path.split("/") if part]
        params = {name: values[-1] for name, values in parse_qs(url.query).items()}
        with self._lock:
            self.requests.append(f"{method} {url.path}")
            if self.user is not None:
                given = headers.get("authorization", "")
                if given != "Basic " + base64.b64encode(":".join(self.user).encode()).decode():
                    return 401, "Unauthorized"
            try:
                if self.forbidden is not None and self.forbidden in url.path:
                    raise RefusedError("security_exception", "no permissions for [indices:...] and User [name=x]", 403)
                return self._route(method, path, params, body)
            except RefusedError as refusal:
                return refusal.status, {"error": _error(refusal), "status": refusal.status}

    def _route(self, method: str, path: list[str], params: dict[str, str], body: bytes) -> tuple[int, Any]:
        if not path and method == "GET":
            version = {"number": self.version, "distribution": "opensearch", "lucene_version": "9.12.1"}
            return 200, {"name": "one", "cluster_name": "c", "version": version, "tagline": "The OpenSearch Project"}
        last = path[-1] if path and path[-1].startswith("_") else ""
        found = {
            ("HEAD", ""): self._exists, ("PUT", ""): self._create, ("DELETE", ""): self._delete,
            ("GET", "_mapping"): self._mapping, ("PUT", "_mapping"): self._update,
            ("POST", "_bulk"): self._bulk, ("PUT", "_bulk"): self._bulk,
            ("POST", "_search"): self._search, ("GET", "_search"): self._search,
            ("POST", "_msearch"): self._searches, ("GET", "_msearch"): self._searches,
            ("POST", "_count"): self._count, ("POST", "_refresh"): self._refresh,
        }.get((method, last))  # fmt: skip
        if found is None or len(path) != (2 if last else 1):
            raise RefusedError(
                "illegal_argument_exception", f"no handler found for uri [/{'/'.join(path)}] and method [{method}]"
            )
        allowed = {"_search": {"allow_partial_search_results", "preference", "search_type"}}.get(last, set())
        for name in params:
            if name not in allowed:
                raise RefusedError("illegal_argument_exception", f"request contains unrecognized parameter: [{name}]")
        return found(path[0], body)

    def _index(self, name: str, *, write: bool = False) -> dict[str, Any]:
        names = self.aliases.get(name, [name])
        if write and names != [name]:
            raise RefusedError(
                "illegal_argument_exception",
                f"The provided expression [{name}] matches an alias, specify the corresponding concrete indices",
            )
        if names[0] not in self.indexes:
            raise RefusedError("index_not_found_exception", f"no such index [{name}]", 404)
        return self.indexes[names[0]]

    def _exists(self, name: str, body: bytes) -> tuple[int, Any]:
        return (200 if name in self.indexes or name in self.aliases else 404), None

    def _create(self, name: str, body: bytes) -> tuple[int, Any]:
        if not _NAME.match(name) or len(name.encode()) > 255:
            raise RefusedError("invalid_index_name_exception", f"Invalid index name [{name}]")
        if name in self.indexes:
            raise RefusedError("resource_already_exists_exception", f"index [{name}] already exists")
        asked = known_keys(_json(body), {"settings", "mappings", "aliases"}, "create index")
        settings = _flat(asked.get("settings", {}))
        for key in settings:
            if not _SETTINGS.match(key) or (key.startswith("index.knn") and not self.knn):
                raise RefusedError(
                    "settings_exception",
                    f"unknown setting [{key}] please check that any required plugins are installed, or check the "
                    "breaking changes documentation for removed settings",
                )
        index = {"settings": settings, "mappings": {"properties": {}}, "documents": {}, "shown": {}}
        merge(index, asked.get("mappings", {}), knn=self.knn)
        self.indexes[name] = index
        return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def _delete(self, name: str, body: bytes) -> tuple[int, Any]:
        self._index(name, write=True)
        del self.indexes[name]
        return 200, {"acknowledged": True}

    def _mapping(self, name: str, body: bytes) -> tuple[int, Any]:
        self._index(name)
        return 200, {one: {"mappings": self.indexes[one]["mappings"]} for one in self.aliases.get(name, [name])}

    def _update(self, name: str, body: bytes) -> tuple[int, Any]:
        merge(self._index(name), _json(body), knn=self.knn)
        return 200, {"acknowledged": True}

    def _bulk(self, name: str, body: bytes) -> tuple[int, Any]:
        index = self._index(name)
        if not body.endswith(b"\n"):
            raise RefusedError("illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]")
        lines, items = iter(body.split(b"\n")[:-1]), []
        for line in lines:
            ((action, told),) = _json(line).items()
            if action not in {"index", "create", "delete"} or set(told) - {"_index", "_id", "routing"}:
                raise RefusedError("illegal_argument_exception", f"Malformed action/metadata line, found [{action}]")
            source = None if action == "delete" else next(lines)
            item = {"_index": name, "_id": told["_id"], "status": 200}
            try:
                if self.busy > 0:
                    self.busy -= 1
                    raise RefusedError(
                        "rejected_execution_exception", "rejected execution of coordinating operation", 429
                    )
                if source is not None:
                    self._put(index, told["_id"], _json(source, "mapper_parsing_exception"))
                elif index["documents"].pop(told["_id"], None) is None:
                    item |= {"status": 404, "result": "not_found"}
            except RefusedError as refusal:
                item |= {"status": refusal.status, "error": _error(refusal)}
            items.append({action: item})
        return 200, {
            "took": 1,
            "errors": any("error" in one for item in items for one in item.values()),
            "items": items,
        }

    def _put(self, index: dict[str, Any], key: str, source: dict[str, Any]) -> None:
        if len(key.encode()) > _ID:
            raise RefusedError("illegal_argument_exception", f"id is too long, must be no longer than {_ID} bytes")
        properties = index["mappings"]["properties"]
        for name, value in source.items():
            if name not in properties:
                if index["mappings"].get("dynamic") == "strict":
                    raise RefusedError(
                        "strict_dynamic_mapping_exception",
                        f"mapping set to strict, dynamic introduction of [{name}] within [_doc] is not allowed",
                    )
                continue
            parse(name, properties[name], value)
        index["documents"][key] = source

    def _refresh(self, name: str, body: bytes) -> tuple[int, Any]:
        index = self._index(name)
        index["shown"] = dict(index["documents"])
        return 200, {"_shards": {"total": 1, "successful": 1, "failed": 0}}

    def _search(self, name: str, body: bytes) -> tuple[int, Any]:
        if self.failing:
            raise RefusedError("search_phase_execution_exception", "Partial shards failure", 503)
        index = self._index(name)
        excluded = index["mappings"].get("_source", {}).get("excludes", [])
        found = self._searched(index).search(_json(body))
        for hit in found["hits"]["hits"]:
            for field in excluded:
                hit.get("_source", {}).pop(field, None)
        return 200, found

    def _searches(self, name: str, body: bytes) -> tuple[int, Any]:
        lines = body.split(b"\n")
        if lines.pop() or len(lines) % 2:
            raise RefusedError(
                "illegal_argument_exception", "The msearch request must be terminated by a newline [\\n]"
            )
        answers = []
        for head, line in zip(lines[::2], lines[1::2], strict=True):
            known_keys(_json(head), {"index", "preference", "routing", "search_type", "request_cache"}, "msearch")
            try:
                status, answer = self._search(name, line)
            except RefusedError as refusal:
                status, answer = refusal.status, {"error": _error(refusal)}
            answers.append({**answer, "status": status})
        return 200, {"took": 1, "responses": answers}

    def _count(self, name: str, body: bytes) -> tuple[int, Any]:
        asked = known_keys(_json(body), {"query"}, "count")
        count = len(self._searched(self._index(name)).scores(asked["query"]))
        return 200, {"count": count, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}}

    def _searched(self, index: dict[str, Any]) -> Searched:
        legacy = int(self.version.partition(".")[0]) < 3
        return Searched(index["mappings"]["properties"], index["shown"], legacy=legacy)


@contextmanager
def opensearch_server(certificate: tuple[Path, Path] | None = None) -> Iterator[StandIn]:
    """Run an empty stand-in on this machine, with TLS if a certificate and its key are given."""
    standing = StandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # send responses in one piece: separate writes wait for each other's acknowledgement

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, said = standing.answer(self.command, self.path, self.headers, body)
            kind = "text/plain" if isinstance(said, str) else "application/json"
            written = b"" if said is None else (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            self.send_header("content-type", f"{kind}; charset=UTF-8")
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(written)

        def log_message(self, *_: Any) -> None:
            pass

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(*certificate)
        # Handshakes run in each connection's own thread, so that an aborted one does not block the others.
        server.socket = secure.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None
    standing.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield standing
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _error(refusal: RefusedError) -> dict[str, Any]:
    told = {"type": refusal.kind, "reason": refusal.reason}
    return {"root_cause": [told], **told}


def _json(body: bytes, kind: str = "parsing_exception") -> Any:
    def no_number(name: str) -> None:
        raise RefusedError(kind, f"Non-standard token '{name}'")

    try:
        return json.loads(body.decode(), parse_constant=no_number)
    except ValueError as error:
        raise RefusedError(kind, f"failed to parse: {error}") from error


def _flat(settings: Any, before: str = "") -> dict[str, Any]:
    found = {}
    for key, value in settings.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found
