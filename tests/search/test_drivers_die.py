"""A build for an object store that is killed before or after each of its steps: the same again publishes it, once."""

import json
import os
import signal
import sys
from dataclasses import asdict

import pytest

pytest.importorskip("moto")

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.on_ray import OnRay
from isoglot.search import build_index
from isoglot.search.index import shards
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.manifest import read_manifest
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.pulling import pull
from isoglot.search.replicas.snapshot import current, pushed
from isoglot.search.replicas.working_copy import working_copy
from support.dying import CountingWords
from support.encoders import wide_encoder
from support.object_store import BUCKET, reach
from support.rows import write_jsonl as write
from support.warm import exit_code_of

SIZE = 16
SHARDS = 6
ANN_FROM = 50
STEPS = {
    "a shard's entry": "ledger.Ledger, 'put', call=4",
    "the plan": "ledger.Ledger, 'write_plan'",
    "the commit": "store.Store, 'add'",
    "folded documents": "store.Store, 'fold'",
    "the index of words": "publishing, 'index_columns'",
    "the approximate index": "approximate, 'build'",
    "a segment of it": "segments, 'write_json', when=lambda path, record: path.name == 'segment.json'",
    "its commit": "segments, 'commit'",
    "the tables' last state": "publishing, 'settle', call=2",
    "the manifest": "manifest.Manifest, 'write'",
    "a file that is sent": "place.Place, 'upload', call=3",
    "the last sign of life": "lease.Lease, 'renew'",
    "the snapshot's record": "place.Place, 'exchange', when=lambda place, key, *_: key == snapshot.RECORD",
}
# In every run of the tests; the others are of `make test-scale`.
OFTEN = {("the commit", True), ("the manifest", True), ("a file that is sent", False)}
KILLS = [
    pytest.param(step, after, marks=() if (step, after) in OFTEN else pytest.mark.scale)
    for step in STEPS
    for after in (False, True)
]
# Where workers of Ray's are at work or have just been; what comes later is one code for all executors.
ON_RAY = [(step, after) for step in ("a shard's entry", "the plan", "the commit") for after in (False, True)]


@pytest.fixture
def documents(tmp_path, monkeypatch, endpoint):
    monkeypatch.setattr(shards, "CHUNK", SIZE)
    # A lease whose holder is dead is waited for without a wait.
    monkeypatch.setattr("isoglot.search.replicas.lease.time.sleep", lambda seconds: None)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    reach(monkeypatch.setenv, endpoint)
    made = [{"id": f"d{n}", "text": f"Dokument {n} " + "Wort " * (n % 12), "lang": "de"} for n in range(SHARDS * SIZE)]
    made += [{"id": f"copy{n}", "text": made[n * 7]["text"].strip(), "lang": "de"} for n in range(9)]
    return write(tmp_path / "d.jsonl", made)


def dies(program):
    """Run a program in another process, which kills itself on the way."""
    imports = """
from pathlib import Path
from isoglot.cli import run
from isoglot.core.on_ray import OnRay
from isoglot.search.index import approximate, building, ledger, manifest, publishing, segments, shards, store
from isoglot.search.replicas import lease, place, snapshot, working_copy
from support.dying import CountingWords, dies_around
"""
    assert exit_code_of(f"{imports}\nshards.CHUNK = {SIZE}\n{program}") == -signal.SIGKILL


def build_that_dies(documents, address, home, around, executor="None"):
    dies(f"""
dies_around({around})
with working_copy.working_copy(place.Place.at({address!r}), Path({str(home)!r}), new=True) as copy:
    building.build_index(
        [Path({str(documents)!r})], copy.folder, CountingWords({str(home) + ".book"!r}), name="m",
        ann_from={ANN_FROM}, executor={executor},
    )
    copy.publish()
""")


def everything(folder):
    """Passages, vectors and the manifest, but for the clock, and for the approximate index, whose training is chance.

    So is whether Lance joins some of its partitions, by one more commit, when it brings the index up to date.
    """
    told = asdict(read_manifest(folder))
    for version in told["versions"]:
        assert version.pop("ann"), "it was built"
        del version["created"], version["passages_at"]
    return [(passages, vectors.tolist()) for passages, vectors in LanceIndex(folder).batches()], told


def assert_published_once(address, documents, home):
    """One snapshot of one version, with what a build that nobody killed has, and no object beside it."""
    place = Place.at(address)
    snapshot = pushed(place)
    assert (snapshot.number, snapshot.version) == (1, 1)
    assert dict(place.keys("objects")) == {kept.key: kept.size for kept in snapshot.files.values()}
    build_index([documents], home / "whole", CountingWords(home / "whole.book"), name="m", ann_from=ANN_FROM)
    assert everything(pull(place, home / "pulled").folder) == everything(home / "whole")


def gone_on(documents, address, home, executor=None):
    """Do what the same command with `--resume` does; gives the encoder, which counted."""
    words = CountingWords(f"{home}.second")
    words([], "passage")
    with working_copy(Place.at(address), home, new=True) as copy:
        if not copy.built:
            build_index([documents], copy.folder, words, name="m", ann_from=ANN_FROM, executor=executor, resume=True)
        assert copy.publish().new
    return words


def unfinished(step, after):
    """How many shards there are to encode yet after a kill."""
    return SHARDS - {"a shard's entry": 4 if after else 3}.get(step, SHARDS)


@pytest.mark.parametrize(("step", "after"), KILLS)
def test_a_driver_is_killed(tmp_path, documents, step, after):
    address = f"s3://{BUCKET}/{step.replace(' ', '-')}-{after}"
    build_that_dies(documents, address, tmp_path / "work", f"{STEPS[step]}, after={after}")
    before = current(Place.at(address))
    if (step, after) == ("the snapshot's record", True):
        assert_finished(documents, address, tmp_path)
        return
    assert before is None or before[0].number == 0, "readers see nothing yet"
    words = gone_on(documents, address, tmp_path / "work")
    assert words.shards(SIZE) == unfinished(step, after), "nothing that was finished is encoded again"
    assert_published_once(address, documents, tmp_path)


@pytest.mark.scale
@pytest.mark.parametrize(("step", "after"), ON_RAY)
def test_a_driver_of_rays_workers_is_killed(tmp_path, documents, step, after):
    pytest.importorskip("ray")
    address = f"s3://{BUCKET}/ray-{step.replace(' ', '-')}-{after}"
    around = f"{STEPS[step]}, after={after}"
    build_that_dies(documents, address, tmp_path / "work", around, "OnRay(workers=2)")
    words = gone_on(documents, address, tmp_path / "work", OnRay(workers=2))
    assert words.shards(SIZE) == unfinished(step, after)
    assert_published_once(address, documents, tmp_path)


@pytest.mark.scale
@pytest.mark.parametrize("after", [False, True])
def test_a_driver_is_killed_when_its_index_is_there(tmp_path, documents, after):
    """While it gives its lease back, which ends by itself: its work is done, and who runs it again is told so."""
    address = f"s3://{BUCKET}/lease-{after}"
    around = "place.Place, 'exchange', when=lambda place, key, content, tag: b'\"holder\": \"\"' in content"
    build_that_dies(documents, address, tmp_path / "work", f"{around} and key == lease.KEY, after={after}")
    assert_finished(documents, address, tmp_path)


def assert_finished(documents, address, home):
    with (
        pytest.raises(InputError, match="this index is finished"),
        working_copy(Place.at(address), home / "work", new=True),
    ):
        pass
    assert_published_once(address, documents, home)


@pytest.mark.scale
def test_the_command_is_killed_and_given_again(tmp_path, documents, capsys):
    """Without `--resume` it says what is there; with it, it encodes what was not finished."""
    address, local = f"s3://{BUCKET}/command", str(tmp_path / "work")
    command = ["index", str(documents), "-o", address, "--local", local, "--model", str(wide_encoder())]
    around = STEPS["a shard's entry"]
    dies(f"dies_around({around}, after=True)\nrun({command})")
    assert run(command) == 2
    assert "an index that was not finished; give --resume to go on" in capsys.readouterr().err
    assert run([*command, "--resume", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["shards"], told["shards_kept"], told["added"]) == (SHARDS, 4, SHARDS * SIZE + 9)
    assert run(["index", str(documents), "-o", str(tmp_path / "whole"), *command[6:]]) == 0
    pulled = pull(Place.at(address), tmp_path / "pulled").folder
    theirs, ours = LanceIndex(pulled), LanceIndex(tmp_path / "whole")
    assert [(p, v.tolist()) for p, v in theirs.batches()] == [(p, v.tolist()) for p, v in ours.batches()]
