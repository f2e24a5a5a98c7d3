import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from isoglot.core.errors import InputError, IsoglotError
from isoglot.data.benchmarks import download
from isoglot.data.benchmarks.download import REVISIONS, SHA256, fetch_lareqa

FILES = {"de": b"deutsch " * 40_000, "en": b"english"}


class Handler(BaseHTTPRequestHandler):
    """Serves FILES with ranges, or what `server.fault` says."""

    def do_GET(self):
        fault, whole = self.server.fault, FILES[self.path.rpartition("/")[2].removesuffix(".json")]
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.seen.append((self.path, self.headers.get("Range")))
        if fault == "missing":
            self.send_error(404, "Not Found")
            return
        if fault == "garbage":
            self.wfile.write(b"\0\0 no HTTP at all\r\n\r\n")
            return
        if fault == "no ranges":
            start = 0
        if start >= len(whole):
            self.send_error(416)
            return
        body = whole[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "corrupt":
            body = body[:-1] + b"?"
        if fault == "closing":
            body = body[: len(body) // 2]
        if fault == "slow":
            self.wfile.write(body[:1000])
            self.server.together.wait(20)
            body = body[1000:]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    sums = {lang: hashlib.sha256(content).hexdigest() for lang, content in FILES.items()}
    monkeypatch.setitem(SHA256, "xquad-r", sums)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.fault, running.seen = None, []
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.host = f"http://127.0.0.1:{running.server_port}"
        yield running
        running.shutdown()
        thread.join()


def fetch(server, folder, **more):
    return fetch_lareqa("xquad-r", folder, host=server.host, offline=False, **more)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


WHOLE = {"de.json": FILES["de"], "en.json": FILES["en"]}


def test_fetching_what_is_missing(server, tmp_path):
    folder = tmp_path / "deep" / "cache"
    assert fetch(server, folder, langs=("de",)) == folder
    assert contents(folder) == {"de.json": FILES["de"]}
    assert fetch(server, folder) == folder
    assert contents(folder) == WHOLE
    revision = REVISIONS["xquad-r"]
    assert server.seen == [(f"/{revision}/xquad-r/{lang}.json", None) for lang in ("de", "en")]
    fetch(server, folder)
    assert len(server.seen) == 2


def test_a_file_of_other_content_is_fetched_again(server, tmp_path):
    (tmp_path / "de.json").write_bytes(b"half")
    fetch(server, tmp_path)
    assert contents(tmp_path) == WHOLE


def test_a_part_is_continued(server, tmp_path):
    (tmp_path / "de.json.part").write_bytes(FILES["de"][:1000])
    fetch(server, tmp_path, langs=("de",))
    assert server.seen[0][1] == "bytes=1000-"
    assert contents(tmp_path) == {"de.json": FILES["de"]}


def test_the_part_of_a_killed_process_is_continued_once_nothing_is_written_to_it(server, tmp_path):
    left = tmp_path / ".de.json.0a1b.part"
    left.write_bytes(FILES["de"][:1000])
    fetch(server, tmp_path, langs=("de",))
    assert contents(tmp_path) == {"de.json": FILES["de"], left.name: FILES["de"][:1000]}
    (tmp_path / "de.json").unlink()
    os.utime(left, (time.time() - 3700,) * 2)
    fetch(server, tmp_path, langs=("de",))
    assert [given for _, given in server.seen] == [None, "bytes=1000-"]
    assert contents(tmp_path) == {"de.json": FILES["de"]}


def test_two_processes_that_fetch_at_once_both_have_the_file(server, tmp_path):
    server.fault, server.together = "slow", threading.Barrier(2)
    (tmp_path / "de.json.part").write_bytes(FILES["de"][:1000])
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(fetch, server, tmp_path, langs=("de",)) for _ in range(2)]:
            done.result()
    assert sorted(given or "" for _, given in server.seen) == ["", "bytes=1000-"]
    assert contents(tmp_path) == {"de.json": FILES["de"]}


def test_a_server_without_ranges_starts_anew(server, tmp_path):
    server.fault = "no ranges"
    (tmp_path / "de.json.part").write_bytes(FILES["de"][:1000])
    fetch(server, tmp_path, langs=("de",))
    assert contents(tmp_path) == {"de.json": FILES["de"]}


def test_a_whole_part_is_taken_as_it_is(server, tmp_path):
    (tmp_path / "de.json.part").write_bytes(FILES["de"])
    fetch(server, tmp_path, langs=("de",))
    assert contents(tmp_path) == {"de.json": FILES["de"]}


def test_a_part_that_is_too_long_is_thrown_away(server, tmp_path):
    (tmp_path / "de.json.part").write_bytes(FILES["de"] + b"!")
    with pytest.raises(IsoglotError, match="SHA-256"):
        fetch(server, tmp_path, langs=("de",))
    assert contents(tmp_path) == {}
    fetch(server, tmp_path, langs=("de",))
    assert contents(tmp_path) == {"de.json": FILES["de"]}


def test_a_corrupt_file_never_gets_the_name(server, tmp_path):
    server.fault = "corrupt"
    with pytest.raises(IsoglotError) as caught:
        fetch(server, tmp_path)
    message = str(caught.value)
    assert caught.value.exit_code == 1
    for words in (server.host, "de.json", SHA256["xquad-r"]["de"], "`data_dir`"):
        assert words in message
    assert contents(tmp_path) == {}


def test_a_server_that_closes_early_is_continued_next_time(server, tmp_path):
    server.fault = "closing"
    with pytest.raises(IsoglotError, match=r"of 320000 bytes arrived\); try again"):
        fetch(server, tmp_path)
    half = len(FILES["de"]) // 2
    assert contents(tmp_path) == {"de.json.part": FILES["de"][:half]}
    server.fault = None
    fetch(server, tmp_path)
    assert server.seen[1][1] == f"bytes={half}-"
    assert contents(tmp_path) == WHOLE


@pytest.mark.parametrize(("fault", "words"), [("missing", "Not Found"), ("garbage", "cannot be fetched")])
def test_a_server_that_fails(server, tmp_path, fault, words):
    server.fault = fault
    with pytest.raises(IsoglotError, match=words) as caught:
        fetch(server, tmp_path)
    assert server.host in str(caught.value)
    assert not (tmp_path / "de.json").exists()


def test_nobody_listens(tmp_path):
    with pytest.raises(IsoglotError, match="`data_dir`"):
        fetch_lareqa("mlqa-r", tmp_path, host="http://127.0.0.1:9", offline=False)


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IsoglotError, match="cannot be written"):
        fetch(server, tmp_path / "file" / "cache")


def test_offline(server, tmp_path, monkeypatch):
    with pytest.raises(
        InputError, match=r"de\.json: missing or with other content, and downloading is off .* `data_dir`"
    ):
        fetch_lareqa("xquad-r", tmp_path, host=server.host, offline=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("ISOGLOT_OFFLINE", "1")
    with pytest.raises(InputError, match="ISOGLOT_OFFLINE"):
        fetch_lareqa("xquad-r", tmp_path, host=server.host)
    assert server.seen == []
    monkeypatch.setenv("ISOGLOT_OFFLINE", "0")
    fetch_lareqa("xquad-r", tmp_path, host=server.host)
    assert fetch_lareqa("xquad-r", tmp_path, offline=True) == tmp_path


def test_unknown_names(tmp_path):
    with pytest.raises(InputError, match="benchmark tydi: cannot be downloaded; known: xquad-r, mlqa-r"):
        fetch_lareqa("tydi", tmp_path)
    with pytest.raises(InputError, match="langs: mlqa-r has no th"):
        fetch_lareqa("mlqa-r", tmp_path, langs=("de", "th"))


def test_pins_match_the_published_sums(shared_data):
    lines = (shared_data / "SHA256SUMS").read_text().split("\n")
    pinned = dict(reversed(line.split()) for line in lines if line)
    for name, sums in SHA256.items():
        for lang, checksum in sums.items():
            assert pinned[f"{name}/{lang}.json"] == checksum
    assert download.HOST.startswith("https://")
