"""The files of examples/deploy say what the server and the command really take."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.cli import app as command
from isoglot.cli.serving import serve
from isoglot.serve.app import create_app
from support.serving import searcher

FOLDER = Path(__file__).parents[2] / "examples" / "deploy"


def parsed(words: list[str]) -> dict[str, Any]:
    """The arguments of `isoglot serve`, as the command reads them."""
    chosen, bound, _ = command.parse_args(words, exit_on_error=False, print_error=False)
    assert chosen is serve
    return dict(bound.arguments)


def test_the_commands_are_read_by_the_command_line() -> None:
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["search"]
    pod = next(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))["spec"]["template"]["spec"]
    (image,) = re.findall(r"^CMD (\[.*\])$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    for words in (compose["command"], pod["containers"][0]["args"], yaml.safe_load(image)):
        arguments = parsed(words)
        assert (arguments["host"], arguments["port"], arguments["log"]) == ("0.0.0.0", 8000, "json")
        assert Path(arguments["index"]).name == "index"
    mounted = {entry.split(":")[1] for entry in compose["volumes"]}
    assert {str(parsed(compose["command"])["keys"].parent), "/index", "/model"} == mounted


def test_nothing_runs_as_root_or_writes_but_to_tmp() -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", dockerfile, re.MULTILINE)
    compose = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["search"]
    assert (compose["read_only"], compose["cap_drop"], compose["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    assert "ports" not in compose
    deployment = next(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 2
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]


def test_probes_are_routes_of_the_server() -> None:
    container = next(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))["spec"]["template"]["spec"]
    (container,) = container["containers"]
    paths = [container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    (health,) = re.findall(r"http://127\.0\.0\.1:8000(/\w+)", (FOLDER / "Dockerfile").read_text())
    with TestClient(create_app({"index": searcher()}), base_url="http://10.0.0.7:8000") as client:
        for path in [*paths, health]:
            assert client.get(path).status_code == 200


@pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="no nginx or openssl here")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    certificate = ["-keyout", f"{tmp_path}/server.key", "-out", f"{tmp_path}/server.crt", "-subj", "/CN=localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *certificate]
    subprocess.run(made, check=True, capture_output=True)
    text = (FOLDER / "nginx.conf").read_text()
    text = text.replace("/etc/nginx/certificates", str(tmp_path)).replace("search:8000", "127.0.0.1:8000")
    whole = f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{text}\n}}\n"
    (tmp_path / "nginx.conf").write_text(whole)
    done = subprocess.run(["nginx", "-t", "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
