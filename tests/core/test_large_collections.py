import os
import resource
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.core import hash_runs, large_dict, large_list
from isoglot.core.errors import IsoglotError
from isoglot.core.hash_runs import HashRuns
from isoglot.core.large_dict import LargeDict
from isoglot.core.large_list import LargeList

KEYS = st.sampled_from(["", "a", "b", "c", "d", "é", "\ud800", "x\0y", "ein langer Schlüssel"])
STEPS = st.one_of(
    st.tuples(st.just("set"), KEYS, st.text(max_size=3)),
    st.tuples(st.sampled_from(["get", "in", "del", "setdefault", "len", "keys"]), KEYS, st.just("")),
)


def done(held, step, key, value):
    """What one step gives."""
    if step == "set":
        held[key] = value
        return None
    if step == "del":
        return held.pop(key, "none")
    return {
        "get": lambda: (held.get(key), held.get(key, "other")),
        "in": lambda: key in held,
        "setdefault": lambda: held.setdefault(key, "first"),
        "len": lambda: (len(held), bool(held)),
        "keys": lambda: sorted(held.items()),
    }[step]()


@given(most=st.integers(0, 4), steps=st.lists(STEPS, max_size=60))
def test_a_large_dict_does_what_a_dict_does(most, steps):
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(large_dict, "MOST", most)
        large, small = LargeDict(folder), {}
        for step in steps:
            assert done(large, *step) == done(small, *step)
        assert sorted(large.items()) == sorted(small.items())


def test_a_large_dict_is_changed_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(large_dict, "MOST", 10)
    names = [str(number) for number in range(3000)]
    large = LargeDict(tmp_path)
    large.update(dict.fromkeys(names, "x"))
    seen = []
    for name in large:
        seen.append(name)
        del large[name]
    assert seen == names
    assert not large
    with pytest.raises(KeyError):
        large["1"]
    with pytest.raises(KeyError):
        del large["1"]


@given(
    parts=st.lists(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=1), max_size=9),
    block=st.integers(1, 4),
    merged=st.integers(1, 4),
)
def test_places_of_hashes(parts, block, merged):
    expected, place = {}, 0
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(hash_runs, "BLOCK", block)
        patch.setattr(hash_runs, "MERGED", merged)
        runs = HashRuns(folder)
        for part in parts:
            runs.add(np.array(part, np.int64), np.arange(place, place + len(part)))
            for hash_ in part:
                expected.setdefault(hash_, []).insert(0, place)
                place += 1
        assert {hash_: runs.places(hash_) for hash_ in expected} == expected
        assert len(runs.perhaps(np.array(list(expected), np.int64))) == len(expected)
        for hash_ in {-(2**63), -4, -1, 0, 1, 4, 2**63 - 1} - expected.keys():
            assert runs.places(hash_) == []


def test_values_come_back_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(large_list, "BYTES", 100)
    values = [{"number": number, "text": "é" * number} for number in range(50)]
    large = LargeList(tmp_path)
    assert (list(large), len(large)) == ([], 0)
    for number, value in enumerate(values, 1):
        large.append(value)
        if number % 20 == 0:
            assert list(large) == values[:number]
    assert (list(large), len(large)) == (values, 50)


def test_nothing_is_left_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(large_dict, "MOST", 1)
    monkeypatch.setattr(large_list, "BYTES", 1)
    large, values = LargeDict(tmp_path), LargeList(tmp_path)
    large.update({"a": "1", "b": "2", "c": "3"})
    values.append("a value")
    assert large["a"] == "1"
    assert list(tmp_path.iterdir()) == []  # its files have no names, so that a kill leaves none
    before = len(os.listdir("/proc/self/fd"))
    del large, values
    assert len(os.listdir("/proc/self/fd")) < before


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_a_full_disk_is_told(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(large_dict, "MOST", 100)
    monkeypatch.setattr(large_list, "BYTES", 100)
    large, values = LargeDict(tmp_path), LargeList(tmp_path)

    def fill():
        for number in range(100_000):
            if kind == "dict":
                large[f"key {number}"] = "value"
            else:
                values.append(number)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(IsoglotError, match=r"cannot be written \(.*\); make room"):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(large_dict, "MOST", 0)
    with pytest.raises(IsoglotError, match="cannot be written"):
        LargeDict(tmp_path / "none")["a"] = "b"
