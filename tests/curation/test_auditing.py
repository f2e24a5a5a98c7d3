import doctest
import json
import sys

import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError, MissingPackageError
from isoglot.curation import token_counts
from isoglot.curation.audit_text import render
from isoglot.curation.auditing import audit
from isoglot.data.benchmarks.benchmark import from_rows
from isoglot.data.benchmarks.overlap import near_overlap
from isoglot.data.near_duplicates import jaccard
from isoglot.data.prepared import prepare
from isoglot.data.rows import Row, write_rows
from isoglot.languages import detection
from isoglot.languages.checking import in_language, in_script, script_share, scripts_of
from isoglot.training.sampling.regimes import Sampling
from support.models import bert

ENGLISH = "The old lighthouse number {n} stands on the northern cliff above the harbour."
GERMAN = "Der alte Leuchtturm Nummer {n} steht auf der nördlichen Klippe über dem Hafen."


def clean_rows(groups=6):
    return [
        Row(f"g{n}", lang, query.format(n=n), passage.format(n=n * 1111), "d")
        for n in range(groups)
        for lang, query, passage in (
            ("en", "Where does the old lighthouse {n} stand?", ENGLISH),
            ("de", "Wo steht der alte Leuchtturm {n}?", GERMAN),
        )
    ]


def prepared(path, rows):
    write_rows(rows, path / "r.jsonl")
    return prepare([path / "r.jsonl"], path / "prepared")


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("Москва", "ru", True),
        ("Москва", "de", False),
        ("Belgrad je grad", "sr", True),
        ("Београд је град", "sr-Latn", False),
        ("東京はどこですか", "ja", True),
        ("北京在哪里", "zh-Hant", True),
        ("１９９０年", "en", True),
        ("ＡＢＣＤＥＦ", "en", True),
        ("anything", "xx", True),
        ("दिल्ली कहाँ है?", "hi", True),
    ],
)
def test_scripts(text, code, expected):
    assert in_script(text, code) is expected


def test_script_share_by_hand():
    assert script_share("abc где", frozenset({"Latin"})) == 0.5
    assert script_share("ab 12", frozenset({"Latin"})) is None
    assert scripts_of("xx") == frozenset()


def test_language_by_a_stub_identifier():
    text = "long enough to be identified with some certainty"
    assert in_language(text, "en", lambda _: [("en", 0.9), ("de", 0.1)])
    assert not in_language(text, "de", lambda _: [("en", 0.95), ("de", 0.01)])
    assert in_language(text, "de", lambda _: [("en", 0.6), ("de", 0.4)])
    assert in_language("short", "de", lambda _: [("en", 1.0), ("de", 0.0)])
    assert in_language(text, "tlh", lambda _: [("en", 1.0), ("de", 0.0)])
    assert in_language(text, "nb", lambda _: [("da", 0.99), ("nb", 0.0)])


def test_clean_rows_have_no_problems(tmp_path):
    facts = audit(prepared(tmp_path, clean_rows()), batch_size=6, batches=40)
    assert facts["problems"] == []
    assert facts["batches"]["kinds"].keys() == {"mono", "cross"}
    assert sum(facts["batches"]["pairs"].values()) == 40 * 6
    assert facts["batches"]["groups_seen"] == 6
    assert render(facts).endswith("no problems found")


def test_every_kind_of_problem(tmp_path):
    rows = clean_rows()
    rows[0] = Row("g0", "en", "Где стоит маяк?", rows[0].passage, "d")
    rows[2] = Row("g1", "en", rows[2].query, GERMAN.format(n=5), "d")
    # g2 and g3 share a passage; g4 stays in one language only.
    rows[6] = Row("g3", "en", rows[6].query, rows[4].passage, "d")
    del rows[9]
    facts = audit(prepared(tmp_path, rows), batch_size=5, batches=10, sampling=Sampling("x-y"))
    kinds = {problem["kind"]: problem["count"] for problem in facts["problems"]}
    # Four components have both languages, so no pair fills a batch of five, nor does German.
    assert kinds == {"batches": 1, "one language": 1, "languages": 1, "pairs": 2, "script": 1, "language": 1}
    assert facts["unusable"]["by_language"] == {"en": 1}
    assert facts["collisions"]["groups_sharing_a_passage"] == 2
    assert facts["collisions"]["colliding_group_pairs"] == 1
    # Of 11 rows, 4 share one component (12 ordered pairs), 3 x 2 rows make 2 pairs each; of 6 groups, 2 share one.
    assert facts["collisions"]["false_negatives_a_batch_of_random_rows"] == pytest.approx(5 * 4 * (12 + 6) / (11 * 10))
    assert facts["collisions"]["false_negatives_a_batch_of_random_groups"] == pytest.approx(5 * 4 * 2 / (6 * 5))
    text = render(facts)
    assert "no batches of x-y" in text
    assert "not en by its script: query of g0" in text


def test_near_overlap_against_all_pairs(tmp_path):
    train = prepared(tmp_path, clean_rows())
    (tmp_path / "b").mkdir()
    changed = [
        Row("b0", "en", "Where does the old lighthouse 0 stand??", "A lighthouse stands on a cliff.", "t"),
        Row("b1", "en", "What is the capital of Peru?", ENGLISH.format(n=1111).replace("harbour", "harbor"), "t"),
        Row("b2", "en", "Where does the old lighthouse 3 stand?", "Lima is the capital of Peru.", "t"),
    ]
    bench = from_rows(prepared(tmp_path / "b", changed), "b")
    found = near_overlap(train, bench)
    tests = {text.lower() for text in bench.candidates.texts}
    passages = {
        text
        for text in train.column("passage")
        if text.lower() not in tests and any(jaccard(text, other) >= 0.8 for other in bench.candidates.texts)
    }
    assert found.passages == len(passages) > 0
    facts = audit(train, batch_size=6, batches=5, benchmark=bench)
    kinds = {problem["kind"]: problem["count"] for problem in facts["problems"]}
    assert kinds["exact overlap"] == 1
    assert kinds["near overlap"] == found.queries + found.passages


def test_without_optional_packages(tmp_path, monkeypatch):
    detection._model.cache_clear()
    for name in ("py3langid.langid", "datasketch"):
        monkeypatch.setitem(sys.modules, name, None)
    rows = prepared(tmp_path, clean_rows())
    facts = audit(rows, batch_size=6, batches=5)
    assert facts["writing"]["rows_in_another_language"] is None
    assert "isoglot[data]" in render(facts)
    with pytest.raises(MissingPackageError, match=r"isoglot\[data\]"):
        near_overlap(rows, from_rows(rows))


def test_from_the_command_line(tmp_path, capsys):
    rows = clean_rows(8)
    rows[1] = Row("g0", "de", "Wo steht er? " + "sehr " * 30, rows[1].passage, "d")
    source = tmp_path / "rows.jsonl"
    write_rows(rows, source)
    model = bert(tmp_path / "model", [row.passage for row in rows])
    arguments = ["data", "audit", str(source), "--batch-size", "6", "--batches", "20", "--regime", "x-x-mono"]
    arguments += ["--model", str(model), "--query-length", "20", "--passage-length", "64"]
    assert run([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["tokens"]["reference"] == "en"
    assert facts["tokens"]["languages"]["de"]["cut_queries"] == 1
    assert facts["tokens"]["languages"]["en"]["premium"] == 1.0
    assert [problem["kind"] for problem in facts["problems"]] == ["length"]
    assert facts["batches"]["kinds"] == {"mono": 20}
    assert run([*arguments, "--strict"]) == 3
    assert "queries are longer than 20 tokens" in capsys.readouterr().out
    assert run(["data", "audit", str(source), "--data-dir", str(tmp_path)]) == 2
    assert "--benchmark" in capsys.readouterr().err
    bench = ["--benchmark", "rows", "--benchmark-rows", str(source)]
    assert run(["data", "audit", str(source), *bench, "--batch-size", "6", "--strict"]) == 3
    assert "stand in the benchmark" in capsys.readouterr().out


def test_token_figures_by_hand():
    def count(texts):
        """Every word is a token; those in capitals are unknown."""
        words = [text.split() for text in texts]
        return [len(own) for own in words], sum(word.isupper() for own in words for word in own)

    rows = [
        Row("a", "en", "one two", "one two three", "d"),
        Row("a", "de", "eins zwei drei", "eins zwei drei VIER fuenf sechs", "d"),
        Row("b", "en", "one two three", "one two three four", "d"),
        Row("b", "de", "eins zwei", "eins zwei", "d"),
        Row("c", "de", "eins", "eins zwei drei vier fuenf", "d"),  # has no English version
    ]
    tokeniser = token_counts.Tokeniser(count, count, query_length=2, passage_length=5)
    found = audit(rows, tokeniser=tokeniser, batch_size=1, batches=1)["tokens"]["languages"]
    assert found["en"] == {
        "tokens_a_passage": 7 / 2,
        "tokens_a_100_characters": 100 * 7 / (13 + 18),
        "premium": 1.0,
        "unknown": 0.0,
        "cut_queries": 1,
        "cut_passages": 0,
    }
    assert found["de"] == {
        "tokens_a_passage": 13 / 3,
        "tokens_a_100_characters": 100 * 13 / (31 + 9 + 25),
        "premium": 8 / 7,
        "unknown": 1 / (13 + 6),
        "cut_queries": 1,
        "cut_passages": 1,
    }


def test_tokens_from_python(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    assert doctest.testmod(token_counts).failed == 0
    rows = clean_rows()
    opened = token_counts.open_tokeniser(str(bert(tmp_path / "model", [row.passage for row in rows])), query_length=20)
    assert (opened.query_length, opened.passage_length) == (20, 192)
    # A word, the two special tokens, and one that no text of the model held.
    assert opened.passages(["harbour", "harbour \u2603"]) == ([3, 4], 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": 5}, "name: given as int"),
        ({"query_length": 3}, "query_length 3: expected at least 4 tokens"),
        ({"passage_length": "192"}, "passage_length"),
        ({"options": {"dtype": "float16"}}, "options: given as dict; expected a LoadOptions"),
        ({"name": "no/such/folder"}, "no/such/folder"),
    ],
)
def test_tokens_of_what_is_no_encoder(given, message):
    with pytest.raises(InputError, match=message):
        token_counts.open_tokeniser(**given)


def test_rows_that_models_made_are_counted(tmp_path):
    rows = [Row("1", "de", "a", "b", "d", translated_by="m"), Row("1", "en", "c", "d", "d", generated_by="g"),
            Row("2", "de", "e", "f", "d", translated_by="m"), Row("2", "en", "g", "h", "d")]  # fmt: skip
    write_rows(rows, tmp_path / "rows.jsonl")
    facts = audit(prepare([tmp_path / "rows.jsonl"], tmp_path / "p"), batches=1, batch_size=1)
    assert facts["made"] == {"translated_by": {"m": {"de": 2}}, "generated_by": {"g": {"en": 1}}}
    assert "translated by m: de 2" in render(facts)


def test_bitext_is_no_language_that_cannot_fill_a_batch(tmp_path):
    """French is there in bitext only: it has no batches of its own, which is no problem; German has, and too few."""
    rows = [Row("1", "de", "a", "b", "d"), Row("1", "en", "c", "e", "d"), Row("2", "de", "f", "g", "d"),
            Row("2", "en", "h", "i", "d"), Row("9", "en", "s", "s", "memory", kind="bitext"),
            Row("9", "fr", "t", "t", "memory", kind="bitext")]  # fmt: skip
    write_rows(rows, tmp_path / "rows.jsonl")
    facts = audit(prepare([tmp_path / "rows.jsonl"], tmp_path / "p"), batches=1, batch_size=3)
    assert facts["unusable"]["languages_below_batch"] == ["de", "en"]
    assert facts["unusable"]["languages_in_bitext_only"] == ["fr"]
    assert "in bitext only, never asked in: fr" in render(facts)
    assert "memory (2 rows, bitext: cross-lingual batches only)" in render(facts)
