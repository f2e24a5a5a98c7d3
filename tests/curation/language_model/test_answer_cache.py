import sqlite3

import pytest

from isoglot.core.errors import InputError, IsoglotError
from isoglot.curation.language_model.answer_cache import AnswerStore, key_of


def test_answers_are_there_for_the_next_run(tmp_path):
    path = tmp_path / "answers.sqlite"
    first = AnswerStore(path)
    first.put([(key_of("a"), "eins"), (key_of("b"), "zwei")])
    assert AnswerStore(path).get(key_of("b")) == "zwei"
    assert first.get(key_of("c")) is None


def test_machines_can_share_the_file(tmp_path):
    """A log beside the file, as of WAL mode, would need memory that they share."""
    one, other = AnswerStore(tmp_path / "answers.sqlite"), AnswerStore(tmp_path / "answers.sqlite")
    for store, name in ((one, "a"), (other, "b"), (one, "c")):
        store.put([(key_of(name), name)])
        assert one.get(key_of(name)) == other.get(key_of(name)) == name
        assert [path.name for path in tmp_path.iterdir()] == ["answers.sqlite"]


def test_a_file_that_fails_later_is_told_in_words(tmp_path):
    """As a full disk does; here somebody else took the table away."""
    path = tmp_path / "answers.sqlite"
    store = AnswerStore(path)
    with sqlite3.connect(path) as other:
        other.execute("DROP TABLE answers")
    for use in (lambda: store.put([(key_of("a"), "eins")]), lambda: store.get(key_of("a"))):
        with pytest.raises(IsoglotError, match=r"answers.sqlite: the cache of answers cannot be used .*`cache`"):
            use()


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database, " * 100, encoding="utf-8")
    with pytest.raises(InputError, match="not a cache of answers"):
        AnswerStore(path)


def test_a_cache_that_cannot_be_opened_is_not_called_broken(tmp_path, monkeypatch):
    path = tmp_path / "answers.sqlite"
    AnswerStore(path).close()
    before = path.read_bytes()

    class Refusing:
        def execute(self, _):
            raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *_, **__: Refusing())
        with pytest.raises(InputError, match=r"cannot be opened \(database is locked\); what it holds is kept") as told:
            AnswerStore(path)
    assert "delete" not in str(told.value)
    assert path.read_bytes() == before
