import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import isoglot
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.curation.language_model.answer_cache import AnswerStore
from isoglot.curation.language_model.outcome import Outcome
from isoglot.curation.translation.filling import ModelTranslator, Task, fill, missing
from isoglot.curation.translation.in_context import queries_in_context
from isoglot.curation.translation.language_codes import model_codes
from isoglot.curation.translation.seq2seq import Seq2Seq
from isoglot.data.prepared import prepare
from isoglot.data.rows import Row, read_rows
from isoglot.languages.known_languages import listed
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


def test_further_passages_are_counted(tmp_path, capsys):
    record = {"group": "1", "lang": "en", "query": TEXTS[0], "passages": TEXTS[1:], "dataset": "lock"}
    german = {"group": "2", "lang": "de", "query": "Was?", "passages": ["Dies.", "Das."], "dataset": "lock"}
    source = write_jsonl(tmp_path / "several.jsonl", [record, german])
    argv = ["data", "translate", str(source), "--to", "de", "-o", str(tmp_path / "more.jsonl"), "--with", "http://x/v1"]
    assert run([*argv, "--dry-run"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("1 rows to translate")
    assert "2 further passages of queries are not translated, only the first" in said.err


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


def test_a_run_that_is_killed_before_its_rejects_are_kept_leaves_no_rows(command, tmp_path, monkeypatch):
    monkeypatch.setattr("isoglot.cli.translating.write_rejects", raise_interrupt)
    with chat_server(german) as (url, _):
        assert command("--with", url) == 130
    assert not (tmp_path / "more.jsonl").exists()


def raise_interrupt(*_):
    raise KeyboardInterrupt


def test_where_nothing_comes_there_are_no_rows(command, tmp_path, capsys):
    """An endpoint that answers in prose: too few questions to give it up, and yet no success."""
    with chat_server(lambda prompt, number: "Gern!") as (url, _):
        assert command("--with", url, "--tries", 1) == 1
    assert "none of 2 requests gave a row (2 an answer without a JSON object (1 tries))" in capsys.readouterr().err
    assert not (tmp_path / "more.jsonl").exists()
    assert len((tmp_path / "more.rejects.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_a_spent_budget_says_what_is_left(command, tmp_path, capsys):
    with chat_server(german, usage=400) as (url, server):
        assert command("--with", url, "--budget-tokens", 600, "--concurrency", 1) == 1
        assert "1 of 2 rows were not sent" in capsys.readouterr().err
        assert len(list(read_rows([tmp_path / "more.jsonl"]))) == 1
        assert command("--with", url, "--overwrite") == 0
    assert len(server.prompts) == 2  # the first was not paid again


def test_a_killed_run_pays_nothing_twice(tmp_path):
    """The first answer is on the disk when the second is asked for; then the process is killed."""
    source = rows_file(tmp_path / "rows.jsonl")
    environment = {**os.environ, "PYTHONPATH": str(Path(isoglot.__file__).parents[1])}
    asked, killed = threading.Event(), threading.Event()

    def slowly(prompt, number):
        if number == 2:
            asked.set()
            assert killed.wait(300)
        return german(prompt, number)

    with chat_server(slowly) as (url, server):
        argv = ["data", "translate", str(source), "--to", "de", "--with", url, "--concurrency", "1",
                "--cache", str(tmp_path / "answers.sqlite"), "-o", str(tmp_path / "more.jsonl")]  # fmt: skip
        program = f"from isoglot.cli import main\nmain({argv!r})"
        child = subprocess.Popen([sys.executable, "-c", program], env=environment)
        try:
            assert asked.wait(300)
        finally:
            child.kill()
            child.wait()
            killed.set()
        assert not (tmp_path / "more.jsonl").exists()
        assert run(argv) == 0
        assert len(server.prompts) == 3  # the second one twice: it was never answered
    assert len(list(read_rows([tmp_path / "more.jsonl"]))) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--with", "nowhere/model/at/all"], "not a sequence-to-sequence model"),
        (["--with", "ftp://host/v1"], "expected the address of an OpenAI-compatible API"),
        (["--with", "http://host/v1", "--timeout", "0"], "--timeout 0: expected more than 0"),
        (["--with", "http://host/v1", "--budget-tokens", "0"], "--budget-tokens 0: expected at least 1"),
        (["--with", "http://host/v1", "--concurrency", "0"], "at least one request"),
        (["--with", "http://host/v1", "--to", "klingon!"], "language code"),
        (["--with", "http://host/v1", "--rejects", "{folder}/more.jsonl"], "--output is written there"),
    ],
)
def test_bad_usage(command, tmp_path, capsys, more, said):
    assert command(*(word.format(folder=tmp_path) for word in more)) == 2
    assert said in capsys.readouterr().err


def test_the_rows_that_are_translated_are_not_replaced(command, tmp_path, capsys):
    assert command("--with", "http://host/v1", "--overwrite", output="rows.jsonl") == 2
    assert "is an input file, and only new rows are written" in capsys.readouterr().err
    assert len(list(read_rows([tmp_path / "rows.jsonl"]))) == 3


def test_a_prepared_folder_is_translated(command, tmp_path):
    prepare([tmp_path / "rows.jsonl"], tmp_path / "prepared")
    with chat_server(german) as (url, _):
        assert command("--with", url) == 0
        argv = ["data", "translate", str(tmp_path / "prepared"), "--to", "de", "--with", url]
        assert run([*argv, "-o", str(tmp_path / "again.jsonl")]) == 0
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "more.jsonl").read_bytes()


def test_rejects_of_an_earlier_run_go(command, tmp_path):
    with chat_server(lambda prompt, number: "Gern!") as (url, _):
        assert command("--with", url, "--tries", 1) == 1
    assert (tmp_path / "more.rejects.jsonl").exists()
    with chat_server(german) as (url, _):
        assert command("--with", url, "--overwrite") == 0
    assert not (tmp_path / "more.rejects.jsonl").exists()


@pytest.fixture(scope="module")
def translators(tmp_path_factory):
    pytest.importorskip("sentencepiece")
    from support import translators

    folder = tmp_path_factory.mktemp("translators")
    return {
        "pair": translators.marian(folder / "pair"),
        "several": translators.marian(folder / "several", ["deu", "fra"]),
        "m2m100": translators.m2m100(folder / "m2m100"),
        "nllb": translators.nllb(folder / "nllb"),
        "madlad": translators.madlad(folder / "madlad"),
        "lines": translators.madlad(folder / "lines", lines=True),
    }


@pytest.mark.parametrize("kind", ["pair", "several", "m2m100", "nllb", "madlad"])
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
        with pytest.raises(InputError, match="does not know 'tlh'"):
            again.translate(texts, "en", "tlh")
        assert again.code("de") == {"several": "deu", "nllb": "deu_Latn"}.get(kind, "de")


@pytest.mark.parametrize(
    ("kind", "target", "first", "forced"),
    [
        ("nllb", "de", "eng_Latn", "deu_Latn"),
        ("nllb", "zh-Hant", "eng_Latn", "zho_Hant"),
        ("nllb", "ps", "eng_Latn", "pbt_Arab"),
        ("madlad", "de", "<2de>", None),
        ("madlad", "zh-Hant", "<2zh_Hant>", None),
    ],
)
def test_the_target_is_said_as_the_model_was_taught(translators, tmp_path, monkeypatch, kind, target, first, forced):
    """NLLB begins a translation with its language, MADLAD reads it before the text."""
    from transformers import AutoTokenizer, GenerationMixin

    asked = []
    generate = GenerationMixin.generate
    monkeypatch.setattr(
        GenerationMixin, "generate", lambda self, **given: (asked.append(given), generate(self, **given))[1]
    )
    model = Seq2Seq(str(translators[kind]), AnswerStore(tmp_path / "answers.sqlite"), device="cpu", beams=1)
    model.translate(["the gate opens at dawn"], "en", target)
    tokenizer = AutoTokenizer.from_pretrained(translators[kind])
    (given,) = asked
    assert tokenizer.convert_ids_to_tokens(int(given["input_ids"][0][0])) == first
    bos = given.get("forced_bos_token_id")
    assert (bos if bos is None else tokenizer.convert_ids_to_tokens(bos)) == forced


def test_another_script_may_be_read_but_does_not_come_out(translators, tmp_path):
    model = Seq2Seq(str(translators["nllb"]), AnswerStore(tmp_path / "answers.sqlite"), device="cpu", beams=1)
    assert model.code("sr-Latn", target=False) == "srp_Cyrl"
    with pytest.raises(InputError, match="does not know 'sr-Latn'"):
        model.code("sr-Latn")


def test_a_sentence_that_is_too_long_loses_nothing(translators, tmp_path):
    model = Seq2Seq(str(translators["pair"]), AnswerStore(tmp_path / "answers.sqlite"), device="cpu", beams=1)
    words = " ".join(f"gate{number}" for number in range(200))
    assert model.length(words) > model.room
    model.translate([words], "en", "de")
    assert model.translated > 1


def test_whole_texts_are_their_own_pieces(translators, tmp_path):
    model = Seq2Seq(str(translators["lines"]), AnswerStore(tmp_path / "answers.sqlite"), device="cpu", beams=1)
    assert model.keeps_lines
    assert len(model.translate_whole(["the gate opens\nat dawn", "the keeper"], "en", "de")) == 2
    assert model.translated == 2
    others = ("pair", "m2m100", "nllb", "madlad")
    assert not any(Seq2Seq(str(translators[kind]), AnswerStore(tmp_path / kind)).keeps_lines for kind in others)


class Spoken:
    """A model that keeps lines and says what it is told to."""

    keeps_lines, room = True, 12

    def __init__(self, said):
        self.said, self.asked = said, []

    def length(self, text):
        return len(text.split())

    def translate_whole(self, texts, source, target):
        self.asked += texts
        return [self.said[text] for text in texts]


def test_a_query_is_translated_as_the_first_line_of_its_passage():
    pairs = [
        ("When does the\ngate open?", "The keeper opens the gate at dawn. The barges wait in the upper basin."),
        ("Who sleeps?", "Nobody sleeps here. The bells ring."),
        ("Who rings the bells?", "Nobody does."),
        ("Who?", "A sentence of so many words that the model cannot read it all at once, ever."),
    ]
    documents = [
        "When does the gate open?\nThe keeper opens the gate at dawn.",  # the second sentence does not fit
        "Who sleeps?\nNobody sleeps here. The bells ring.",
        "Who rings the bells?\nNobody does.",
    ]
    model = Spoken(dict(zip(documents, ["Wann öffnet das Tor?\nDer Wärter öffnet das Tor bei Sonnenaufgang.",
                                        "Wer schläft? Niemand schläft hier.", "Who rings the bells?\nNiemand."],
                            strict=True)))  # fmt: skip
    # The second came back as one line, the third is a copy, the fourth does not fit: they are translated alone.
    assert queries_in_context(model, pairs, "en", "de") == ["Wann öffnet das Tor?", None, None, None]
    assert model.asked == documents
    model.keeps_lines = False
    assert queries_in_context(model, pairs, "en", "de") == [None] * 4
    assert len(model.asked) == 3


def test_rows_take_the_query_of_the_document(tmp_path):
    class Model(Spoken):
        name = "spoken"

        def translate(self, texts, source, target):
            return [self.said[text] for text in texts]

    row = Row("1", "en", TEXTS[0], TEXTS[1], "lock")
    model = Model({f"{TEXTS[0]}\n{TEXTS[1]}": f"Wann geht das Tor auf?\n{GERMAN[TEXTS[1]]}",
                   TEXTS[1]: GERMAN[TEXTS[1]]})  # fmt: skip
    model.room = 99
    translator = ModelTranslator(model)
    (made,) = fill([Task(row, "de")], translator, Outcome())
    assert (made.query, made.passage, made.translated_by) == ("Wann geht das Tor auf?", GERMAN[TEXTS[1]], "spoken")
    assert translator.in_context == 1


def _published():
    from transformers.models.m2m_100.tokenization_m2m_100 import FAIRSEQ_LANGUAGE_CODES as M2M
    from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as MBART
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB

    return {"nllb": NLLB, "m2m100": M2M["m2m100"], "wmt21": M2M["wmt21"], "mbart50": MBART}


@pytest.mark.parametrize("family", ["nllb", "m2m100", "wmt21", "mbart50"])
def test_every_language_that_a_model_serves_has_its_code(family):
    """Each of our languages that a family of models speaks is mapped to the same language, as langcodes sees it."""
    import langcodes

    published = _published()[family]
    codes = model_codes(published)
    group_of = langcodes.data_dicts.MACROLANGUAGES
    assert set(codes.values()) <= set(published)
    for ours, theirs in codes.items():
        tag = theirs.replace("_XX", "").replace("_", "-")
        base = langcodes.Language.get(tag.split("-")[0]).language
        same = base == ours.split("-")[0] or langcodes.tag_distance(ours, tag, ignore_script=True) == 0
        assert same or group_of.get(base) == ours or theirs == "ns", (ours, theirs)
    # Nothing published is lost but what is one language with another (Twi is Akan, Dari is Persian).
    assert set(published) - set(codes.values()) == ({"twi_Latn", "prs_Arab"} if family == "nllb" else set())
    spoken = {theirs.split("_")[0] for theirs in published}
    missed = [
        ours for ours in listed() if ours not in codes and spoken & {ours, langcodes.Language.get(ours).to_alpha3()}
    ]
    assert not missed
    members = {one for one in spoken if one not in listed()}  # Indonesian is of Malay's group, and itself
    assert not [one for one in members if group_of.get(one) in listed() and group_of[one] not in codes]


@pytest.mark.parametrize(
    ("family", "ours", "theirs"),
    [
        ("nllb", "zh", "zho_Hans"), ("nllb", "zh-Hant", "zho_Hant"), ("nllb", "ar", "arb_Arab"),
        ("nllb", "no", "nob_Latn"), ("nllb", "sr", "srp_Cyrl"), ("nllb", "fa", "pes_Arab"),
        ("nllb", "sat", "sat_Beng"), ("nllb", "ps", "pbt_Arab"), ("nllb", "qu", "quy_Latn"),
        ("nllb", "sw", "swh_Latn"), ("nllb", "ur", "urd_Arab"),
        ("m2m100", "nso", "ns"), ("m2m100", "zh", "zh"), ("mbart50", "en", "en_XX"), ("mbart50", "fa", "fa_IR"),
    ],
)  # fmt: skip
def test_some_codes_by_hand(family, ours, theirs):
    assert model_codes(_published()[family])[ours] == theirs


def test_a_model_translates_rows(translators, command, tmp_path, capsys):
    assert command("--with", translators["pair"], "--beams", "1", "--device", "cpu") == 0
    out = capsys.readouterr().out
    assert "4 sentences translated" in out
    # Noise is what a random model makes; some of it may pass.
    made = [json.loads(line) for name in ("more.jsonl", "more.rejects.jsonl") if (tmp_path / name).is_file()
            for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]  # fmt: skip
    assert [entry["lang"] for entry in made] == ["de", "de"]
