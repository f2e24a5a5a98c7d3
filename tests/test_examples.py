"""Every example in a docstring gives what stands below it, numbers to six places."""

import doctest
import re
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
LONG = re.compile(r"\d+\.\d{7,}")


class Rounding(doctest.OutputChecker):
    """Takes 0.7 for what a float32 becomes in a list."""

    def check_output(self, want, got, flags):
        rounded = LONG.sub(lambda number: repr(round(float(number[0]), 6)), got)
        return any(super(Rounding, self).check_output(want, one, flags) for one in (got, rounded))


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(str(tiny_model), device="cpu")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, model, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = import_module(name)
    given = {**vars(module), "encoder": str(tiny_model), "model": model, "folder": tmp_path}
    said = []
    runner = doctest.DocTestRunner(Rounding(), verbose=False)
    for test in doctest.DocTestFinder().find(module, name, globs=given):
        if test.name.rpartition(".")[2] not in isoglot.__all__:  # tests/test_face.py runs those
            runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)
