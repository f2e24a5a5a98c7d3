"""Pushing an index to an object store and pulling it elsewhere: whole or not at all, whatever fails."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from isoglot.core.errors import InputError, IsoglotError
from isoglot.search import Searcher, build_index
from isoglot.search.replicas.place import Place, is_address
from isoglot.search.replicas.pulling import kept_here, pull
from isoglot.search.replicas.pushing import push
from isoglot.search.replicas.snapshot import RECORD, current, pushed

TEXTS = {
    "moon": "Der Mond zieht das Meer an.",
    "marea": "La marea sube dos veces al día.",
    "tide": "The tide rises twice a day.",
}


def embed(texts, role):
    return [[text.count("e"), text.count("a"), text.count("i"), 1] for text in texts]


def made(folder: Path, texts: dict[str, str], **how) -> Path:
    build_index([{"id": name, "text": text} for name, text in texts.items()], folder, embed, **how)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (RECORD, ".lock")
    }


def found(folder: Path) -> set[str]:
    searcher = Searcher.open(folder, embed)
    hits = searcher.search("a tide", k=10)
    searcher.close()
    return {hit.document for hit in hits}


@pytest.fixture
def place() -> Place:
    return Place(MemoryStore(), "memory")


def test_what_is_pulled_is_what_was_pushed(place, tmp_path):
    index = made(tmp_path / "index", TEXTS)
    done = push(index, place)
    pulled = pull(place, tmp_path / "here")
    assert contents(pulled.folder) == contents(index)
    assert found(pulled.folder) == set(TEXTS)
    assert (done.snapshot.number, done.snapshot.version) == (1, 1)
    assert done.new
    assert pulled.fetched == sum(size for key, size in place.keys("objects"))


def test_what_killed_writers_left_is_not_pushed(place, tmp_path):
    index = made(tmp_path / "index", TEXTS)
    for name in (".synced.json.abcdefgh.tmp", "samples/.1.npz.abcdefgh.tmp", ".isoglot-begun"):
        (index / name).write_text("half")
    push(index, place)
    pulled = pull(place, tmp_path / "here")
    assert contents(pulled.folder).keys() == {name for name in contents(index) if "/." not in f"/{name}"}
    assert found(pulled.folder) == set(TEXTS)


def test_an_update_sends_and_fetches_only_what_is_new(place, tmp_path):
    index = made(tmp_path / "index", TEXTS)
    first = push(index, place)
    before = pull(place, tmp_path / "here")
    made(index, {"luna": "La luna atrae el mar."}, update=True)
    second = push(index, place)
    after = pull(place, tmp_path / "here")
    new = {kept.digest for kept in second.snapshot.files.values()}
    new -= {kept.digest for kept in first.snapshot.files.values()}
    assert second.files == after.files == len(new) < len(second.snapshot.files)
    assert found(after.folder) == {*TEXTS, "luna"}
    assert found(before.folder) == set(TEXTS), "searches that began before go on in the version before"


def test_pushing_what_is_there_changes_nothing(place, tmp_path):
    index = made(tmp_path / "index", TEXTS)
    push(index, place)
    tag = current(place)[1]
    again = push(index, place)
    assert (again.new, again.files, again.sent) == (False, 0, 0)
    assert current(place)[1] == tag
    pull(place, tmp_path / "here")
    again = pull(place, tmp_path / "here")
    assert (again.files, again.fetched) == (0, 0)


def test_old_objects_and_folders_go_after_one_more_snapshot(place, tmp_path):
    index = made(tmp_path / "index", TEXTS)
    other = tmp_path / "here" / "other"
    other.mkdir(parents=True)
    first = push(index, place).snapshot
    pull(place, tmp_path / "here")
    for number in (2, 3):
        build_index([{"id": "only", "text": f"Number {number}"}], tmp_path / f"index-{number}", embed)
        push(tmp_path / f"index-{number}", place)
        there = {key for key, _ in place.keys("objects")}
        olds = {kept.key for kept in first.files.values()}
        assert (olds <= there) == (number == 2), "readers of the snapshot before may still be at it"
        pull(place, tmp_path / "here")
    last = pushed(place)
    assert {key for key, _ in place.keys("objects")} == {kept.key for kept in last.files.values()} | set(last.before)
    folders = {entry.name for entry in (tmp_path / "here").iterdir() if entry.is_dir()}
    assert len(folders) == 3, "the newest, the one before, and what is not ours"
    assert other.is_dir()


class Failing:
    """A store that fails at one of its calls, and at all after it: the process is gone."""

    def __init__(self, store, at: int) -> None:
        self._store, self._left, self._lock = store, at, threading.Lock()

    def __getattr__(self, name):
        def call(*args, **kwargs):
            with self._lock:
                self._left -= 1
                if self._left < 0:
                    raise OSError(5, "the process was killed here")
            return getattr(self._store, name)(*args, **kwargs)

        return call


def test_a_push_killed_anywhere_leaves_the_old_state_or_the_new_one(tmp_path):
    index, updated = made(tmp_path / "old", TEXTS), made(tmp_path / "new", {**TEXTS, "luna": "La luna."})
    at, outcomes = 0, set()
    while True:
        store = MemoryStore()
        place = Place(store, "memory")
        push(index, place)
        try:
            push(updated, Place(Failing(store, at), "memory"))
            killed = False
        except IsoglotError:
            killed = True
        seen = contents(pull(place, tmp_path / f"here-{at}").folder)
        assert seen in (contents(index), contents(updated))
        outcomes.add((killed, seen == contents(updated)))
        push(updated, place)
        assert contents(pull(place, tmp_path / f"here-{at}").folder) == contents(updated)
        last = pushed(place)
        extra = {key for key, _ in place.keys("objects")} - {kept.key for kept in last.files.values()}
        if not killed:
            break
        at += 1
    assert {(True, False), (False, True)} <= outcomes
    assert extra == set(last.before)


def test_a_pull_killed_anywhere_goes_on(tmp_path):
    store = MemoryStore()
    place = Place(store, "memory")
    index = made(tmp_path / "index", TEXTS)
    push(index, place)
    here, fetched, at = tmp_path / "here", [], 0
    while True:
        try:
            fetched.append(pull(Place(Failing(store, at), "memory"), here).files)
            break
        except IsoglotError:
            assert kept_here(here) is None
            at += 1
    assert contents(kept_here(here).folder) == contents(index)
    assert fetched[0] < len(contents(index)), "files that were complete are not fetched again"


def test_a_pull_that_died_before_it_named_its_folder_goes_on(place, tmp_path, monkeypatch):
    push(made(tmp_path / "index", TEXTS), place)

    def killed(*args, **how):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.replicas.pulling.write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            pull(place, tmp_path / "here")
    assert kept_here(tmp_path / "here") is None
    again = pull(place, tmp_path / "here")
    assert again.files == 0
    assert found(again.folder) == set(TEXTS)
    assert {path.name for path in (tmp_path / "here").iterdir()} - {".lock"} == {again.folder.name, "now"}


def test_a_file_that_was_pulled_is_on_disk_before_it_counts_as_complete(place, tmp_path, monkeypatch):
    push(made(tmp_path / "index", TEXTS), place)
    synced, early, replace_path = set(), [], Path.replace

    def renamed(self, target):
        if self.is_file() and self.stat().st_ino not in synced:
            early.append(self)
        return replace_path(self, target)

    monkeypatch.setattr(os, "fsync", lambda file: synced.add(os.fstat(file).st_ino))
    monkeypatch.setattr(Path, "replace", renamed)
    done = pull(place, tmp_path / "here")
    assert not early
    assert len(synced) >= done.files > 3


class Racing(Place):
    """Another writer publishes between our reading of the record and our exchange."""

    def __init__(self, store, first) -> None:
        super().__init__(store, "memory")
        self._first = first

    def exchange(self, key, content, tag):
        if key == RECORD and self._first is not None:
            first, self._first = self._first, None
            first()
        return super().exchange(key, content, tag)


def test_of_two_pushes_one_is_refused_and_its_retry_is_whole(tmp_path):
    store = MemoryStore()
    place = Place(store, "memory")
    base, one, two = (made(tmp_path / name, {**TEXTS, name: f"Text {name}."}) for name in ("base", "one", "two"))
    push(base, place)
    with pytest.raises(InputError, match=r"another push came first \(snapshot 2 is there now\); push again"):
        push(two, Racing(store, lambda: push(one, place)))
    assert contents(pull(place, tmp_path / "here").folder) == contents(one)
    push(two, place)
    assert contents(pull(place, tmp_path / "here").folder) == contents(two)
    assert pushed(place).number == 3


class Losing(MemoryStore):
    """Does what it is asked, and the answers are lost: clients that ask again are told that it is there."""

    def put(self, path, file, **how):
        result = super().put(path, file, **how)
        return super().put(path, file, **how) if path == RECORD else result


def test_an_answer_that_was_lost_after_the_exchange_counts(tmp_path):
    place = Place(Losing(), "memory")
    for texts in ({"a": "One."}, {"a": "Two."}):
        index = made(tmp_path / texts["a"], texts)
        assert push(index, place).new
        assert contents(pull(place, tmp_path / "here").folder) == contents(index)


class Careless(MemoryStore):
    def put(self, path, file, *, mode="overwrite", **how):
        return super().put(path, file, **how)


def test_a_store_without_conditions_is_refused_before_anything_is_sent(tmp_path):
    store = Careless()
    with pytest.raises(InputError, match="ignores conditions"):
        push(made(tmp_path / "index", TEXTS), Place(store, "memory"))
    assert list(Place(store, "memory").keys("")) == []


def test_content_that_is_not_what_was_pushed_is_refused(place, tmp_path):
    snapshot = push(made(tmp_path / "index", TEXTS), place).snapshot
    key = max(snapshot.files.values(), key=lambda kept: kept.size).key
    place.delete([key])
    place.create(key, b"something else")
    with pytest.raises(IsoglotError, match="differs from what was pushed"):
        pull(place, tmp_path / "here")
    assert kept_here(tmp_path / "here") is None


def test_a_record_that_names_files_elsewhere_is_refused(place, tmp_path):
    snapshot = push(made(tmp_path / "index", TEXTS), place).snapshot
    kept = next(iter(snapshot.files.values()))
    for path in ("../outside", "/outside", "a/../../outside", ""):
        bad = replace(snapshot, files={path: kept}, name="another")
        assert place.exchange(RECORD, bad.to_json(), current(place)[1])
        with pytest.raises(InputError, match="outside the index"):
            pull(place, tmp_path / "here")


@pytest.mark.parametrize("changes", [{"name": "/../../e"}, {"name": ""}, {"number": "/../../e"}, {"number": -1}])
def test_a_record_cannot_choose_the_folder_it_is_pulled_into(place, tmp_path, changes):
    snapshot = push(made(tmp_path / "index", TEXTS), place).snapshot
    assert place.exchange(RECORD, replace(snapshot, **changes).to_json(), current(place)[1])
    with pytest.raises(InputError, match=f"{RECORD}: broken"):
        pull(place, tmp_path / "deep" / "here")
    assert {path.name for path in tmp_path.rglob("*")}.isdisjoint({"e", "e.part"})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"isoglot_snapshot": 1}', b'{"isoglot_snapshot": 9}', b"\xff"])
def test_a_broken_record_is_named(place, tmp_path, content):
    place.create(RECORD, content)
    with pytest.raises(InputError, match=RECORD):
        pull(place, tmp_path / "here")


def test_a_place_without_an_index_says_how_to_push_one(place, tmp_path):
    with pytest.raises(InputError, match="no index there; push one with `isoglot push INDEX memory`"):
        pull(place, tmp_path / "here")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://", "expected s3://BUCKET/PREFIX"),
        ("ftp://host/x", "expected s3://BUCKET/PREFIX"),
        ("s3://key:secret@bucket/x", "an address holds no credentials"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_secrets(address, said):
    with pytest.raises(InputError, match=said) as caught:
        Place.at(address)
    assert "secret" not in str(caught.value)


def test_addresses_are_told_from_folders():
    assert [is_address(each) for each in ("s3://b/x", "gs://b", "az://c/x", "s3:/x", "folder", Path("s3://b"))] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
