import json
from pathlib import Path

import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.data.near_duplicates import NEAR, contains, grams, jaccard
from isoglot.data.paragraph_negatives import context_negatives, pick_sentences, usable_sentences
from isoglot.data.prepared import prepare
from isoglot.data.readers.lareqa_rows import lareqa_rows
from isoglot.data.rows import Row, read_rows, write_rows

SHARED = Path(__file__).parents[3] / "shared" / "data"
SENTENCES = [
    "The tower was built in 1889.",
    "It is 330 metres high.",
    "Its colour is a shade of brown.",
    "the tower was  built in 1889",
    "See.",
    "Seven million people climb it every year.",
]


def lareqa_folder(path):
    breaks, at = [], 0
    for sentence in SENTENCES:
        breaks.append([at, at + len(sentence)])
        at += len(sentence) + 1
    context = " ".join(SENTENCES)
    qas = [
        {"id": "when", "question": "When was it built?", "answers": [{"text": "1889", "answer_start": 23}]},
        {"id": "how", "question": "How high is it?", "answers": [{"text": "330", "answer_start": 35}]},
    ]
    paragraph = {"context": context, "sentences": SENTENCES, "sentence_breaks": breaks, "qas": qas}
    path.mkdir()
    (path / "en.json").write_text(json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}))
    return path


def test_grams_and_overlap_by_hand():
    assert grams("ABC de!") == {"abcd", "bcde"}
    assert grams("北京") == {"北京"}
    assert grams("…") == frozenset()
    assert jaccard("abcdef", "abcdeg") == 2 / 4
    assert contains("abcdef", "bcde") == 1.0
    assert jaccard("", "abcd") == contains("", "abcd") == 0.0


def test_lareqa_negatives_hold_no_gold_of_any_group(tmp_path):
    rows = list(lareqa_rows(lareqa_folder(tmp_path / "x"), context_negatives=9))
    # Left out: both golds, the near copy of one, and the one too short to say anything.
    for row in rows:
        assert sorted(row.negatives) == [SENTENCES[2], SENTENCES[5]]


def test_the_draw_depends_on_seed_and_row_only(tmp_path):
    folder = lareqa_folder(tmp_path / "x")

    def draw(seed):
        return {row.group: row.negatives for row in lareqa_rows(folder, context_negatives=1, seed=seed)}

    assert draw(3) == draw(3)
    assert len({str(draw(seed)) for seed in range(12)}) > 1
    drawn = pick_sentences(usable_sentences(SENTENCES, [], ()), 2, key="a", seed=1)
    assert drawn == pick_sentences(usable_sentences(SENTENCES[::-1], [], ()), 2, key="a", seed=1)
    assert drawn == pick_sentences(usable_sentences(SENTENCES, [], ()), 1, key="a", seed=1) + drawn[1:]


def test_none_by_default_and_a_negative_count(tmp_path):
    folder = lareqa_folder(tmp_path / "x")
    assert all(row.negatives == () for row in lareqa_rows(folder))
    with pytest.raises(InputError, match="context_negatives -1"):
        list(lareqa_rows(folder, context_negatives=-1))


def test_rows_with_contexts(tmp_path, capsys):
    pytest.importorskip("sentencex")
    text = "Dr. Sky is blue. Grass grows green here. Snow is white and cold. Night is dark."
    rows = [
        Row("a", "en", "sky?", "Dr. Sky is blue.", "d", context=text, negatives=("old one",), scores=(0.5, 0.1)),
        Row("b", "en", "snow?", "Snow is white", "d", context=text),
        Row("c", "en", "night?", "Night is dark.", "d", context="Other words stand here. night  is DARK."),
        Row("d", "th", "หญ้า?", "หญ้าสีเขียว", "d", context="ท้องฟ้าเป็นสีฟ้า หญ้าสีเขียว หิมะสีขาวและเย็น"),
        Row("e", "de", "ohne?", "Ohne Kontext.", "d"),
    ]
    source, target = tmp_path / "rows.jsonl", tmp_path / "out.jsonl.gz"
    write_rows(rows, source)
    assert run(["data", "mine", str(source), "--from", "context", "-o", str(target), "--negatives", "5"]) == 0
    assert "5 negatives added to 5 rows" in capsys.readouterr().out
    found = {row.group: row for _, _, row in read_rows([target])}
    # The night sentence is another group's passage in another paragraph; a part of a gold's sentence is no negative.
    assert found["a"].negatives == ("old one", "Grass grows green here.")
    assert found["a"].scores == ()
    assert found["b"].negatives == ("Grass grows green here.",)
    assert found["c"].negatives == ("Other words stand here.",)
    assert sorted(found["d"].negatives) == sorted(["ท้องฟ้าเป็นสีฟ้า", "หิมะสีขาวและเย็น"])
    assert found["e"] == rows[4]
    assert run(["data", "mine", str(source), "--from", "context", "-o", str(target)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    for more in (["--language", "mix"], ["--max-score", "0.5"], ["--model", "x"]):
        assert run(["data", "mine", str(source), "--from", "context", "-o", str(target), "--overwrite", *more]) == 2
        assert "belong to --from model" in capsys.readouterr().err


def test_rows_without_contexts(tmp_path):
    write_rows([Row("a", "en", "q", "p", "d")], tmp_path / "rows.jsonl")
    prepared = prepare([tmp_path / "rows.jsonl"], tmp_path / "prepared")
    with pytest.raises(InputError, match="`model`"):
        context_negatives(prepared, 2)
    with pytest.raises(InputError, match="negatives 0"):
        context_negatives(prepared, 0)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the benchmark files are not here")
def test_real_files_hold_no_gold():
    rows = list(lareqa_rows(SHARED / "mlqa-r", langs="de,zh", context_negatives=2))
    golds = {(row.lang, row.context): [] for row in rows}
    for row in rows:
        golds[row.lang, row.context].append(row.passage)
    passages = {(row.lang, row.passage) for row in rows}
    drawn = [(row, text) for row in rows for text in row.negatives]
    assert len(drawn) > 1000
    for row, text in drawn:
        assert text in row.context
        assert (row.lang, text) not in passages
        assert all(contains(text, gold) < NEAR for gold in golds[row.lang, row.context])


def test_the_sentences_of_a_paragraph_are_compared_once_for_all_its_rows(tmp_path, monkeypatch):
    """They were compared again for every row: 4 times the 4 sentences left with the 4 passages."""
    sentences = [f"Der {word} liegt in der Schublade." for word in ("Achat", "Bergkristall", "Citrin", "Diamant")]
    sentences += [f"Niemand sah {word} zuletzt bei Nacht." for word in ("Anna", "Bertram", "Cäsar", "Dorothea")]
    context = " ".join(sentences)
    rows = [Row(f"g{n}", "de", f"Frage {n}?", sentences[n], "steine", context=context) for n in range(4)]
    write_rows(rows, tmp_path / "rows.jsonl")
    compared = []

    def counting(one, other):
        compared.append((one, other))
        return contains(one, other)

    monkeypatch.setattr("isoglot.data.paragraph_negatives.contains", counting)
    found = context_negatives(prepare([tmp_path / "rows.jsonl"], tmp_path / "prepared"), 4)
    assert [set(own) for own in found] == [set(sentences[4:])] * 4
    assert len(set(compared)) == len(compared) == 16
