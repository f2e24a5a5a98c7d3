"""What was acknowledged is there, once: against a store with a disk of its own, which is killed and comes back."""

import pytest

from isoglot.core.errors import IsoglotError
from isoglot.search import Searcher, build_index
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.pulling import pull
from isoglot.search.replicas.pushing import push
from isoglot.search.replicas.snapshot import pushed
from isoglot.search.replicas.working_copy import working_copy
from support.copies import contents, embed
from support.object_store import BUCKET, faulty, reach
from support.seaweed import seaweedfs

pytestmark = pytest.mark.scale
DOCUMENTS = [{"id": f"d{n}", "text": f"The tide number {n}."} for n in range(40)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with seaweedfs(tmp_path_factory.mktemp("seaweed")) as store:
        yield store


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas") / "index"
    build_index(DOCUMENTS, folder, embed)
    return folder


def assert_there_once(store, monkeypatch, address, snapshot, index, home):
    """The store itself holds the snapshot, each of its objects, nothing else, and all of it is whole."""
    reach(monkeypatch.setenv, store.endpoint)
    place = Place.at(address)
    assert pushed(place) == snapshot
    assert dict(place.keys("objects")) == {kept.key: kept.size for kept in snapshot.files.values()}
    assert contents(pull(place, home).folder) == contents(index)


@pytest.mark.parametrize(("refused", "lost"), [(0.0, 0.0), (0.2, 0.0), (0.5, 0.0), (0.0, 0.3), (0.2, 0.3)])
def test_through_a_network_that_fails(store, index, tmp_path, monkeypatch, refused, lost):
    address = f"s3://{BUCKET}/faulty-{refused}-{lost}"
    with faulty(store.endpoint, refused=refused, lost=lost, seed=1) as network:
        reach(monkeypatch.setenv, network)
        snapshot = push(index, Place.at(address)).snapshot
    assert_there_once(store, monkeypatch, address, snapshot, index, tmp_path)


@pytest.mark.parametrize("put", [2, 8, 15])
@pytest.mark.parametrize("when", ["before_put", "after_put"])
def test_the_store_is_killed_in_a_build_and_comes_back(store, tmp_path, monkeypatch, when, put):
    """While the store is tried for conditions, when the first files come, and near the end."""
    address, before = f"s3://{BUCKET}/killed-{when}-{put}", store.starts
    with faulty(store.endpoint, **{when: (put, store.restart)}) as network:
        reach(monkeypatch.setenv, network)
        with working_copy(Place.at(address), tmp_path / "work", new=True) as copy:
            build_index(DOCUMENTS, copy.folder, embed)
            snapshot = copy.publish().snapshot
    assert store.starts == before + 1
    assert_there_once(store, monkeypatch, address, snapshot, copy.folder, tmp_path / "pulled")


def test_the_store_is_killed_in_a_build_and_stays_away(store, tmp_path, monkeypatch):
    """The command fails and says why; the next one encodes nothing again, and publishes."""
    address = f"s3://{BUCKET}/away"
    with faulty(store.endpoint, before_put=(9, store.kill)) as network:
        reach(monkeypatch.setenv, network)
        with working_copy(Place.at(address, patience=1), tmp_path / "work", new=True, term=8) as copy:
            build_index(DOCUMENTS, copy.folder, embed)
            with pytest.raises(IsoglotError, match="the store cannot be reached or failed"):
                copy.publish()
    store.start()
    reach(monkeypatch.setenv, store.endpoint)
    monkeypatch.setattr("isoglot.search.replicas.lease.time.sleep", lambda seconds: None)
    with working_copy(Place.at(address), tmp_path / "work", new=True, term=8) as copy:
        assert copy.built
        snapshot = copy.publish().snapshot
    assert_there_once(store, monkeypatch, address, snapshot, copy.folder, tmp_path / "pulled")
    searcher = Searcher.open(copy.folder, embed)
    assert {hit.document for hit in searcher.search("tide", mode="lexical", k=50)} == {d["id"] for d in DOCUMENTS}
    searcher.close()
