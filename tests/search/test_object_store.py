"""Replicas through a real S3 client: refusals, lost answers, no bucket, no store."""

import json
from pathlib import Path

import pytest

pytest.importorskip("moto")

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.search import Searcher, build_index
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.pulling import kept_here, pull
from isoglot.search.replicas.pushing import push
from isoglot.search.replicas.snapshot import pushed
from support.copies import contents, embed
from support.object_store import BUCKET, faulty, object_store, reach


@pytest.fixture(scope="module")
def store():
    with object_store() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas") / "index"
    build_index([{"id": "tide", "text": "The tide rises twice a day."}], folder, embed)
    return folder


def test_push_and_pull(store, index, tmp_path, monkeypatch):
    reach(monkeypatch.setenv, store)
    place = Place.at(f"s3://{BUCKET}/plain/")
    assert push(index, place).new
    assert not push(index, place).new
    assert contents(pull(place, tmp_path).folder) == contents(index)


@pytest.mark.parametrize(("refused", "lost"), [(0.2, 0.0), (0.5, 0.0), (0.0, 0.3)])
def test_what_is_acknowledged_is_there_once(store, index, tmp_path, monkeypatch, refused, lost):
    """Answers of 503, and answers lost after the store has done what it was asked."""
    with faulty(store, refused=refused, lost=lost, seed=1) as endpoint:
        reach(monkeypatch.setenv, endpoint)
        place = Place.at(f"s3://{BUCKET}/faulty-{refused}-{lost}")
        first = push(index, place).snapshot
        assert pushed(place) == first
        assert contents(pull(place, tmp_path).folder) == contents(index)
    reach(monkeypatch.setenv, store)
    there = dict(Place.at(place.address).keys("objects"))
    assert there == {kept.key: kept.size for kept in first.files.values()}


def test_a_store_that_is_gone_is_said_and_nothing_is_lost(store, index, tmp_path, monkeypatch):
    reach(monkeypatch.setenv, store)
    address = f"s3://{BUCKET}/gone"
    push(index, Place.at(address))
    kept = pull(Place.at(address), tmp_path)
    reach(monkeypatch.setenv, "http://127.0.0.1:9")
    for ask in (lambda place: pull(place, tmp_path), lambda place: push(index, place)):
        with pytest.raises(IsoglotError, match=r"the store cannot be reached or failed .* try again") as caught:
            ask(Place.at(address, patience=0.2))
        assert caught.value.exit_code == 1
        assert "very-secret-key" not in str(caught.value)
    assert kept_here(tmp_path).folder == kept.folder


def test_a_bucket_that_is_not_there_is_named(store, index, tmp_path, monkeypatch):
    reach(monkeypatch.setenv, store)
    place = Place.at("s3://no-such-bucket/index")
    for ask in (lambda: pull(place, tmp_path), lambda: push(index, place)):
        with pytest.raises(InputError, match="s3://no-such-bucket/index: there is no such bucket"):
            ask()


def test_the_commands(store, index, tmp_path, monkeypatch, capsys):
    reach(monkeypatch.setenv, store)
    address = f"s3://{BUCKET}/commands"
    assert run(["pull", address, str(tmp_path / "here")]) == 2
    assert f"push one with `isoglot push INDEX {address}`" in capsys.readouterr().err
    assert run(["push", str(tmp_path / "nothing"), address]) == 2
    assert run(["push", str(index), "s3:/books"]) == 2
    assert run(["push", str(index), address]) == 0
    assert f"snapshot 1 (version 1) at {address}: " in capsys.readouterr().out
    assert run(["push", str(index), address, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["snapshot"], told["sent"], told["new"]) == (1, 0, False)
    assert run(["pull", address, str(tmp_path / "here"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert contents(Path(told["folder"])) == contents(index)
    assert told["bytes_fetched"] <= sum(len(content) for content in contents(index).values())


def test_searches_open_an_address_follow_it_and_go_on_without_the_store(store, tmp_path, monkeypatch, caplog):
    reach(monkeypatch.setenv, store)
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    address, folder = f"s3://{BUCKET}/searched", tmp_path / "index"
    build_index([{"id": "tide", "text": "The tide rises."}], folder, embed)
    push(folder, Place.at(address))
    first = Searcher.open(address, embed)
    assert [hit.id for hit in first.search("tide", mode="lexical")] == ["tide"]
    assert first.renewed() is None
    build_index([{"id": "moon", "text": "The moon and the tide."}], folder, embed, update=True)
    push(folder, Place.at(address))
    second = first.renewed()
    assert {hit.id for hit in second.search("tide", mode="lexical")} == {"tide", "moon"}
    assert (first.version, second.version) == (1, 2)
    assert [hit.id for hit in first.search("tide", mode="lexical")] == ["tide"], "searches under way go on"
    monkeypatch.setattr(Place, "read", refusing)
    with pytest.raises(IsoglotError, match="gone"):
        second.renewed()
    again = Searcher.open(address, embed)
    assert {hit.id for hit in again.search("tide", mode="lexical")} == {"tide", "moon"}
    assert "using snapshot 2, which was pulled before" in caplog.text
    for searcher in (first, second, again):
        searcher.close()


def refusing(place, key):
    raise IsoglotError("gone")
