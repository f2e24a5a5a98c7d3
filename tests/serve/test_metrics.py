"""What a server tells Prometheus and its log."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Receive, Scope, Send

from isoglot.core.errors import InputError
from isoglot.serve.app import create_app
from isoglot.serve.guard import HEADERS
from isoglot.serve.keys import add_key
from isoglot.serve.logs import JsonLines, LogFormat, TextLines, request_id, start_logging
from isoglot.serve.settings import ServeSettings
from support.serving import TEXTS, searcher

BASE = "http://127.0.0.1"


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    """Values by name and label values, as Prometheus' own parser reads them."""
    text = client.get("/metrics").text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counts_are_those_of_the_requests_made() -> None:
    with TestClient(create_app({"index": searcher()}), base_url=BASE) as client:
        hits = client.get("/search?q=solar&k=4").json()["hits"]
        client.get("/search?q=solar&k=0")
        client.head("/livez")
        client.get("/static/page.css")
        client.get("/no/such/path")
        client.get("/", headers={"Host": "elsewhere.example"})
        page = client.get("/?q=solar&view=one&k=10")
        assert page.status_code == 200
        found = samples(client)
    expected = {("/search", "200"): 1, ("/search", "422"): 1, ("/static", "200"): 1, ("other", "404"): 1}
    for (path, status), count in {**expected, ("/", "400"): 1, ("/", "200"): 1}.items():
        assert found["isoglot_requests_total", "GET", path, status] == count
    assert found["isoglot_requests_total", "HEAD", "/livez", "200"] == 1
    assert found["isoglot_request_seconds_count", "/search"] == 2
    assert found["isoglot_stage_seconds_count", "queue"] == found["isoglot_stage_seconds_count", "search"] == 2
    shown = [hit["lang"] for hit in hits] + [hit.lang for hit in searcher().search("solar", k=10)]
    for lang in {lang for lang, _, _ in TEXTS}:
        assert found.get(("isoglot_results_total", "index", lang), 0) == shown.count(lang)
        assert found["isoglot_collection_passages", "index", lang] == [entry[0] for entry in TEXTS].count(lang)
    assert found["isoglot_queue_waiting",] == found["isoglot_queue_running",] == 0


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Callable[[LogFormat], io.StringIO]:
    """Starts the log, on a stream in the place of stderr; loggers are put back afterwards."""

    def start(kind: LogFormat) -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        start_logging(kind)
        return stream

    for name in ("isoglot", "uvicorn"):
        logger = logging.getLogger(name)
        for attribute in ("handlers", "level", "propagate"):
            monkeypatch.setattr(logger, attribute, getattr(logger, attribute))
    return start


def test_a_log_line_names_its_request_and_no_query(lines: Callable[[LogFormat], io.StringIO], tmp_path: Path) -> None:
    index = searcher()
    key = add_key(tmp_path / "keys.json", "intranet")
    log = lines("json")
    app = create_app({"index": index}, ServeSettings(keys=tmp_path / "keys.json"))
    with TestClient(app, base_url=BASE, headers={"X-API-Key": key}) as client:
        client.get("/search?q=confidential", headers={"X-Request-Id": "trace-1"})
        made = client.get("/search?q=confidential", headers={"X-Request-Id": 'a"b'}).headers["X-Request-Id"]

        def fail(*args: object, **kwargs: object) -> None:
            raise InputError("the disk is gone")

        index.search = fail  # type: ignore[method-assign,assignment]
        assert client.get("/search?q=confidential", headers={"X-Request-Id": "trace-2"}).status_code == 503
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["request"] for line in found] == ["trace-1", made, "trace-2", "trace-2"]
    assert len(made) == 32
    assert found[0].items() >= {"method": "GET", "path": "/search", "status": 200, "key": "intranet"}.items()
    assert (found[2]["message"], found[3]["status"]) == ("index: the disk is gone", 503)
    assert "confidential" not in log.getvalue()
    assert key not in log.getvalue()


def test_an_unforeseen_error_names_its_request_to_the_client_and_in_the_log() -> None:
    index = searcher()
    seen: list[str | None] = []

    def fail(*args: object, **kwargs: object) -> None:
        raise KeyError("inside")

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        """Logs what the application raises, as servers do."""
        try:
            await app(scope, receive, send)
        except KeyError:
            seen.append(request_id.get())

    app = create_app({"index": index})
    index.search = fail  # type: ignore[method-assign,assignment]
    client = TestClient(server, base_url=BASE)
    for path in ("/search", "/"):
        answer = client.get(path, params={"q": "x"}, headers={"X-Request-Id": "trace-5"})
        assert answer.status_code == 500
        assert answer.headers["X-Request-Id"] == "trace-5"
        assert answer.headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
        assert answer.headers["Cache-Control"] == "no-store"
    assert seen == ["trace-5", "trace-5"]


def test_queries_are_logged_when_asked_for_and_write_no_lines_of_their_own(
    lines: Callable[[LogFormat], io.StringIO],
) -> None:
    log = lines("text")
    app = create_app({"index": searcher()}, ServeSettings(log_queries=True))
    with TestClient(app, base_url=BASE) as client:
        client.get("/search", params={"q": "Gezeiten\nforged line\u2028x"})
    assert len(log.getvalue().splitlines()) == 1
    assert 'query="Gezeiten' in log.getvalue()


def test_traces_and_messages_stay_readable() -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.LogRecord("isoglot.x", logging.ERROR, "", 1, "it\nbroke", (), sys.exc_info())
    line = json.loads(JsonLines().format(record))
    assert (line["message"], line["level"]) == ("it\nbroke", "error")
    assert "ValueError: odd" in line["trace"]
    assert "it\\nbroke\nTraceback" in TextLines().format(record)
