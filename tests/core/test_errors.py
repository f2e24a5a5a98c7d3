"""Errors that travel: out of a process, they say what they said in it."""

import pickle

import pytest

from isoglot.core.errors import GateMissedError, InputError, IsoglotError, MissingPackageError, needs
from isoglot.data.lookups import DuplicateRowError
from isoglot.search.lookup import NoPassageError
from isoglot.serve.translatable import TranslatableError
from isoglot.training.sampling.strata import BatchTooLargeError


@pytest.mark.parametrize(
    "error",
    [
        IsoglotError("failed"),
        InputError("rows: none"),
        MissingPackageError("pip install it"),
        GateMissedError("missed"),
        NoPassageError("tides#2"),
        DuplicateRowError([(3, 7, "with the same passage")], 2),
        BatchTooLargeError(32, 12, "monolingual batches"),
        TranslatableError("no %(name)s", name="index"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_a_package_that_is_there_but_broken_says_what_is_wrong_with_it(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("from json import nothing_of_this_name\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    told = r"cannot import name 'nothing_of_this_name'.*'isoglot\[data\]'"
    with pytest.raises(MissingPackageError, match=told), needs("rows need it", "data"):
        import half_installed  # noqa: F401
