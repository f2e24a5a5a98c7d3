"""Of those who would change an index in an object store, one does."""

import json
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.search import Searcher, build_index
from isoglot.search.index.manifest import read_manifest
from isoglot.search.replicas.lease import KEY, Lease
from isoglot.search.replicas.place import Place, as_address
from isoglot.search.replicas.pulling import pull
from isoglot.search.replicas.pushing import push
from isoglot.search.replicas.snapshot import current, pushed
from isoglot.search.replicas.working_copy import working_copy
from support.copies import embed
from support.encoders import wide_encoder
from support.object_store import BUCKET, faulty, object_store, reach
from support.rows import write_jsonl as write


@pytest.fixture
def place():
    return Place(MemoryStore(), "memory")


class Clock:
    """Lets no time pass, but does something each time that somebody waits."""

    def __init__(self, meanwhile=lambda: None):
        self.waited, self._meanwhile = 0.0, meanwhile

    def __call__(self, seconds):
        self.waited += seconds
        self._meanwhile()


def test_who_gives_signs_of_life_keeps_the_lease(place):
    first = Lease.take(place, 8)
    clock = Clock(first.renew)
    with pytest.raises(InputError, match=r"process \d+ is writing this index; wait until it is done"):
        Lease.take(place, 8, sleep=clock)
    assert clock.waited <= 8
    first.renew()


def test_who_is_gone_loses_it_after_a_whole_term_and_cannot_commit_later(place, tmp_path):
    build_index([{"id": "a", "text": "One."}], tmp_path / "late", embed)
    build_index([{"id": "b", "text": "Two."}], tmp_path / "new", embed)
    for before in (None, "published"):
        if before:
            push(tmp_path / "late", place)
        late = Lease.take(place, 8)
        clock = Clock()
        second = Lease.take(place, 8, sleep=clock)
        assert clock.waited == 8
        with pytest.raises(IsoglotError, match="the lease was lost to another writer"):
            late.renew()
        with pytest.raises(InputError, match="another push came first, in spite of the lease"):
            push(tmp_path / "late", place, late)
        with second.kept():
            assert push(tmp_path / "new", place, second).new
        with pytest.raises(InputError, match="another push came first"):
            push(tmp_path / "late", place, late)
        again = Lease.take(place, 8, sleep=Clock())  # given back: nobody waits
        with again.kept():
            pass


def test_a_late_writer_that_looked_before_the_takeover_loses_at_the_exchange(tmp_path):
    """It passes every check, falls asleep, and wakes up with the exchange of the record."""
    store = MemoryStore()
    place = Place(store, "memory")
    build_index([{"id": "a", "text": "One."}], tmp_path / "late", embed)

    class Sleeper(Place):
        def exchange(self, key, content, tag):
            if key != KEY and b'"files": {"' in content:
                self.other = Lease.take(place, 8, sleep=Clock())
            return super().exchange(key, content, tag)

    sleeper = Sleeper(store, "memory")
    late = Lease.take(sleeper, 8)
    with pytest.raises(InputError, match="another push came first"):
        push(tmp_path / "late", sleeper, late)
    assert current(place)[0].number == 0
    sleeper.other.renew()
    assert push(tmp_path / "late", place, sleeper.other).new


def test_a_lost_answer_is_no_lost_lease():
    class Losing(Place):
        def exchange(self, key, content, tag):
            super().exchange(key, content, tag)
            raise IsoglotError("the answer is lost")

    store = MemoryStore()
    lease = Lease.take(Place(store, "memory"), 8)
    lease.place = Losing(store, "memory")
    with pytest.raises(IsoglotError, match="the answer is lost"):
        lease.renew()
    lease.place = Place(store, "memory")
    lease.renew()


def test_a_plain_push_waits_for_a_builder(place, tmp_path, monkeypatch):
    build_index([{"id": "a", "text": "One."}], tmp_path / "i", embed)
    lease = Lease.take(place)
    monkeypatch.setattr("isoglot.search.replicas.lease.time.sleep", Clock(lease.renew))
    with pytest.raises(InputError, match="is writing this index"):
        push(tmp_path / "i", place)


def test_two_builders_in_one_place(place, tmp_path):
    docs = [{"id": "tide", "text": "The tide rises."}]
    with working_copy(place, tmp_path / "one", new=True) as copy:
        build_index(docs, copy.folder, embed)
        assert copy.publish().new
    with (
        pytest.raises(InputError, match="this index is finished"),
        working_copy(place, tmp_path / "two", new=True),
    ):
        pass
    # Another machine updates what it has never seen; the first one then builds on that.
    for home, key in (("two", "moon"), ("one", "sun"), ("one", "star")):
        with working_copy(place, tmp_path / home, new=False) as copy:
            build_index([{"id": key, "text": f"The {key}."}], copy.folder, embed, update=True)
            copy.publish()
    searcher = Searcher.open(pull(place, tmp_path / "here").folder, embed)
    assert {hit.document for hit in searcher.search("the", k=9)} == {"tide", "moon", "sun", "star"}
    searcher.close()
    assert pushed(place).number == 4


def test_a_working_copy_has_one_user_even_when_the_lease_was_lost(place, tmp_path):
    """A process that is stopped for longer than a term loses its lease, and still writes when it wakes up."""
    with working_copy(place, tmp_path / "one", new=True) as stopped:
        build_index([{"id": "a", "text": "First."}], stopped.folder, embed)
        place.delete([KEY])  # as if a term had passed and another machine had taken the lease and given it back
        with working_copy(place, tmp_path / "two", new=True) as copy:
            build_index([{"id": "b", "text": "Second."}], copy.folder, embed)
            copy.publish()
        with (
            pytest.raises(InputError, match="another process is writing"),
            working_copy(place, tmp_path / "one", new=False),
        ):
            pass
        build_index([{"id": "c", "text": "Third."}], stopped.folder, embed, update=True)
        with pytest.raises(InputError, match="another push came first"):
            stopped.publish()
    with working_copy(place, tmp_path / "one", new=False) as copy:
        assert read_manifest(copy.folder).version.documents == 1


def test_what_a_killed_update_finished_is_kept_when_another_machine_was_faster(place, tmp_path):
    with working_copy(place, tmp_path / "one", new=True) as copy:
        build_index([{"id": "a", "text": "First."}], copy.folder, embed)
        copy.publish()
    new = [{"id": f"n{n}", "text": f"New {n}."} for n in range(5)]

    class StopError(Exception):
        pass

    def stop(*_, **__):
        raise StopError

    with working_copy(place, tmp_path / "one", new=False) as copy, pytest.MonkeyPatch.context() as patch:
        patch.setattr("isoglot.search.index.store.Store.add", stop)
        with pytest.raises(StopError):
            build_index(new, copy.folder, embed, update=True)
    with working_copy(place, tmp_path / "two", new=False) as copy:
        build_index([{"id": "b", "text": "Second."}], copy.folder, embed, update=True)
        copy.publish()
    with working_copy(place, tmp_path / "one", new=False) as copy:
        built = build_index(new, copy.folder, embed, update=True)
        copy.publish()
    assert (built.kept, built.shards, built.version.documents) == (1, 1, 7)


def test_a_killed_build_of_a_successor_is_gone_on_with(place, tmp_path):
    how = {"new": True, "term": 10.0}
    with working_copy(place, tmp_path, **how) as copy:
        build_index([{"id": "a", "text": "First."}], copy.folder, embed)
        copy.publish()

    def stop(*_, **__):
        raise KeyboardInterrupt

    more = [{"id": "b", "text": "Second."}]
    with working_copy(place, tmp_path, overwrite=True, **how) as copy, pytest.MonkeyPatch.context() as patch:
        patch.setattr("isoglot.search.index.building.publish", stop)
        with pytest.raises(KeyboardInterrupt):
            build_index(more, copy.folder, embed, overwrite=True)
    with working_copy(place, tmp_path, resume=True, **how) as copy:
        assert build_index(more, copy.folder, embed, resume=True).kept == 1
        copy.publish()
    assert Searcher.open(pull(place, tmp_path / "reader").folder, embed).languages() == {"und": 1}
    with pytest.raises(InputError, match="this index is finished"), working_copy(place, tmp_path, resume=True, **how):
        pass


@pytest.mark.parametrize(("refused", "lost"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3)])
def test_the_command_writes_to_an_address(tmp_path, monkeypatch, capsys, refused, lost):
    pytest.importorskip("moto")
    model, local = str(wide_encoder()), ["--local", str(tmp_path / "work")]
    docs = str(write(tmp_path / "d.jsonl", [{"id": "berg", "text": "Der Berg", "lang": "de"}]))
    more = str(write(tmp_path / "e.jsonl", [{"id": "fluss", "text": "Der Fluss", "lang": "de"}]))
    with object_store() as endpoint, faulty(endpoint, refused=refused, lost=lost, seed=3) as network:
        reach(monkeypatch.setenv, network)
        address = f"s3://{BUCKET}/built-{refused}-{lost}"
        assert run(["index", "-o", address, "--update", "--delete", "x", *local]) == 2
        assert "no index there" in capsys.readouterr().err
        assert run(["index", docs, "-o", address, "--model", model, "--json", *local]) == 0
        told = capsys.readouterr()
        assert json.loads(told.out)["documents"] == 1
        assert f"snapshot 1 (version 1) at {address}" in told.err
        assert "very-secret-key" not in told.err
        assert run(["index", docs, "-o", address, "--model", model, *local]) == 2
        assert "give --update to add to it, or --overwrite" in capsys.readouterr().err
        assert run(["index", more, "-o", address, "--update", "--delete", "berg", *local]) == 0
        assert run(["index", "-o", address, "--roll-back", "1", *local]) == 0
        capsys.readouterr()
        assert run(["index", "-o", address, "--versions", "--json", *local]) == 0
        assert json.loads(capsys.readouterr().out)["current"] == 1
        assert run(["search", address, "Berg", "--mode", "lexical", "--json"]) == 0
        assert [hit["document"] for hit in json.loads(capsys.readouterr().out)] == ["berg"]
    assert run(["index", docs, "-o", str(tmp_path / "i"), "--model", model, *local]) == 2
    assert "--local: only for an index in an object store" in capsys.readouterr().err


def test_a_store_without_conditions_is_refused_by_name(tmp_path):
    class Careless(MemoryStore):
        def put(self, path, file, *, mode="overwrite", **how):
            return super().put(path, file, **how)

    with (
        pytest.raises(InputError, match=r"careless: this store ignores conditions"),
        working_copy(Place(Careless(), "careless"), tmp_path, new=True),
    ):
        pass


def test_paths_that_were_addresses():
    assert as_address(Path("s3://bucket/a/b")) == "s3://bucket/a/b"
    assert [as_address(Path(each)) for each in ("a/b", "/s3:/x", "c:/x")] == [None, None, None]
