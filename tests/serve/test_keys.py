"""Keys: who is let in to what, how often, and what strangers are told."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.serve import keys
from isoglot.serve.access import Access, checked_origins
from isoglot.serve.app import create_app
from isoglot.serve.keys import KeyRing, add_key, read_keys, revoke_key
from isoglot.serve.settings import ServeSettings
from support.serving import embed, searcher

BASE = "http://127.0.0.1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def opened(file: Path, **settings: object) -> TestClient:
    limits = ServeSettings(keys=file, **settings)  # type: ignore[arg-type]
    return TestClient(create_app({"secret-name": searcher()}, limits, embed={"secret-name": embed}), base_url=BASE)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_the_file_holds_no_key_and_the_command_shows_it_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "add", str(file), "intranet", "--scopes", "search,embed", "--per-minute", "60"]) == 0
    key = capsys.readouterr().out.strip()
    assert key not in file.read_text()
    (kept,) = json.loads(file.read_text())["keys"]
    assert kept["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert run(["keys", "list", str(file)]) == 0
    assert capsys.readouterr().out.startswith("intranet\tsearch,embed\t60 a minute\t20")
    assert run(["keys", "list", str(file), "--json"]) == 0
    assert "sha256" not in capsys.readouterr().out
    assert run(["keys", "add", str(file), "intranet"]) == 2
    assert "there is a key 'intranet' already" in capsys.readouterr().err
    assert run(["keys", "add", str(file), "other", "--scopes", "all"]) == 2
    assert "scopes: expected a list of search, embed, admin" in capsys.readouterr().err
    assert run(["keys", "revoke", str(file), "nobody"]) == 2
    assert "there are: intranet" in capsys.readouterr().err
    assert run(["keys", "revoke", str(file), "intranet"]) == 0
    assert read_keys(file) == []


def test_keys_that_are_added_and_revoked_at_the_same_time_are_all_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_key(file, "old")
    read = keys.read_keys

    def slowly(path: Path) -> list[keys.Key]:
        known = read(path)
        time.sleep(0.05)
        return known

    monkeypatch.setattr(keys, "read_keys", slowly)
    with ThreadPoolExecutor(5) as pool:
        added = [pool.submit(add_key, file, f"new{number}") for number in range(4)]
        for done in [*added, pool.submit(revoke_key, file, "old")]:
            done.result()
    assert sorted(key.name for key in read(file)) == ["new0", "new1", "new2", "new3"]
    assert not [path for path in file.parent.iterdir() if path.suffix == ".tmp"]


def test_keys_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=r"taken/keys\.json: cannot be written .*; choose another place"):
        add_key(tmp_path / "taken" / "keys.json", "people")


def test_nothing_but_probes_answers_without_a_key(file: Path) -> None:
    key = add_key(file, "people", ("search", "embed"))
    with opened(file) as client:
        paths = ["/", "/?q=solar", "/search?q=solar", "/api", "/openapi.json", "/static/page.css", "/nowhere"]
        for path in [*paths, "/v1/models", "/v1/models/secret-name", "//search?q=x", "/livez/", "/metrics"]:
            for headers in ({}, bearer(key[:-1]), bearer(""), {"Authorization": "Basic !!"}):
                answer = client.get(path, headers=headers, follow_redirects=False)
                assert answer.status_code == 401, path
                assert "secret-name" not in answer.text
        assert client.post("/v1/embeddings", json={"model": "x", "input": "x"}).json()["error"]["message"]
        assert client.get("/").headers["WWW-Authenticate"].startswith("Basic ")
        assert client.get("/search?q=x").headers["WWW-Authenticate"] == "Bearer"
        assert client.get("/search?q=x").headers["X-Content-Type-Options"] == "nosniff"
        for probe in ("/livez", "/readyz", "/healthz"):
            assert client.get(probe).status_code == 200
        assert client.get("/readyz").json()["indexes"] == []
        assert client.get("/readyz", headers=bearer(key)).json()["indexes"][0]["name"] == "secret-name"
        basic = base64.b64encode(f"anyone:{key}".encode()).decode()
        for headers in (bearer(key), {"X-API-Key": key}, {"Authorization": f"Basic {basic}"}):
            for path in paths[:-1]:
                assert client.get(path, headers=headers).status_code == 200, path


def test_scopes(file: Path) -> None:
    searching, embedding = add_key(file, "a"), add_key(file, "b", ("embed",))
    wanted = {"model": "secret-name", "input": "tide"}
    with opened(file) as client:
        assert client.get("/search?q=solar", headers=bearer(searching)).status_code == 200
        refused = client.get("/search?q=solar", headers=bearer(embedding))
        assert (refused.status_code, refused.json()["detail"][:33]) == (403, "this key is for embed, not for se")
        assert client.get("/?q=solar", headers=bearer(embedding)).status_code == 403
        assert client.post("/v1/embeddings", json=wanted, headers=bearer(embedding)).status_code == 200
        assert client.post("/v1/embeddings", json=wanted, headers=bearer(searching)).status_code == 403
        assert client.get("/v1/models/secret-name", headers=bearer(searching)).status_code == 403


def test_the_document_of_the_api_says_how_keys_are_shown_and_refused(file: Path) -> None:
    key = add_key(file, "seldom", ("embed",), per_minute=2)
    with opened(file) as client:
        document = client.get("/openapi.json", headers=bearer(key)).json()
        schemes = document["components"]["securitySchemes"]
        assert schemes["bearer"]["scheme"] == "bearer"
        assert schemes["header"]["name"] == "X-API-Key"
        answers = [("/search", client.get("/search"))]  # nobody's
        answers.append(("/search", client.get("/search", headers=bearer(key))))  # not for this
        answers += [("/v1/embeddings", client.post("/v1/embeddings", headers=bearer(key))) for _ in range(2)]
        answers.append(("/v1/models", client.get("/v1/models")))
    assert [answer.status_code for _, answer in answers] == [401, 403, 422, 429, 401]
    for path, answer in answers:
        (operation,) = document["paths"][path].values()
        assert {name for one in operation["security"] for name in one} == schemes.keys()
        (kind,) = operation["responses"][str(answer.status_code)]["content"]
        assert answer.headers["Content-Type"].startswith(kind)
        name = operation["responses"][str(answer.status_code)]["content"][kind]["schema"]["$ref"].split("/")[-1]
        assert document["components"]["schemas"][name]["properties"].keys() == answer.json().keys()
    assert "security" not in document["paths"]["/readyz"]["get"]
    with TestClient(create_app({"open": searcher()}), base_url=BASE) as client:
        assert "security" not in client.get("/openapi.json").text


def test_a_limit_refills_over_its_minute(file: Path) -> None:
    now = [100.0]
    keys = {name: add_key(file, name, per_minute=limit) for name, limit in (("two", 2), ("free", None))}

    async def answer(scope: object, receive: object, send: object) -> None:
        from starlette.responses import PlainTextResponse

        await PlainTextResponse("in")(scope, receive, send)  # type: ignore[arg-type]

    client = TestClient(Access(answer, KeyRing(file), clock=lambda: now[0]))

    def ask(name: str) -> tuple[int, str | None]:
        got = client.get("/search", headers=bearer(keys[name]))
        return got.status_code, got.headers.get("Retry-After")

    assert [ask("two") for _ in range(3)] == [(200, None), (200, None), (429, "30")]
    now[0] += 10
    assert ask("two") == (429, "20")
    assert ask("free") == (200, None)
    now[0] += 20
    assert [ask("two") for _ in range(2)] == [(200, None), (429, "30")]
    now[0] += 1000  # no more than a minute's worth is saved up
    assert [ask("two")[0] for _ in range(3)] == [200, 200, 429]


def test_the_file_is_read_again_and_a_broken_one_is_not(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = add_key(file, "first")
    with opened(file) as client, caplog.at_level(logging.WARNING, "isoglot.serve.keys"):
        second = add_key(file, "second")
        assert client.get("/search?q=x", headers=bearer(second)).status_code == 200
        whole = file.read_text()
        file.write_text(whole[:40])
        assert client.get("/search?q=x", headers=bearer(first)).status_code == 200
        assert "the previous ones stay valid" in caplog.text
        assert first not in caplog.text
        file.unlink()
        assert client.get("/search?q=x", headers=bearer(first)).status_code == 200
        file.write_text(whole)
        revoke_key(file, "first")
        assert client.get("/search?q=x", headers=bearer(first)).status_code == 401
        assert client.get("/search?q=x", headers=bearer(second)).status_code == 200


def test_a_file_that_cannot_be_is_named_with_all_its_faults(file: Path) -> None:
    good = {"name": "a", "sha256": "0" * 64, "scopes": ["search"]}
    file.write_text(json.dumps({"keys": [good, good, {**good, "name": "b", "sha256": "x"}, 3, {**good, "name": ""}]}))
    with pytest.raises(InputError) as raised:
        KeyRing(file)
    for said in ("key 2: the name ", "key 3: sha256", "key 4: int, expected", "key 5: name"):
        assert said in str(raised.value)
    file.write_text("[]")
    with pytest.raises(InputError, match="expected an object"):
        create_app({"index": searcher()}, ServeSettings(keys=file))


def test_pages_elsewhere_read_answers_only_where_they_are_listed(file: Path) -> None:
    key = add_key(file, "page")
    with opened(file, origins=("https://www.example.org",)) as client:
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        before = client.options("/search", headers={"Origin": "https://www.example.org", **asked})
        assert (before.status_code, before.headers["Access-Control-Allow-Origin"]) == (200, "https://www.example.org")
        assert client.options("/search", headers={"Origin": "https://evil.example", **asked}).status_code == 400
        for origin, allowed in (("https://www.example.org", "https://www.example.org"), ("https://evil.example", None)):
            answer = client.get("/search?q=x", headers={"Origin": origin, **bearer(key)})
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    for wrong in ("*", "www.example.org", "https://example.org/", "https://*.example.org", "https://a:x", "ftp://a"):
        with pytest.raises(InputError, match="expected only scheme, host and port"):
            checked_origins((wrong,))


def test_a_file_that_is_not_there_says_how_it_is_made(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "list", str(file)]) == 2
    assert f"{file}: no such file; make it with `isoglot keys add`" in capsys.readouterr().err
    with pytest.raises(InputError, match="no such file; make it with `isoglot keys add`"):
        opened(file)
