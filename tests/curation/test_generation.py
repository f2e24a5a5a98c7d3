import json

import pytest

from isoglot.cli import run
from isoglot.curation.generation.building import question_fault
from isoglot.curation.generation.prompts import generation_question
from isoglot.curation.generation.subjects import Subject, subjects_of_rows
from isoglot.data.prepared import prepare
from isoglot.data.rows import Row, read_rows
from isoglot.encoders.loading import load
from isoglot.search.index.building import build_index
from support.chat import chat_server
from support.encoders import wide_encoder
from support.rows import write_jsonl

PASSAGE = "The keeper opens the gate at dawn, when the first barges arrive from the north with their loads of salt."
GERMAN = "Der Wärter öffnet das Tor bei Sonnenaufgang, wenn die ersten Kähne mit Salz aus dem Norden kommen."
GATE = Subject("1", "lock", "en", PASSAGE, "Gate", None, {"en": (PASSAGE, "Gate")})


def answer(*questions, **summaries):
    return json.dumps({"summaries": summaries, "questions": list(questions)}, ensure_ascii=False)


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    source = write_jsonl(
        tmp_path / "rows.jsonl",
        [
            {"group": "1", "lang": "en", "query": "Gate", "passage": PASSAGE, "dataset": "lock"},
            {"group": "1", "lang": "fr", "query": "Porte", "passage": "L'éclusier ouvre.", "dataset": "lock"},
            {"group": "2", "lang": "en", "query": "Gate again", "passage": PASSAGE, "dataset": "lock"},
        ],
    )

    def do(url, *more, passages=source):
        argv = ["data", "generate", str(passages), "--with", url, "-o", str(tmp_path / "made.jsonl"), *map(str, more)]
        return run(argv)

    return do


def made_rows(tmp_path):
    return [row for _, _, row in read_rows([tmp_path / "made.jsonl"])]


def test_a_passage_is_asked_about_once():
    rows = [Row("1", "de", "a", "P", "d"), Row("1", "en", "b", "Q", "d"), Row("2", "en", "c", "Q", "d"),
            Row("3", "en", "same", "same", "b", kind="bitext")]  # fmt: skip
    (subject,) = subjects_of_rows(rows, "en")
    assert (subject.name, subject.lang, subject.versions) == ("1", "en", {"de": ("P", None), "en": ("Q", None)})


def test_titles_stay_with_their_passages(command, tmp_path):
    """Without its title, a generated row's passage would be another one than that of the group it comes from."""
    rows = [
        {"group": "1", "lang": lang, "query": "?", "passage": passage, "title": title, "dataset": "lock"}
        for lang, passage, title in (("en", PASSAGE, "Gate"), ("de", GERMAN, "Tor"))
    ]
    source = write_jsonl(tmp_path / "titled.jsonl", rows)
    said = answer({"en": "When does the gate open?", "de": "Wann öffnet das Tor am Morgen?"}, en="S")
    with chat_server(lambda prompt, number: said) as (url, _):
        assert command(url, "--langs", "en,de", passages=source) == 0
    assert [(row.lang, row.title) for row in made_rows(tmp_path)] == [("en", "Gate"), ("de", "Tor")]
    both = prepare([source, tmp_path / "made.jsonl"], tmp_path / "both", langs=("de",), show_progress=False)
    assert set(both.table.component.tolist()) == {0}


def test_questions_in_several_languages(command, tmp_path, capsys):
    """German has a summary as its passage, French the passage that the group has, English the passage itself."""
    said = answer(
        {"en": "When does the gate open?", "de": "Wann öffnet das Tor?", "fr": "Quand ouvre la porte ?"},
        {"en": "What do the barges bring?", "de": "Was bringen die Kähne?"},
        en="Short.", de=GERMAN,
    )  # fmt: skip
    with chat_server(lambda *_: f"<think>hm</think>\n```json\n{said}\n```") as (url, server):
        assert command(url, "--langs", "en,de,fr", "-n", 2, "--lm", "tiny") == 0
        assert command(url, "--langs", "en,de,fr", "-n", 2, "--lm", "tiny", "--overwrite") == 0
    assert len(server.prompts) == 1
    rows = {(row.group, row.lang): row for row in made_rows(tmp_path)}
    assert set(rows) == {("1#q1", "en"), ("1#q1", "de"), ("1#q1", "fr"), ("1#q2", "en"), ("1#q2", "de")}
    assert rows["1#q1", "en"].passage == PASSAGE
    assert rows["1#q1", "de"] == Row("1#q1", "de", "Wann öffnet das Tor?", GERMAN, "lock", generated_by="tiny")
    assert rows["1#q1", "fr"].passage == "L'éclusier ouvre."
    assert "rejected: 1 (no question in this language)" in capsys.readouterr().out
    prepared = prepare([tmp_path / "made.jsonl"], tmp_path / "prepared")
    assert len(set(prepared.table.component.tolist())) == 1  # two questions about one passage


def test_a_run_that_is_killed_before_its_rejects_are_kept_leaves_no_rows(command, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("isoglot.cli.generating.write_rejects", killed)
    with chat_server(lambda *_: answer({"en": "When does the gate open?"})) as (url, _):
        assert command(url) == 130
    assert not (tmp_path / "made.jsonl").exists()


def test_bad_questions_are_rejected(command, tmp_path):
    said = answer({"en": PASSAGE}, {"en": "When does the gate open?"}, {"en": "When does the gate open??"},
                  {"en": "Когда открываются ворота шлюза?"}, {"en": "?"}, {"en": "why " * 100})  # fmt: skip
    with chat_server(lambda *_: said) as (url, _):
        assert command(url, "-n", 6) == 0
    assert [row.query for row in made_rows(tmp_path)] == ["When does the gate open?"]
    rejects = [json.loads(line) for line in (tmp_path / "made.rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [entry["reason"] for entry in rejects] == [
        "quotes its passage", "nearly repeats another question", "not in the script of en", "no words",
        "longer than 300 characters",
    ]  # fmt: skip


def test_answers_that_cannot_be_read_are_asked_again(command, tmp_path):
    said = ["no", '{"questions": "none"}', '{"questions": [{"xx": "?"}]}', answer({"en": "When does it open?"})]
    with chat_server(lambda _, number: said[number - 1]) as (url, _):
        assert command(url) == 0
    assert len(made_rows(tmp_path)) == 1


def test_documents_are_asked_about_passage_by_passage(command, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "isoglot.curation.translated_pages.passages.splitter", lambda *_: lambda text, lang: text.split("\n\n")
    )
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text(f"{PASSAGE}\n\n{PASSAGE.replace('gate', 'bridge')}", encoding="utf-8")
    with chat_server(lambda *_: answer({"en": "When does it open?"})) as (url, server):
        assert command(url, "--model", wide_encoder(), passages=tmp_path / "docs") == 0
    assert [row.group for row in made_rows(tmp_path)] == ["a.md#1#q1", "a.md#2#q1"]
    assert sum("bridge" in prompt for prompt in server.prompts) == 1


def test_an_index_is_asked_about_passage_by_passage(command, tmp_path, capsys):
    pytest.importorskip("lancedb")
    documents = write_jsonl(
        tmp_path / "documents.jsonl",
        [{"id": "a", "title": "Gate", "lang": "en", "text": PASSAGE}, {"id": "b", "lang": "de", "text": GERMAN},
         {"id": "c", "lang": "und", "text": "1 2 3 4 5"}],
    )  # fmt: skip
    index = tmp_path / "index"
    index.mkdir()
    build_index([documents], index, load(str(wide_encoder()), device="cpu"), name=str(wide_encoder()))

    def ask(prompt, _):
        return answer({"en": "When does it open?", "de": "Wann öffnet es?"})

    with chat_server(ask) as (url, server):
        assert command(url, passages=index) == 0
        assert command(url, "--overwrite", str(documents), passages=index) == 2
    assert "expected indexes only" in capsys.readouterr().err
    assert {(row.group, row.lang, row.passage, row.title) for row in made_rows(tmp_path)} == {
        ("a#q1", "en", PASSAGE, "Gate"), ("b#q1", "de", GERMAN, None),
    }  # fmt: skip
    assert len(server.prompts) == 2


def test_a_prepared_folder_is_asked_about(command, tmp_path):
    prepare([tmp_path / "rows.jsonl"], tmp_path / "prepared")
    with chat_server(lambda *_: answer({"en": "When does it open?"})) as (url, server):
        assert command(url, passages=tmp_path / "prepared") == 0
    assert [row.passage for row in made_rows(tmp_path)] == [PASSAGE]
    assert len(server.prompts) == 1


def test_examples_are_shown():
    rows = [Row(str(n), "en", f"question {n}", f"passage {n}", "d") for n in range(9)]
    prompt = generation_question(GATE, ["de"], 2, rows).prompt
    assert prompt.count("Question: question") == 3
    assert "German (de)" in prompt
    assert prompt == generation_question(GATE, ["de"], 2, rows[::-1]).prompt


@pytest.mark.parametrize(("question", "fault"), [("When does the gate open?", None), ("the gate at dawn", None)])
def test_short_questions_may_stand_in_their_passage(question, fault):
    assert question_fault(question, PASSAGE, "en") == fault
    assert question_fault(PASSAGE, PASSAGE, "en") == "quotes its passage"
    assert question_fault(PASSAGE, "The keeper", "en") is None


@pytest.mark.parametrize("more", [["-n", "0"], ["--langs", "nonsense!"], ["--budget-tokens", "x"]])
def test_bad_usage(command, more):
    assert command("http://127.0.0.1:9/v1", *more) == 2
    assert command("some/model") == 2


def test_a_spent_budget(command, capsys):
    with chat_server(lambda *_: answer({"en": "When?"})) as (url, server):
        assert command(url, "--budget-tokens", 5) == 1
    assert server.prompts == []
    assert "1 of 1 passages were not sent" in capsys.readouterr().err
