"""Row files given to a training are prepared once, whoever asks again."""

from dataclasses import replace

import pytest

import isoglot.training.rows
from isoglot.core.errors import InputError
from isoglot.training.losses.weighted import GroupMaskedInfoNCE
from isoglot.training.rows import run_rows
from isoglot.training.run import train
from isoglot.training.settings import TrainSettings
from support.encoders import tiny_encoder
from support.ranks import run_ranks
from support.rows import parallel_rows, tiny_rows, write_jsonl

FAST = TrainSettings(batch_size=4, max_steps=4, save_steps=1, warmup_steps=1, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("rows-once")
    tiny_encoder(home, length=96)
    tiny_rows(home / "rows.jsonl")
    return home


def count_preparing(note):
    real = isoglot.training.rows.prepare

    def counted(*args, **kwargs):
        note()
        return real(*args, **kwargs)

    return counted


def test_a_resumed_run_prepares_nothing_again(place, tmp_path, monkeypatch):
    calls, steps = [], []
    monkeypatch.setattr(isoglot.training.rows, "prepare", count_preparing(lambda: calls.append(1)))
    plain = GroupMaskedInfoNCE.measure

    def stopping(self, *args, **kwargs):
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(GroupMaskedInfoNCE, "measure", stopping)
    rows = tiny_rows(tmp_path / "rows.jsonl")
    with pytest.raises(KeyboardInterrupt):
        train(str(place / "model"), [rows], tmp_path / "out", FAST)
    prepared = tmp_path / "out" / "checkpoints" / "rows"
    tokens = {path: path.stat().st_mtime_ns for path in (prepared / "tokens").iterdir()}
    assert tokens
    # A process that was killed while it prepared leaves a folder of its own.
    (tmp_path / "out" / "checkpoints" / ".rows.abc.tmp").mkdir()
    rows_then = rows.read_text()
    write_jsonl(rows, parallel_rows(30))
    with pytest.raises(InputError, match=r"made with other settings: rows \(checksum \w{8} then, checksum \w{8} now\)"):
        train(str(place / "model"), [rows], tmp_path / "out", FAST, resume=True)
    assert len(calls) == 2
    rows.write_text(rows_then)
    train(str(place / "model"), [rows], tmp_path / "out", FAST, resume=True)
    assert len(steps) == 3 + 2
    assert not (tmp_path / "out" / "checkpoints").exists()
    train(str(place / "model"), [rows], tmp_path / "out", FAST, resume=True)
    assert len(steps) == 3 + 2
    assert not (tmp_path / "out" / "checkpoints").exists()


@pytest.mark.parametrize("lost", ["lang_offsets.npy", "rows.arrow", "meta.json", "made_from.json"])
def test_what_a_kill_or_a_crash_took_from_prepared_rows_is_prepared_again(place, tmp_path, lost):
    first, home = run_rows(place / "rows.jsonl", tmp_path / "rows"), tmp_path / "rows"
    content = (home / lost).read_bytes()
    (home / lost).unlink()
    assert run_rows(place / "rows.jsonl", home).checksum == first.checksum
    (home / lost).write_bytes(content[: len(content) // 2])
    assert run_rows(place / "rows.jsonl", home).checksum == first.checksum
    assert (home / lost).read_bytes() == content


def test_the_same_files_and_languages_are_opened(place, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(isoglot.training.rows, "prepare", count_preparing(lambda: calls.append(1)))
    first = run_rows(place / "rows.jsonl", tmp_path / "rows", ["de", "en"])
    again = run_rows([str(place / "rows.jsonl")], tmp_path / "rows", ("de", "en"))
    assert (first.checksum, first.table.languages, len(calls)) == (again.checksum, ("de", "en"), 1)
    assert run_rows(place / "rows.jsonl", tmp_path / "rows").table.languages == ("de", "en", "hi", "zh")
    assert len(calls) == 2


def test_a_run_that_is_refused_leaves_nothing(place, tmp_path):
    for settings, message in ((replace(FAST, batch_size=99), "`batch_size` 24"), (FAST, "no such model")):
        model = "./no-such" if message == "no such model" else str(place / "model")
        with pytest.raises(InputError, match=message):
            train(model, place / "rows.jsonl", tmp_path / "out", settings)
        assert not (tmp_path / "out").exists()


def work(home, rank):
    isoglot.training.rows.prepare = count_preparing((home / f"prepared-by-{rank}").touch)
    train(str(home / "model"), home / "rows.jsonl", home / "out", replace(FAST, max_steps=1))


def test_of_several_processes_the_first_prepares(place):
    run_ranks(work, 2, lambda rank, _: (place, rank))
    assert [path.name for path in place.glob("prepared-by-*")] == ["prepared-by-0"]
    assert (place / "out" / "model.safetensors").is_file()


def test_rows_that_cannot_be_prepared_leave_nothing_in_the_way(tmp_path, tiny_model, rows_file, lock, monkeypatch):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(rows_file.read_bytes())
    (tmp_path / "model").mkdir()
    lock(path)
    with pytest.raises(InputError, match=f"^{path}: cannot be read \\(Permission denied\\)$"):
        train(str(tiny_model), [path], tmp_path / "model", FAST)
    assert list((tmp_path / "model").iterdir()) == []

    def interrupt(*args, **kwargs):
        (tmp_path / "model" / "checkpoints").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(isoglot.training.rows, "prepare", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(str(tiny_model), [rows_file], tmp_path / "model", FAST)
    assert list((tmp_path / "model").iterdir()) == []


def test_messages_name_rows_as_they_were_given(tmp_path, tiny_model, monkeypatch):
    write_jsonl(tmp_path / "broken.jsonl", [{"group": "a"}])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"\nbroken\.jsonl:1: "):
        train(str(tiny_model), "broken.jsonl", "model", FAST)
