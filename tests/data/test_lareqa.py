import json

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.lareqa import PUBLISHED, load_lareqa
from isoglot.data.readers.lareqa_rows import lareqa_rows
from isoglot.data.rows import read_rows, write_rows
from support.lareqa import lareqa_file, lareqa_paragraph


def folder_of(tmp_path, **languages):
    for lang, content in languages.items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        (tmp_path / f"{lang}.json").write_text(text, encoding="utf-8")
    return tmp_path


def paragraph(breaks, start, **changes):
    """Two sentences `Ab.` and `Cd.` with a blank between them; the answer begins at `start`."""
    content = {
        "context": "Ab. Cd.",
        "sentences": ["Ab.", "Cd."],
        "sentence_breaks": breaks,
        "qas": [{"id": "q", "question": "Was?", "answers": [{"text": "x", "answer_start": start}]}],
    }
    return lareqa_file("t", [{**content, **changes}])


def gold_texts(benchmark):
    return [[benchmark.candidates.texts[at] for at in benchmark.relevant(q)] for q in range(len(benchmark.queries))]


def test_the_mini_folder(lareqa_folder):
    benchmark = load_lareqa(lareqa_folder)
    assert (benchmark.name, benchmark.languages) == ("mini", ("de", "en", "zh"))
    assert (len(benchmark.queries), len(benchmark.candidates), len(benchmark.gold)) == (
        35,
        48,
        12 * 2 + 11 * 3 + 11 * 3 + 13,
    )
    # q4 is the second question of the second paragraph: sentence 5 in every language.
    number = benchmark.queries.ids.index("en:q4")
    assert [benchmark.candidates.ids[at] for at in benchmark.relevant(number)] == ["de:0:1:1", "en:0:1:1", "zh:0:1:1"]
    assert gold_texts(benchmark)[number][1] == "Mountain number 5 is 285 metres high."
    # q11 has no Chinese version: two relevant.
    assert len(benchmark.relevant(benchmark.queries.ids.index("de:q11"))) == 2


def test_languages_restrict_queries_and_candidates_alike(lareqa_folder):
    benchmark = load_lareqa(lareqa_folder, langs="zh, de")
    assert benchmark.languages == ("de", "zh")
    assert (len(benchmark.queries), len(benchmark.candidates)) == (23, 32)
    assert load_lareqa(lareqa_folder, langs=["zh", "DE"]).checksum == benchmark.checksum
    assert max(map(len, gold_texts(benchmark))) == 2
    with pytest.raises(InputError, match="no fr here; there are: de, en, zh"):
        load_lareqa(lareqa_folder, langs="de,fr")


@pytest.mark.parametrize(
    ("breaks", "start", "gold"),
    [
        ([[0, 3], [4, 7]], 0, "Ab."),
        ([[0, 3], [4, 7]], 2, "Ab."),
        ([[0, 3], [4, 7]], 4, "Cd."),
        # Half-open: the end of one sentence belongs to the next, where they touch.
        ([[0, 4], [4, 7]], 4, "Cd."),
        ([[0, 4], [4, 7]], 3, "Ab."),
    ],
)
def test_gold_sentence_is_half_open(tmp_path, breaks, start, gold):
    benchmark = load_lareqa(folder_of(tmp_path, de=paragraph(breaks, start)))
    assert gold_texts(benchmark) == [[gold]]


@pytest.mark.parametrize("start", [3, 7, -1])
def test_an_answer_in_the_gap_or_outside_is_a_problem(tmp_path, start):
    with pytest.raises(InputError, match="article 0, paragraph 0: no sentence holds the answer of question q"):
        load_lareqa(folder_of(tmp_path, de=paragraph([[0, 3], [4, 7]], start)))


def test_equal_sentences_are_two_candidates(tmp_path):
    content = lareqa_file("t", [lareqa_paragraph(["Ja.", "Ja."], [("q", "Was?", 1, 0)])])
    benchmark = load_lareqa(folder_of(tmp_path, de=content))
    assert benchmark.candidates.ids == ["de:0:0:0", "de:0:0:1"]
    assert benchmark.gold.tolist() == [1]


def test_context_can_follow_the_sentence(lareqa_folder):
    benchmark = load_lareqa(lareqa_folder, langs="en", with_context=True)
    assert benchmark.candidates.texts[0].startswith("Mountain number 0 is 100 metres high. Mountain number 0 is")
    assert benchmark.notes == ("candidates are sentences followed by their paragraph",)
    assert benchmark.checksum != load_lareqa(lareqa_folder, langs="en").checksum


def test_rows(lareqa_folder, tmp_path):
    rows = list(lareqa_rows(lareqa_folder))
    assert len(rows) == 35
    row = next(row for row in rows if (row.lang, row.group) == ("zh", "q4"))
    assert (row.query, row.passage, row.dataset) == ("第5座山有多高？", "第5座山高285米。", "mini")
    assert row.passage in row.context
    assert write_rows(lareqa_rows(lareqa_folder, langs="de,zh", dataset="own"), tmp_path / "rows.jsonl") == 23
    assert {row.dataset for _, _, row in read_rows([tmp_path / "rows.jsonl"])} == {"own"}
    assert list(lareqa_rows(lareqa_folder, langs=["zh", "de"])) == list(lareqa_rows(lareqa_folder, langs="de,zh"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"data": [', "de.json:1: broken or truncated JSON"),
        ("[]", "no list 'data'"),
        ('{"data": {}}', "no list 'data'"),
        ('{"data": [3]}', "article 0: no list 'paragraphs'"),
        ('{"data": [{"paragraphs": 3}]}', "article 0: no list 'paragraphs'"),
        ('{"data": [{"paragraphs": [3]}]}', "article 0, paragraph 0: field missing or of the wrong kind"),
        (paragraph([[0, 3]], 0), "2 sentences but 1 sentence_breaks"),
        (paragraph([[0, 3], [4, 7, 9]], 5), "field missing or of the wrong kind"),
        (paragraph([[0, 3], [4, 7]], "0"), "field missing or of the wrong kind"),
        (paragraph([[0, 3], [4, 7]], 0, qas=[{"id": "q", "question": "?"}]), "KeyError: 'answers'"),
        (paragraph([[0, 3], [4, 7]], 0, qas=[{"id": "q", "question": "?", "answers": []}]), "IndexError"),
        (paragraph([[0, 3], [4, 7]], 0, context="\ud800"), None),
        ('{"data": []}', "0 queries and 0 candidates"),
    ],
)
def test_broken_files(tmp_path, content, words):
    if words is None:  # JSON can spell half a surrogate pair, UTF-8 cannot
        content, words = json.dumps(content), "half of a surrogate pair"
    with pytest.raises(InputError) as caught:
        load_lareqa(folder_of(tmp_path, de=content))
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


def test_problems_of_all_files_are_gathered(tmp_path):
    bad = paragraph([[0, 3], [4, 7]], 3)
    twice = lareqa_file("t", [lareqa_paragraph(["Ja."], [("q", "Was?", 0, 0), ("q", "Wer?", 0, 1)])])
    with pytest.raises(InputError) as caught:
        load_lareqa(folder_of(tmp_path, de=bad, en=twice))
    assert "2 problems" in str(caught.value)
    assert f"{tmp_path / 'en.json'}: article 0, paragraph 0: question id q is used twice" in str(caught.value)


def test_a_broken_question_hides_no_problem_before_it(tmp_path):
    outside = {"id": "q", "question": "Was?", "answers": [{"text": "x", "answer_start": 3}]}
    with pytest.raises(InputError) as caught:
        load_lareqa(folder_of(tmp_path, de=paragraph([[0, 3], [4, 7]], 0, qas=[outside, {"id": "r"}])))
    assert "2 problems" in str(caught.value)
    assert "no sentence holds the answer of question q" in str(caught.value)
    assert "KeyError: 'question'" in str(caught.value)


def test_folders_without_files(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_lareqa(tmp_path / "no")
    with pytest.raises(InputError, match=r"no \{lang\}\.json files"):
        load_lareqa(tmp_path)


def test_counts_are_checked_against_the_published_ones(lareqa_folder):
    with pytest.raises(InputError) as caught:
        load_lareqa(lareqa_folder, "xquad-r")
    assert "12 questions and 16 sentences; the published file has 1190 and 1276" in str(caught.value)
    assert sum(counts[1] for counts in PUBLISHED["xquad-r"].values()) == 13_014
    assert sum(counts[1] for counts in PUBLISHED["mlqa-r"].values()) == 20_534


@pytest.mark.parametrize(("name", "queries", "candidates"), [("xquad-r", 8330, 8542), ("mlqa-r", 4199, 20_534)])
def test_the_published_files(shared_data, name, queries, candidates):
    benchmark = load_lareqa(shared_data / name)
    assert (len(benchmark.queries), len(benchmark.candidates)) == (queries, candidates)
    golds = np.diff(benchmark.gold_offsets)
    if name == "xquad-r":
        assert set(golds.tolist()) == {7}
    else:
        assert (golds.min(), golds.max()) == (2, 4)
    # At most one answer a language, and always one in the query's own.
    for query in range(0, len(benchmark.queries), 97):
        langs = benchmark.candidates.lang[benchmark.relevant(query)].tolist()
        assert len(set(langs)) == len(langs)
        assert benchmark.queries.lang[query] in langs
