"""An index is brought to what folders hold: nothing else is read or encoded, and nothing goes by mistake."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoglot.core.errors import InputError, IsoglotError
from isoglot.search.index import beginning, building, syncing
from isoglot.search.index.building import Built, build_index
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.lance_tables import connect
from isoglot.search.index.manifest import BUILDING
from isoglot.search.index.syncing import Sync, nothing_new
from isoglot.search.index.versions import prune, roll_back
from support.rows import write_jsonl


class Counted:
    """An embedder that remembers the passages that it read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, texts: list[str], role: str) -> list[list[float]]:
        self.read += texts if role == "passage" else []
        return [[text.count("e"), text.count("a"), len(text) % 7, 1] for text in texts]

    def taken(self) -> list[str]:
        """Passages since the last call; not the fixed texts by which encoders are told apart."""
        found, self.read = self.read, []
        return sorted(text for text in found if "#" in text)


class Home:
    """A folder of documents and its index."""

    def __init__(self, home: Path) -> None:
        self.docs, self.index, self.embed = home / "docs", home / "index", Counted()
        self.docs.mkdir(parents=True)

    def write(self, name: str, text: str) -> None:
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def sync(self, *inputs: Path, **how: object) -> Built:
        return build_index(inputs or [self.docs], self.index, self.embed, sync=True, **how)  # type: ignore[arg-type]

    def held(self) -> dict[str, tuple[str, str]]:
        """Text and source of all documents, folded ones too, as readers find them."""
        return held(self.index)


def held(folder: Path) -> dict[str, tuple[str, str]]:
    index = LanceIndex(folder)
    rows = index._table.to_arrow().select(["document", "text", "source"]).to_pylist()
    found = {row["document"]: (row["text"], row["source"]) for row in rows}
    folded = connect(folder).open_table("folded")
    folded.checkout(index.manifest.version.folded_at)
    for row in folded.to_arrow().to_pylist():
        found[row["document"]] = (found[row["same_as"]][0], row["source"])
    return found


def counts(built: Built) -> tuple[int, int, int, int]:
    return built.added, built.replaced, built.deleted, built.unchanged


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    for name in ("a", "b", "sub/c"):
        home.write(f"{name}.md", f"#{name} text")
    write_jsonl(home.docs / "r.jsonl", [{"id": f"r{n}", "text": f"#record {n}"} for n in range(3)])
    return home


def test_only_what_changed_is_encoded(home: Home) -> None:
    assert counts(home.sync()) == (6, 0, 0, 0)
    assert len(home.embed.taken()) == 6
    again = home.sync()
    assert counts(again) == (0, 0, 0, 6)
    assert not again.changed
    home.write("b.md", "#b other")
    home.write("new.txt", "#new")
    (home.docs / "sub" / "c.md").unlink()
    write_jsonl(home.docs / "r.jsonl", [{"id": "r0", "text": "#record 0"}, {"id": "r2", "text": "#changed"}])
    built = home.sync()
    assert counts(built) == (1, 2, 2, 2)  # new; b, r2; c, r1; a, r0
    assert sorted(text.partition("#")[2] for text in home.embed.taken()) == ["b other", "changed", "new"]
    assert built.version.number == 2
    assert home.held() == {
        "a.md": ("#a text", "a.md"),
        "b.md": ("#b other", "b.md"),
        "new.txt": ("#new", "new.txt"),
        "r0": ("#record 0", "r.jsonl:1"),
        "r2": ("#changed", "r.jsonl:2"),
    }


def test_documents_are_those_of_a_plain_index(home: Home, tmp_path: Path) -> None:
    home.write("sub/README.txt", "#readme")
    build_index([home.docs], tmp_path / "plain", home.embed)
    home.sync()
    assert held(tmp_path / "plain") == home.held()
    # And an index that was made plainly goes on from there.
    home.embed.taken()
    (home.docs / "a.md").unlink()
    built = build_index([home.docs], tmp_path / "plain", home.embed, sync=True)
    assert counts(built) == (0, 0, 1, 6)
    assert home.embed.taken() == []


def test_files_whose_bytes_are_the_same_are_not_read(home: Home) -> None:
    for name in ("a.md", "b.md", "sub/c.md", "r.jsonl"):
        os.utime(home.docs / name, (1_000_000_000, 1_000_000_000))
    home.sync()
    # Size and times say the same: it is not looked at.
    assert nothing_new([home.docs], home.index)
    assert counts(home.sync()) == (0, 0, 0, 6)
    # A time says otherwise.
    os.utime(home.docs / "b.md", (1_000_000_002, 1_000_000_002))
    assert not nothing_new([home.docs], home.index)
    home.embed.taken()
    assert counts(home.sync()) == (0, 0, 0, 6)
    assert nothing_new([home.docs], home.index)
    (home.docs / "sub" / "c.md").unlink()
    assert not nothing_new([home.docs], home.index)


def test_other_content_of_the_same_size_and_modification_time_is_read(home: Home) -> None:
    def dated_alike() -> None:  # as archives and build systems do whose output is to be the same every time
        for name in ("a.md", "b.md"):
            os.utime(home.docs / name, (315_532_800, 315_532_800))

    dated_alike()
    home.sync()
    home.write("a.md", "#A TEXT")
    dated_alike()
    assert not nothing_new([home.docs], home.index)
    assert counts(home.sync()) == (0, 1, 0, 5)
    (home.docs / "a.md").rename(home.docs / "aside")
    (home.docs / "b.md").rename(home.docs / "a.md")
    (home.docs / "aside").rename(home.docs / "b.md")
    home.sync()
    assert (home.held()["a.md"][0], home.held()["b.md"][0]) == ("#b text", "#A TEXT")


def test_a_file_that_is_removed_before_it_is_looked_at_is_gone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.sync()
    home.write("b.md", "#b other")
    find_sources = syncing.find_sources

    def then_removed(*args: Any, **how: Any) -> Any:
        found = find_sources(*args, **how)
        (home.docs / "a.md").unlink()
        return found

    monkeypatch.setattr(syncing, "find_sources", then_removed)
    assert counts(home.sync()) == (0, 1, 1, 4)
    assert sorted(home.held()) == ["b.md", "r0", "r1", "r2", "sub/c.md"]


def test_a_file_that_was_another_one_while_it_was_read_is_read_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.md", "b.md"):
        os.utime(home.docs / name, (1_000_000_000, 1_000_000_000))
    plan_sync = beginning.plan_sync

    def then_changed(*args: Any, **how: Any) -> Sync:
        plan = plan_sync(*args, **how)
        home.write("a.md", "#a branch")
        (home.docs / "b.md").unlink()
        home.write("b.md", "#b text")
        return plan

    with monkeypatch.context() as patched:
        patched.setattr(beginning, "plan_sync", then_changed)
        home.sync()
    assert home.held()["a.md"][0] == "#a branch"
    home.write("a.md", "#a text")  # as it was when the sync began
    assert not nothing_new([home.docs], home.index)
    assert counts(home.sync()) == (0, 1, 0, 5)
    assert home.held()["a.md"][0] == "#a text"


def test_files_that_move(home: Home) -> None:
    home.sync()
    home.embed.taken()
    # Whose title is the same keeps its vectors; records keep their ids.
    (home.docs / "a.md").rename(home.docs / "sub" / "a.md")
    (home.docs / "r.jsonl").rename(home.docs / "s.jsonl")
    assert counts(home.sync()) == (1, 3, 1, 2)
    assert home.embed.taken() == ["#record 0", "#record 1", "#record 2"]
    assert "a.md" not in home.held()
    assert home.held()["sub/a.md"] == ("#a text", "sub/a.md")
    assert home.held()["r1"] == ("#record 1", "s.jsonl:2")
    # And are those of their new file from then on.
    home.write("b.md", "#b more")
    assert counts(home.sync()) == (0, 1, 0, 5)
    assert home.held()["r1"] == ("#record 1", "s.jsonl:2")


@pytest.mark.parametrize("how", ["missing", "empty", "most", "records"])
def test_an_index_is_not_emptied_by_mistake(home: Home, how: str) -> None:
    home.sync()
    before = home.held()
    if how in ("missing", "empty"):
        home.docs.rename(home.docs.with_name("away"))
    if how == "empty":
        home.docs.mkdir()
    if how == "most":
        (home.docs / "r.jsonl").unlink()
        (home.docs / "a.md").unlink()
    if how == "records":
        for name in ("a.md", "b.md"):
            (home.docs / name).unlink()
        write_jsonl(home.docs / "r.jsonl", [{"id": "r9", "text": "#only this"}])
    with pytest.raises(InputError) as caught:
        home.sync()
    words = {"missing": "no such file or folder", "empty": "no file to index", "most": "4 of the 6 documents"}
    assert words.get(how, "5 of the 6 documents") in str(caught.value)
    assert home.held() == before
    # Nothing is left half done.
    assert not (home.index / BUILDING).exists()
    assert prune(home.index, 1).removed == []
    if how == "missing":
        with pytest.raises(InputError, match="no such file or folder"):
            home.sync(most_deleted=1.0)
        return
    built = home.sync(most_deleted=1.0)
    assert built.deleted == {"empty": 6, "most": 4, "records": 5}[how]
    assert len(home.held()) == {"empty": 0, "most": 2, "records": 2}[how]


def test_other_inputs_and_documents_in_memory_stay(home: Home, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.md").write_text("#x")
    home.sync()
    home.sync(other)
    build_index([{"id": "m", "text": "#memory"}], home.index, home.embed, update=True)
    (home.docs / "a.md").unlink()
    assert home.sync().deleted == 1
    assert {"other/x.md", "m", "b.md"} <= home.held().keys()
    # A folder within the input is what it was there.
    (home.docs / "sub" / "d.md").write_text("#d")
    (home.docs / "b.md").unlink()
    assert counts(home.sync(home.docs / "sub")) == (1, 0, 0, 1)
    assert "b.md" in home.held()
    assert home.sync().deleted == 1
    assert "b.md" not in home.held()


def test_what_cannot_be_read_stays_and_is_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.sync()
    (home.docs / "r.jsonl").write_text('{"id": "r0", "text": "#record 0"}\n{"id": "r1", "te')
    listed = os.scandir

    def refused(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refused)
        built = home.sync()
    assert built.deleted == 0
    told = "\n".join(built.problems.shown)
    assert "sub: cannot be read (Permission denied)" in told
    assert "3 documents were kept because their files could not be read" in told
    assert home.held().keys() == {"a.md", "b.md", "sub/c.md", "r0", "r1", "r2"}
    # It is read again, whether its time changed or not, until it is whole.
    assert home.sync().problems.count
    write_jsonl(home.docs / "r.jsonl", [{"id": "r0", "text": "#record 0"}])
    built = home.sync()
    assert counts(built) == (0, 0, 2, 4)
    assert not built.problems.count


def test_a_file_that_can_be_read_again_is_something_new(
    home: Home, lock: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    home.sync()
    home.write("a.md", "#a new")
    for path in home.docs.rglob("*.*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    lock(home.docs / "a.md")
    assert "a.md: cannot be read" in "\n".join(home.sync().problems.shown)
    assert nothing_new([home.docs], home.index)  # nobody looks in vain
    monkeypatch.undo()
    assert not nothing_new([home.docs], home.index)
    assert counts(home.sync()) == (0, 1, 0, 5)
    assert nothing_new([home.docs], home.index)


def test_a_document_of_two_files_stays_while_one_of_them_has_it(home: Home) -> None:
    home.sync()
    write_jsonl(home.docs / "t.jsonl", [{"id": "r1", "text": "#record 1"}])
    home.sync()
    write_jsonl(home.docs / "r.jsonl", [{"id": "r0", "text": "#record 0"}, {"id": "r2", "text": "#record 2"}])
    home.sync()
    assert home.held()["r1"] == ("#record 1", "t.jsonl:1")
    (home.docs / "t.jsonl").unlink()
    assert home.sync().deleted == 1
    assert "r1" not in home.held()


def test_texts_that_change_places(home: Home) -> None:
    home.sync()
    home.write("a.md", "#b text")
    home.write("b.md", "#a text")
    home.sync()
    assert [home.held()[name][0] for name in ("a.md", "b.md")] == ["#b text", "#a text"]
    # A new one that says what a later one said before.
    home.write("aa.md", "#a text")
    home.write("b.md", "#b new")
    home.sync()
    assert [home.held()[name][0] for name in ("aa.md", "b.md")] == ["#a text", "#b new"]


def test_after_other_writers_all_is_looked_at_again(home: Home) -> None:
    home.sync()
    home.write("a.md", "#a new")
    home.sync()
    roll_back(home.index, 1)
    assert not nothing_new([home.docs], home.index)
    built = home.sync()
    assert counts(built) == (0, 1, 0, 5)
    assert home.held()["a.md"][0] == "#a new"
    build_index([], home.index, home.embed, update=True, delete=["b.md"])
    assert counts(home.sync()) == (1, 0, 0, 5)
    (home.index / "synced.json").write_text("{")
    assert counts(home.sync()) == (0, 0, 0, 6)


def test_one_that_was_killed_goes_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def killed() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(building, "publish", stop)
            with pytest.raises(KeyboardInterrupt):
                home.sync()

    killed()
    home.embed.taken()
    assert home.sync().version.number == 1
    assert home.embed.taken() == []  # it was encoded before
    home.write("a.md", "#a second")
    killed()
    # What is undone before it goes on is as if it had not been.
    home.write("a.md", "#a text")
    assert counts(home.sync()) == (0, 0, 0, 6)
    assert home.held()["a.md"][0] == "#a text"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"delete": ["a.md"]}, "decides what to replace and delete"),
        ({"by_id": True}, "decides what to replace and delete"),
        ({"most_deleted": 1.5}, "most_deleted 1.5: expected a share from 0 to 1"),
        ({"most_deleted": float("nan")}, "most_deleted nan"),
    ],
)
def test_bad_settings(home: Home, how: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        home.sync(**how)
    assert words in str(caught.value)


def test_bad_places(home: Home) -> None:
    with pytest.raises(InputError, match="name some"):
        build_index([{"text": "x"}], home.index, home.embed, sync=True)
    with pytest.raises(InputError, match="among its own documents"):
        build_index([home.docs], home.docs / "index", home.embed, sync=True)
    assert build_index([home.docs], home.docs / ".index", home.embed, sync=True).added == 6
    assert counts(build_index([home.docs], home.docs / ".index", home.embed, sync=True)) == (0, 0, 0, 6)


CONTENT = st.dictionaries(
    st.sampled_from(["a.md", "b.md", "c/a.md", "c/d.txt"]), st.sampled_from(["#one", "#two", "#three"]), min_size=1
)
RECORDS = st.lists(
    st.tuples(st.sampled_from(["x", "y", "z", "a.md"]), st.sampled_from(["#one", "#four", "#five"])),
    unique_by=lambda record: record[0],
    max_size=4,
)


@settings(max_examples=12)
@given(st.lists(st.tuples(CONTENT, RECORDS, st.sampled_from(["r.jsonl", "s.jsonl"])), min_size=2, max_size=4))
def test_whatever_happens_to_the_folder_the_index_is_one_made_anew(
    tmp_path_factory: pytest.TempPathFactory, states: list[tuple[dict[str, str], list[tuple[str, str]], str]]
) -> None:
    place = tmp_path_factory.mktemp("sync")
    home = Home(place)
    for number, (content, records, name) in enumerate(states):
        shutil.rmtree(home.docs)
        for file, text in content.items():
            home.write(file, text)
        # A record cannot have the id of a file, and a file without records is one that cannot be read.
        records = [record for record in records if record[0] not in content] or [("x", "#one")]
        home.write(name, "".join(json.dumps({"id": id, "text": text}) + "\n" for id, text in records))
        try:
            home.sync(most_deleted=1.0)
        except IsoglotError as error:
            pytest.fail(str(error))
        build_index([home.docs], place / f"fresh{number}", home.embed)
        # A record that only moved within its file stays as it was, with the line that it had.
        fresh, found = (
            {id: (text, source.partition(":")[0]) for id, (text, source) in documents.items()}
            for documents in (held(place / f"fresh{number}"), home.held())
        )
        assert found == fresh
