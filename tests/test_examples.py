"""Every example in a docstring gives what stands below it."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import isoglot
from isoglot.encoders.loading import load

PACKAGE = Path(isoglot.__file__).parent
MODULES = sorted(
    ".".join(("isoglot", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(str(tiny_model), device="cpu")


@pytest.mark.parametrize("module", MODULES)
def test_examples(module, model, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"encoder": str(tiny_model), "model": model, "folder": tmp_path}
    assert doctest.testmod(import_module(module), extraglobs=given).failed == 0
