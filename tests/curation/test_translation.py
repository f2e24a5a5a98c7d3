import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import isoglot
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.curation.answers.store import AnswerStore
from isoglot.curation.translation.filling import Task, missing
from isoglot.curation.translation.seq2seq import Seq2Seq
from isoglot.data.prepared import prepare
from isoglot.data.rows import Row, read_rows
from support.chat import chat_server
from support.rows import write_jsonl

GERMAN = {
    "When does the gate open?": "Wann öffnet das Tor?",
    "The keeper opens the gate at dawn, when the barges arrive.": "Der Wärter öffnet das Tor bei Sonnenaufgang, wenn "
    "die Kähne ankommen.",
    "Who sleeps in the tower?": "Wer schläft im Turm?",
    "Nobody sleeps in the tower, since the bells ring every hour.": "Niemand schläft im Turm, da die Glocken jede "
    "Stunde läuten.",
}
TEXTS = list(GERMAN)


def rows_file(path):
    return write_jsonl(
        path,
        [
            {"group": "1", "lang": "en", "query": TEXTS[0], "passage": TEXTS[1], "dataset": "lock", "topic": "t",
             "context": "c", "negatives": ["n"]},
            {"group": "2", "lang": "en", "query": TEXTS[2], "passage": TEXTS[3], "dataset": "lock"},
            {"group": "2", "lang": "fr", "query": "Qui dort ?", "passage": "Personne ne dort.", "dataset": "lock"},
        ],
    )  # fmt: skip


def german(prompt, _):
    given = json.loads(prompt[prompt.index("{") : prompt.index("\n}") + 2])
    return "Sure!\n" + json.dumps({key: GERMAN[text] for key, text in given.items()}, ensure_ascii=False)


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    source = rows_file(tmp_path / "rows.jsonl")

    def do(*more, output="more.jsonl"):
        return run(["data", "translate", str(source), "--to", "de", "-o", str(tmp_path / output), *map(str, more)])

    return do


def test_rows_that_are_missing():
    rows = [Row("1", "fr", "q", "p", "d"), Row("1", "en", "q", "p", "d"), Row("2", "sw", "q", "p", "d"),
            Row("1", "de", "q", "p", "d", translated_by="m"), Row("9", "en", "s", "s", "b", kind="bitext")]  # fmt: skip
    assert missing(rows, ("de", "en"), "en") == [Task(rows[2], "de"), Task(rows[2], "en")]
    assert missing(rows, ("pl",), "en")[0] == Task(rows[1], "pl")
    assert missing(rows[3:], ("pl",), "en") == [Task(rows[3], "pl")]


def test_an_endpoint_translates_query_and_passage_together(command, tmp_path, capsys):
    with chat_server(german) as (url, server):
        assert command("--with", url, "--lm", "tiny") == 0
        assert command("--with", url, "--lm", "tiny", "--overwrite") == 0
    assert len(server.prompts) == 2
    assert all(TEXTS[0] in prompt or TEXTS[2] in prompt for prompt in server.prompts)
    made = [row for _, _, row in read_rows([tmp_path / "more.jsonl"])]
    assert made[0] == Row("1", "de", GERMAN[TEXTS[0]], GERMAN[TEXTS[1]], "lock", topic="t", translated_by="tiny")
    assert "2 rows in" in capsys.readouterr().out
    both = prepare([tmp_path / "rows.jsonl", tmp_path / "more.jsonl"], tmp_path / "both")
    assert both.column("translated_by") == [None, None, None, "tiny", "tiny"]


def test_what_fails_the_checks_is_rejected(command, tmp_path, capsys):
    def badly(prompt, number):
        return german(prompt, number) if TEXTS[0] in prompt else json.dumps({"query": TEXTS[2], "passage": TEXTS[3]})

    with chat_server(badly) as (url, _):
        assert command("--with", url) == 0
    (reject,) = map(json.loads, (tmp_path / "more.rejects.jsonl").read_text(encoding="utf-8").splitlines())
    assert (reject["group"], reject["from"], reject["lang"]) == ("2", "en", "de")
    assert reject["reason"] == "query: the source, copied"
    assert "rejected: 1 (query: the source, copied)" in capsys.readouterr().out


def test_a_spent_budget_says_what_is_left(command, tmp_path, capsys):
    with chat_server(german, usage=400) as (url, server):
        assert command("--with", url, "--budget-tokens", 600, "--concurrency", 1) == 1
        assert "1 of 2 rows were not asked for" in capsys.readouterr().err
        assert len(list(read_rows([tmp_path / "more.jsonl"]))) == 1
        assert command("--with", url, "--overwrite") == 0
    assert len(server.prompts) == 2  # the first was not paid again


def test_a_killed_run_pays_nothing_twice(tmp_path):
    """The first answer is on the disk when the second is asked for; then the process is killed."""
    source = rows_file(tmp_path / "rows.jsonl")
    environment = {**os.environ, "PYTHONPATH": str(Path(isoglot.__file__).parents[1])}
    hang = True

    def slowly(prompt, number):
        if number == 2 and hang:
            time.sleep(60)
        return german(prompt, number)

    with chat_server(slowly) as (url, server):
        argv = ["data", "translate", str(source), "--to", "de", "--with", url, "--concurrency", "1",
                "--cache", str(tmp_path / "answers.sqlite"), "-o", str(tmp_path / "more.jsonl")]  # fmt: skip
        program = f"from isoglot.cli import main\nmain({argv!r})"
        child = subprocess.Popen([sys.executable, "-c", program], env=environment)
        while len(server.prompts) < 2 and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        hang = False
        assert not (tmp_path / "more.jsonl").exists()
        assert run(argv) == 0
        assert len(server.prompts) == 3  # the second one twice: it was never answered
    assert len(list(read_rows([tmp_path / "more.jsonl"]))) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--with", "nowhere/model/at/all"], "no sequence-to-sequence model"),
        (["--with", "ftp://host/v1"], "no sequence-to-sequence model"),
        (["--with", "http://host/v1", "--concurrency", "0"], "at least one request"),
        (["--with", "http://host/v1", "--to", "klingon!"], "language code"),
    ],
)
def test_bad_usage(command, capsys, more, said):
    assert command(*more) == 2
    assert said in capsys.readouterr().err


@pytest.fixture(scope="module")
def translators(tmp_path_factory):
    pytest.importorskip("sentencepiece")
    from support import translators

    folder = tmp_path_factory.mktemp("translators")
    return {
        "pair": translators.marian(folder / "pair"),
        "several": translators.marian(folder / "several", ["deu", "fra"]),
        "m2m100": translators.m2m100(folder / "m2m100"),
    }


@pytest.mark.parametrize("kind", ["pair", "several", "m2m100"])
def test_sequence_to_sequence_models(translators, tmp_path, kind):
    store = AnswerStore(tmp_path / "answers.sqlite")
    model = Seq2Seq(str(translators[kind]), store, device="cpu", beams=1)
    texts = ["the gate opens", "the keeper sleeps at dawn. " * 12, "the gate opens"]
    made = model.translate(texts, "en", "de")
    assert made[0] == made[2] != made[1]
    assert model.translated == 2  # equal texts and sentences are translated once
    # What a text becomes does not depend on what else is in its batch.
    alone = Seq2Seq(str(translators[kind]), AnswerStore(tmp_path / "other.sqlite"), device="cpu", beams=1)
    assert alone.translate(texts[:1], "en", "de") == made[:1]
    again = Seq2Seq(str(translators[kind]), store, device="cpu", beams=1)
    assert again.translate(texts, "en", "de") == made
    assert again.translated == 0
    if kind != "pair":
        with pytest.raises(InputError, match="does not know 'xh'" if kind == "several" else "does not know 'yue'"):
            again.translate(texts, "en", "xh" if kind == "several" else "yue")
        assert again.code("de") == ("deu" if kind == "several" else "de")


def test_a_model_translates_rows(translators, command, tmp_path, capsys):
    assert command("--with", translators["pair"], "--beams", "1", "--device", "cpu") == 0
    out = capsys.readouterr().out
    assert "4 sentences translated" in out
    # Noise is what a random model makes; some of it may pass.
    made = [json.loads(line) for name in ("more.jsonl", "more.rejects.jsonl") if (tmp_path / name).is_file()
            for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]  # fmt: skip
    assert [entry["lang"] for entry in made] == ["de", "de"]
