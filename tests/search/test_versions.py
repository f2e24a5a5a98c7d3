import json
import shutil

import numpy as np
import pytest

from isoglot import load
from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.search.index import versions
from isoglot.search.index.building import build_index
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.lance_tables import connect
from isoglot.search.index.manifest import BUILDING, read_manifest
from isoglot.search.index.store import one_writer
from isoglot.search.index.tags import keep_only
from isoglot.search.index.versions import prune, roll_back
from support.encoders import wide_encoder
from support.rows import write_jsonl as write


@pytest.fixture(scope="module")
def model():
    return load(str(wide_encoder()), device="cpu")


@pytest.fixture(scope="module")
def four_versions(tmp_path_factory, model):
    """Version n replaces the 200 documents by ones that say `version n`, and adds one copy of document 0."""
    home = tmp_path_factory.mktemp("versions")
    (home / "i").mkdir()
    for n in range(1, 5):
        documents = [{"id": f"d{m}", "text": f"Dokument {m} version{n}", "lang": "de"} for m in range(200)]
        documents.append({**documents[0], "id": f"copy{n}"})
        build_index(
            [write(home / f"{n}.jsonl", documents)],
            home / "i",
            model,
            name=str(wide_encoder()),
            update=n > 1,
            by_id=True,
        )
    return home / "i"


@pytest.fixture
def folder(four_versions, tmp_path):
    return shutil.copytree(four_versions, tmp_path / "i")


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def said(index):
    """What each way of reading finds: texts and scores by vector, by word, the sample, and the table itself."""
    vector = np.linspace(-1, 1, index.dimension, dtype=np.float32)
    near = [(found.passage.text, found.score) for found in index.nearest(vector, 5, exact=True)]
    words = sorted(found.passage.text for found in index.matching("Dokument 7", 300))
    return near, words, index.sample("de").tolist(), index.languages()


def folded_documents(folder):
    table = connect(folder).open_table("folded")
    table.checkout(read_manifest(folder).version.folded_at)
    return sorted(table.to_arrow()["document"].to_pylist())


def test_pruning_frees_disk_and_keeps_what_is_kept(folder):
    before, expected = size(folder), {}
    for number in (3, 4):
        roll_back(folder, number)
        expected[number] = said(LanceIndex(folder)), folded_documents(folder)
    assert expected[3][0] != expected[4][0]
    assert [expected[number][1] for number in (3, 4)] == [["copy3"], ["copy4"]]
    reader = LanceIndex(folder)  # of version 4, opened before and not yet used
    pruned = prune(folder, 2)
    assert (pruned.removed, pruned.manifest.current) == ([1, 2], 4)
    assert pruned.freed == before - size(folder)
    # Four versions of one size, of which two stay; what they share is little.
    assert size(folder) < 0.65 * before
    assert said(reader) == expected[4][0]
    for number in (3, 4):
        roll_back(folder, number)
        assert (said(LanceIndex(folder)), folded_documents(folder)) == expected[number]
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["3.npz", "4.npz"]
    with pytest.raises(InputError, match="roll_back 2: this version was pruned; there are: 3, 4"):
        roll_back(folder, 2)
    with pytest.raises(InputError, match="roll_back 9: no such version; there are: 3, 4"):
        roll_back(folder, 9)
    once = size(folder)
    assert prune(folder, 2).removed == []
    assert size(folder) < 1.05 * once


def test_the_current_version_stays_and_updates_go_on(folder, model):
    expected = said(LanceIndex(folder))
    roll_back(folder, 2)
    rolled = said(LanceIndex(folder))
    pruned = prune(folder, 1)
    assert (pruned.removed, pruned.manifest.current) == ([1, 3], 2)
    assert said(LanceIndex(folder)) == rolled
    roll_back(folder, 4)
    assert said(LanceIndex(folder)) == expected
    assert prune(folder, 1).removed == [2]
    assert [version.number for version in read_manifest(folder).versions] == [4]
    # What version 4 holds already is no change; the next number is not one of those that were removed.
    source = folder.parent / "new.jsonl"
    unchanged = write(source, [{"id": "d7", "text": "Dokument 7 version4", "lang": "de"}])
    same = build_index([unchanged], folder, model, name="m", update=True, by_id=True)
    assert not same.changed
    more = build_index(
        [write(source, [{"id": "new", "text": "Hinzu", "lang": "en"}])], folder, model, name="m", update=True
    )
    assert more.version.number == 5
    assert more.version.languages == {"de": 203, "en": 1}


def test_readers_of_a_pruned_version_are_told(folder):
    roll_back(folder, 1)
    reader = LanceIndex(folder)
    roll_back(folder, 4)
    prune(folder, 1)
    with pytest.raises(InputError, match="version 1, which is open here, was pruned; open the index again"):
        said(reader)


def test_a_reader_that_comes_between_manifest_and_table_looks_again(folder, monkeypatch):
    stale = read_manifest(folder)
    prune(folder, 1)
    read = [stale]
    monkeypatch.setattr(
        "isoglot.search.index.lance.read_manifest", lambda path: read.pop() if read else read_manifest(path)
    )
    assert LanceIndex(folder).manifest.version.number == 4
    assert not read


@pytest.mark.parametrize("stage", ["before tags", "between manifest and tags", "after tags", "before files go"])
def test_a_prune_that_stops_anywhere_leaves_the_index_readable(folder, model, monkeypatch, stage):
    lance = pytest.importorskip("lance")
    expected, before = said(LanceIndex(folder)), size(folder)

    def stop(*_, **__):
        if stage == "after tags":
            keep_only(*_)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if stage == "before files go":
            patch.setattr(lance.LanceDataset, "cleanup_old_versions", stop)
        else:
            patch.setattr(versions, "tag" if stage == "before tags" else "keep_only", stop)
        with pytest.raises(KeyboardInterrupt):
            prune(folder, 1)
    assert said(LanceIndex(folder)) == expected
    source = write(folder.parent / "new.jsonl", [{"id": "new", "text": "Hinzu", "lang": "en"}])
    assert build_index([source], folder, model, name="m", update=True).version.languages == {"de": 203, "en": 1}
    prune(folder, 1)
    assert size(folder) < 0.5 * before
    assert len(LanceIndex(folder).matching("Hinzu", 3)) == 1


def test_a_full_disk_while_pruning_is_one_clear_message(folder, monkeypatch):
    expected = said(LanceIndex(folder))

    def full(*_, **__):
        raise RuntimeError("lance error: LanceError(IO): No space left on device (os error 28)")

    monkeypatch.setattr(pytest.importorskip("lance").LanceDataset, "cleanup_old_versions", full)
    with pytest.raises(IsoglotError, match="the disk is full"):
        prune(folder, 1)
    assert said(LanceIndex(folder)) == expected


def test_what_another_writer_has_not_committed_survives_a_prune(folder):
    lance = pytest.importorskip("lance")
    place = str(folder / "lance" / "passages.lance")
    before = lance.dataset(place)
    rows = before.to_table(limit=3)
    fragments = lance.fragment.write_fragments(rows, place, schema=before.schema)
    assert prune(folder, 1).removed == [1, 2, 3]
    after = lance.LanceDataset.commit(place, lance.LanceOperation.Append(fragments), read_version=before.version)
    assert after.count_rows() == before.count_rows() + 3
    assert after.to_table().num_rows == before.count_rows() + 3  # a scan, which opens every file
    # And what readers see is the published version still, not the rows that nobody published.
    assert LanceIndex(folder).document("d7")[0].text == "Dokument 7 version4"


def test_published_versions_survive_a_cleaning_that_is_not_ours(folder):
    lance = pytest.importorskip("lance")
    expected = {}
    for number in (1, 2, 3, 4):
        roll_back(folder, number)
        expected[number] = said(LanceIndex(folder))
    for table in ("passages", "folded"):
        dataset = lance.dataset(str(folder / "lance" / f"{table}.lance"))
        dataset.cleanup_old_versions(retain_versions=1, error_if_tagged_old_versions=False)
    for number in (1, 2, 3, 4):
        roll_back(folder, number)
        assert said(LanceIndex(folder)) == expected[number]


def test_an_index_published_without_tags_is_pruned_by_number_too(folder):
    for name in ("passages", "folded"):
        tags = connect(folder).open_table(name).tags
        for tag in list(tags.list()):
            tags.delete(tag)
    roll_back(folder, 3)
    expected = said(LanceIndex(folder))
    assert prune(folder, 2).removed == [1, 2]
    assert said(LanceIndex(folder)) == expected
    assert sorted(connect(folder).open_table("passages").tags.list()) == ["isoglot-3", "isoglot-4"]


def test_an_unfinished_update_is_finished_or_given_up_before_pruning(folder, model, monkeypatch):
    expected, before = said(LanceIndex(folder)), size(folder)
    rows = [{"id": f"new{n}", "text": f"Hinzu {n}", "lang": "en"} for n in range(3)]
    source = write(folder.parent / "new.jsonl", rows)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.building.publish", stop)
        with pytest.raises(KeyboardInterrupt):
            build_index([source], folder, model, name="m", update=True)
    with pytest.raises(InputError, match=r"new.jsonl\) was not finished.*`resume`.*--roll-back 4"):
        prune(folder, 1)
    assert size(folder) > before
    roll_back(folder, 4)
    assert prune(folder, 1).removed == [1, 2, 3]
    assert size(folder) < 0.5 * before
    assert said(LanceIndex(folder)) == expected
    assert connect(folder).open_table("passages").count_rows() == 203  # version 4 again, without the rows given up
    assert build_index([source], folder, model, name="m", update=True).added == 3


def test_prunes_that_cannot_be(folder, tmp_path):
    with pytest.raises(InputError, match="prune 0: expected at least 1"):
        prune(folder, 0)
    with pytest.raises(InputError, match="no index there"):
        prune(tmp_path / "none", 1)
    for change in (prune, roll_back):
        with one_writer(folder), pytest.raises(InputError, match="another process is writing this index"):
            change(folder, 1)
    assert len(read_manifest(folder).versions) == 4


def test_the_command_prunes_alone_and_after_an_update(folder, capsys):
    (folder / BUILDING).write_text("{}", encoding="utf-8")
    assert run(["index", "-o", str(folder), "--prune", "3"]) == 2
    assert "was not finished" in capsys.readouterr().err
    assert run(["index", "-o", str(folder), "--roll-back", "4"]) == 0
    capsys.readouterr()
    assert run(["index", "-o", str(folder), "--prune", "3"]) == 0
    out = capsys.readouterr().out
    assert "*   4" in out
    assert "versions removed: 1; " in out
    assert not (folder / BUILDING).exists()
    source = write(folder.parent / "new.jsonl", [{"id": "new", "text": "Hinzu", "lang": "en"}])
    assert run(["index", str(source), "-o", str(folder), "--update", "--prune", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["removed"]) == (5, [2, 3])
    assert told["freed_bytes"] > 0
    assert run(["index", "-o", str(folder), "--prune", "9", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["removed"], [version["number"] for version in told["versions"]]) == ([], [4, 5])
    for flags, words in (
        (["--prune", "0"], "--prune 0: expected at least 1"),
        (["--prune", "1", "--roll-back", "4"], "take no inputs or other flags"),
        (["--prune", "1", "--versions"], "take no inputs or other flags"),
    ):
        assert run(["index", "-o", str(folder), *flags]) == 2
        assert words in capsys.readouterr().err
