"""Behind a reverse proxy: under another name and path, with forwarded headers believed from its address alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urljoin

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import uvicorn
from fastapi.testclient import TestClient

from isoglot.core.errors import InputError
from isoglot.serve.app import create_app
from isoglot.serve.proxies import behind_proxy
from isoglot.serve.server import listen
from isoglot.serve.settings import ServeSettings
from support.serving import embed, searcher

NAME = "search.example.org"
NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").is_file() else None)
CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /taken-off/ {{
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-Prefix /taken-off;
      proxy_pass http://127.0.0.1:{plain}/;
    }}
    location /kept/ {{
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-Proto https;
      proxy_pass http://127.0.0.1:{rooted};
    }}
  }}
}}
"""


class Addresses(HTMLParser):
    """Every address that a page names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if key in ("href", "src", "action", "hx-get") and value]


@contextmanager
def serving(settings: ServeSettings) -> Iterator[int]:
    """A real server in a thread; its socket listens before it runs, so that nobody has to wait for it."""
    app = create_app({"news": searcher()}, settings, embed={"news": embed})
    with listen("127.0.0.1", 0) as taken:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", proxy_headers=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        try:
            yield taken.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if NGINX is None:
        pytest.skip("there is no nginx here")
    folder = tmp_path_factory.mktemp("nginx")
    plain = behind_proxy(ServeSettings(), [NAME], "", ["127.0.0.1"])
    rooted = behind_proxy(ServeSettings(), [NAME], "/kept/", [])
    with serving(plain) as first, serving(rooted) as second, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = CONFIGURATION.format(folder=folder, port=port, plain=first, rooted=second)
        (folder / "nginx.conf").write_text(text)
        # nginx takes over sockets that this variable names: it need not be waited for either.
        environment = {**os.environ, "NGINX": f"{taken.fileno()};"}
        with subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")],
            env=environment,
            pass_fds=[taken.fileno()],
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


def fetch(address: str, method: str = "GET", host: str = NAME) -> tuple[int, str]:
    request = urllib.request.Request(address, method=method, headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("prefix", ["/taken-off/", "/kept/"])
def test_every_address_of_the_page_works_under_a_path(proxy: str, prefix: str) -> None:
    home = f"{proxy}{prefix}"
    for path in ("", "?q=solar", "api", "no/such/page"):
        status, text = fetch(home + path)
        assert status == (404 if path.startswith("no") else 200)
        inside = [found for found in Addresses(text).found if "://" not in found and found[:1] != "#"]
        inside = [found for found in inside if not found.startswith("data:")]
        assert len(inside) > 5
        for found in inside:
            whole = urljoin(home + path, found)
            assert whole.startswith(home), found
            assert fetch(whole)[0] == 200, whole
    assert fetch(home, "HEAD") == (200, "")
    assert '"hits"' in fetch(f"{home}search?q=solar")[1]
    assert fetch(f"{home}readyz", host="10.0.0.7")[0] == 200


def test_the_page_says_the_address_that_people_use(proxy: str) -> None:
    assert f"https://{NAME}/taken-off/search?q=solar" in fetch(f"{proxy}/taken-off/api")[1]
    # the other server was told its path, and to believe nobody: it does not know of https
    assert f"http://{NAME}/kept/search?q=solar" in fetch(f"{proxy}/kept/api")[1]


def test_another_name_is_refused_and_told_how_to_be_allowed(proxy: str) -> None:
    status, text = fetch(f"{proxy}/taken-off/search?q=x", host="evil.example")
    assert status == 400
    assert "no host name 'evil.example'" in text
    assert "--allow-host" in text


def test_forwarded_headers_of_strangers_are_ignored() -> None:
    headers = {"X-Forwarded-Host": NAME, "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/find"}
    pages = {}
    for trusted, client in (("10.0.0.0/8", ("10.1.2.3", 9)), ("10.0.0.0/8", ("11.1.2.3", 9)), ("", ("10.1.2.3", 9))):
        settings = behind_proxy(ServeSettings(hosts=("testserver",)), [NAME], "", [trusted] if trusted else [])
        with TestClient(create_app({"one": searcher()}, settings), client=client) as asking:
            pages[trusted, client[0]] = asking.get("/api", headers=headers).text
    assert f"https://{NAME}/find/search?q=solar" in pages.pop(("10.0.0.0/8", "10.1.2.3"))
    for text in pages.values():
        assert "http://testserver/search?q=solar" in text
        assert NAME not in text


def test_strange_forwarded_values_change_nothing() -> None:
    settings = behind_proxy(ServeSettings(hosts=("testserver",)), [], "", ["10.1.2.3"])
    with TestClient(create_app({"one": searcher()}, settings), client=("10.1.2.3", 9)) as asking:
        for prefix in ("javascript:alert(1)", "//evil.example", "/a b", "/../x?y", '/"><script>'):
            text = asking.get("/api", headers={"X-Forwarded-Prefix": prefix, "X-Forwarded-Host": "a b/c"}).text
            assert "http://testserver/search?q=solar" in text


def test_names_may_be_given_by_domain_and_with_ports() -> None:
    settings = behind_proxy(ServeSettings(), ["*.example.org"], "", [])
    with TestClient(create_app({"one": searcher()}, settings), base_url="http://127.0.0.1") as asking:
        for host, status in (
            ("a.example.org", 200),
            ("A.Example.ORG:8443", 200),
            ("example.org", 400),
            ("[::1]:8", 200),
        ):
            assert asking.get("/", headers={"Host": host}).status_code == status
        for probe in ("/livez", "/readyz", "/healthz"):
            assert asking.get(probe, headers={"Host": "10.9.8.7:1234"}).json()["status"] == "ok"


@pytest.mark.parametrize(
    ("hosts", "root", "proxies", "message"),
    [
        (["http://a.org"], "", [], "hosts 'http://a.org': expected a name alone"),
        ([], "search", [], "root_path 'search': expected a path such as /search"),
        ([], "/a?b", [], "root_path"),
        ([], "", ["proxy.local"], "trusted proxy 'proxy.local': expected an address or a network"),
    ],
)
def test_what_is_no_name_path_or_address(hosts: list[str], root: str, proxies: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        behind_proxy(ServeSettings(), hosts, root, proxies)
