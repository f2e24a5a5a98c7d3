import os
from pathlib import Path

import pytest

from isoglot.core.errors import InputError
from isoglot.documents import find_sources
from isoglot.documents.roots import Root, extend_roots, move_root, name_of


def made(home, *names):
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"Text {name}", encoding="utf-8")


def named(inputs, roots=None):
    return {source.path: source.name for source in find_sources(inputs, roots=roots)}


def test_the_only_folder_gives_short_names(tmp_path):
    made(tmp_path, "docs/a.txt", "docs/sub/b.txt")
    assert list(named([tmp_path / "docs"]).values()) == ["a.txt", "sub/b.txt"]
    assert list(named([tmp_path / "docs" / "a.txt"]).values()) == ["a.txt"]


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["de", "fr"], ["de/index.txt", "fr/index.txt"]),
        (["de", "fr/index.txt"], ["de/index.txt", "index.txt"]),
        (["de/index.txt", "fr/index.txt"], ["de/index.txt", "fr/index.txt"]),
        (["x/docs", "y/docs"], ["x/docs/a.txt", "y/docs/a.txt"]),
        (["de", "de/index.txt"], ["index.txt"]),
        (["de", "x/../de"], ["index.txt"]),
        (["x", "x/docs"], ["docs/a.txt"]),
    ],
)
def test_several_inputs_never_share_a_name(tmp_path, inputs, names):
    made(tmp_path, "de/index.txt", "fr/index.txt", "x/docs/a.txt", "y/docs/a.txt")
    for order in (inputs, inputs[::-1]):
        assert sorted(named([tmp_path / name for name in order]).values()) == names


def test_names_stay_whatever_is_given_later(tmp_path):
    made(tmp_path, "docs/de/a.txt", "docs/b.txt", "fr/a.txt", "de/a.txt")
    docs, inner = tmp_path / "docs", tmp_path / "docs" / "de"
    roots = extend_roots([docs], ())
    for later in ([docs], [inner], [inner / "a.txt"], [tmp_path], [tmp_path / "fr"], [tmp_path / "de"]):
        held = ["de/a.txt", "b.txt"]
        roots = extend_roots(later, roots, held)
        assert name_of(inner / "a.txt", roots) == "de/a.txt"
        assert name_of(docs / "b.txt", roots) == "b.txt"
    names = [name_of(tmp_path / name, roots) for name in ("docs/de/a.txt", "docs/b.txt", "fr/a.txt", "de/a.txt")]
    assert len(set(names)) == 4


def test_a_folder_made_later_does_not_take_another_ones_names(tmp_path):
    made(tmp_path, "docs/b.txt", "fr/a.txt")
    roots = extend_roots([tmp_path / "fr"], extend_roots([tmp_path / "docs"], ()))
    assert [root.name for root in roots] == ["", "fr"]
    made(tmp_path, "docs/fr/a.txt")
    assert name_of(tmp_path / "docs/fr/a.txt", roots) == "./fr/a.txt"
    assert name_of(tmp_path / "fr/a.txt", roots) == "fr/a.txt"


def test_taken_names_are_made_longer(tmp_path):
    made(tmp_path, "docs/x.txt", "more/fr/a.txt")
    known = extend_roots([tmp_path / "docs"], ())
    assert extend_roots([tmp_path / "more" / "fr"], known, ["fr/a.txt"])[-1].name == "more/fr"
    assert extend_roots([tmp_path / "more" / "fr"], known, ["other"])[-1].name == "fr"


def test_moved_folders_keep_their_names(tmp_path):
    made(tmp_path, "old/a.txt", "new/a.txt")
    roots = [Root(str(tmp_path / "old"), "docs"), Root("/else", "else")]
    moved = move_root(roots, tmp_path / "old", tmp_path / "new")
    assert moved == [Root(str(tmp_path / "new"), "docs"), Root("/else", "else")]
    assert named([tmp_path / "new"], moved) == {tmp_path / "new" / "a.txt": "docs/a.txt"}
    with pytest.raises(InputError, match=r"nothing in this index came from there; its inputs were: .*old, /else"):
        move_root(roots, tmp_path / "none", tmp_path / "new")


def test_names_that_are_no_text(tmp_path):
    for name in (b"M\xfcnchen.txt", b"M\\xfcnchen.txt"):
        with open(bytes(tmp_path) + b"/" + name, "w") as file:
            file.write("Die Stadt liegt an der Isar.")
    assert sorted(named([tmp_path]).values()) == [r"M\xfcnchen.txt", r"M\xfcnchen.txt~2"]
    assert all(name.encode() for name in named([Path(tmp_path)]).values())


def test_folders_are_resolved_once_not_each_file(tmp_path, monkeypatch):
    """A sync looks at every file in every round: reading all folders above each one took most of its time."""
    for number in range(60):
        (tmp_path / f"docs/{number % 3}").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"docs/{number % 3}/{number}.txt").write_text("x")
    (tmp_path / "docs/0/again.txt").symlink_to(tmp_path / "docs/1/1.txt")
    (tmp_path / "link").symlink_to(tmp_path / "docs")
    asked = []
    realpath = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda *args, **how: asked.append(args) or realpath(*args, **how))
    names = named([tmp_path / "link"], [Root(str(tmp_path / "docs"), "")])
    assert sorted(names.values()) == sorted(f"{number % 3}/{number}.txt" for number in range(60))
    assert len(asked) < 20
