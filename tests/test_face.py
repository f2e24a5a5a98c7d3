"""The face: few names, each with one home, a docstring and an example that runs."""

import doctest

import pytest

import isoglot
from isoglot.encoders.loading import load

NAMES = {
    "Benchmark",
    "HybridBatchSampler",
    "IsoglotError",
    "Language",
    "MultilingualEvaluator",
    "Prepared",
    "Searcher",
    "__version__",
    "build_index",
    "evaluate",
    "language",
    "load",
    "load_benchmark",
    "prepare",
    "register_language",
    "study",
    "train",
}
EXPLAINED = sorted(NAMES - {"__version__"})


def test_names():
    assert sorted(isoglot.__all__) == sorted(NAMES)
    assert len(NAMES) <= 25


@pytest.mark.parametrize("name", EXPLAINED)
def test_example(name, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    given = {"encoder": str(tiny_model), "model": load(str(tiny_model), device="cpu"), "folder": tmp_path}
    public = getattr(isoglot, name)
    found = [test for test in doctest.DocTestFinder().find(public, name, globs=given) if test.examples]
    assert found, f"{name} has no example"
    said = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in found:
        assert not any(doctest.SKIP in example.options for example in test.examples), test.name
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize("name", EXPLAINED)
def test_docstring_says_what_goes_in(name):
    public = getattr(isoglot, name)
    text = public.__doc__
    assert text.strip()
    for part in ("Attributes:", "Args:"):
        if part in text:
            return
    pytest.fail(f"{name}: neither arguments nor attributes")
