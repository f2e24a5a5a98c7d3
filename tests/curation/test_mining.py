import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.curation.candidate_passages import distinct_passages
from isoglot.curation.mining import MineSettings, mine_vectors
from isoglot.curation.teacher import score_with_cross_encoder
from isoglot.data.prepared import prepare
from isoglot.data.rows import Row, read_rows, write_rows
from isoglot.encoders.cross_encoder import load_cross_encoder
from isoglot.encoders.late_interaction import late_scores, mixed
from isoglot.encoders.opening import open_embedder
from support.models import bert, cross_encoder

NAMES = [
    "amber",
    "basalt",
    "cobalt",
    "dolomite",
    "emerald",
    "feldspar",
    "granite",
    "hematite",
    "iolite",
    "jasper",
    "kyanite",
    "lapis",
]


def rows_of_stones():
    """12 groups in de and en; group 1's English passage nearly repeats group 0's; 2 and 3 share a German passage."""
    rows = []
    for number, name in enumerate(NAMES):
        english, german = f"The stone {name} lies in drawer {number}.", f"Schublade {number}: der Stein {name}."
        if number == 1:
            english = "The stone amber lies in drawer 0!!"
        if number == 3:
            german = f"Schublade 2: der Stein {NAMES[2]}."
        rows.append(Row(name, "en", f"Where is {name}?", english, "stones"))
        rows.append(Row(name, "de", f"Wo ist {name}?", german, "stones"))
    return rows


@pytest.fixture
def prepared(tmp_path):
    write_rows(rows_of_stones(), tmp_path / "stones.jsonl")
    return prepare([tmp_path / "stones.jsonl"], tmp_path / "prepared")


def unit(rng, shape):
    vectors = rng.normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def naive(rows, queries, passages, settings, allowed):
    """The top of a full sort for every row, in plain loops."""
    texts, component = rows.passages(), rows.table.component
    banned = {frozenset((component[0], component[2]))}  # the near duplicate, by hand
    found = []
    for row in range(len(rows)):
        seen, order = set(), []
        for other in sorted(range(len(rows)), key=lambda at: -float(queries[row] @ passages[at])):
            key = (rows.table.lang[other], texts[other])
            if allowed(row, other) and component[row] != component[other] and key not in seen:
                seen.add(key)
                order.append(other)
        own = float(queries[row] @ passages[row])
        kept = []
        for other in order[settings.range_min : settings.stop]:
            score = float(queries[row] @ passages[other])
            if settings.max_score is not None and score > settings.max_score:
                continue
            if settings.absolute_margin is not None and score > own - settings.absolute_margin:
                continue
            if settings.relative_margin is not None and score > own - abs(own) * settings.relative_margin:
                continue
            if frozenset((component[row], component[other])) not in banned:
                kept.append(texts[other])
        found.append(tuple(kept[: settings.negatives]))
    return found


@pytest.mark.parametrize(
    "settings",
    [
        MineSettings(),
        MineSettings(negatives=5, range_min=1, range_max=8, max_score=0.3),
        MineSettings(negatives=2, absolute_margin=0.1),
        MineSettings(negatives=2, relative_margin=0.5),
    ],
)
@pytest.mark.parametrize("language", ["query", "any"])
def test_against_plain_loops(prepared, settings, language):
    rng = np.random.default_rng(0)
    queries, passages = unit(rng, (24, 8)), unit(rng, (24, 8))
    lang, component = prepared.table.lang, prepared.table.component
    assert component[4] == component[6]
    # Equal texts have equal vectors.
    passages[7] = passages[5]
    settings = replace(settings, language=language)
    expected = naive(prepared, queries, passages, settings, lambda a, b: language == "any" or lang[a] == lang[b])
    for block_bytes in (1, 2**26):
        mined = mine_vectors(queries, passages, prepared, settings, block_bytes=block_bytes)
        assert mined.short == sum(len(entry) < settings.negatives for entry in expected)
        assert mined.negatives == expected


def test_mix_takes_languages_in_turn(prepared):
    rng = np.random.default_rng(1)
    queries, passages = unit(rng, (24, 8)), unit(rng, (24, 8))
    lang_of = dict(zip(prepared.passages(), prepared.column("lang"), strict=True))
    mined = mine_vectors(queries, passages, prepared, MineSettings(negatives=4, language="mix"))
    for lang, found in zip(prepared.column("lang"), mined.negatives, strict=True):
        assert [lang_of[text] == lang for text in found] == [True, False, True, False]


@pytest.mark.parametrize("language", ["any", "mix"])
def test_the_same_text_in_another_language_is_no_negative(language):
    text = "Release 3.11"
    asked = {"en": ("which is it", text), "fr": ("lequel est-ce", text), "de": ("was steht da", "ein Stein am Weg")}
    rows = [
        {"group": lang, "lang": lang, "query": query, "passage": passage} for lang, (query, passage) in asked.items()
    ]
    vectors = unit(np.random.default_rng(0), (3, 4))
    found = mine_vectors(vectors, vectors, prepare(rows, show_progress=False), MineSettings(language=language))
    assert [set(texts) for texts in found.negatives] == [{asked["de"][1]}, {asked["de"][1]}, {text}]


def test_passage_searches_for_the_other_languages_query(prepared):
    rng = np.random.default_rng(2)
    queries, passages = unit(rng, (24, 8)), unit(rng, (24, 8))
    swapped = queries.reshape(12, 2, 8)[:, ::-1].reshape(24, 8)
    by_passage = mine_vectors(queries, passages, prepared, MineSettings(language="passage"))
    assert by_passage.negatives == mine_vectors(swapped, passages, prepared, MineSettings()).negatives


def test_without_other_languages_passage_searches_for_the_own_query():
    rows = [row for row in rows_of_stones() if row.lang == "en"]
    rng = np.random.default_rng(2)
    queries, passages = unit(rng, (12, 8)), unit(rng, (12, 8))
    by_passage, by_query = (
        mine_vectors(queries, passages, prepare(rows, show_progress=False), MineSettings(language=language))
        for language in ("passage", "query")
    )
    assert by_passage.negatives == by_query.negatives


def test_answers_to_the_same_question_are_no_negatives_however_it_is_written():
    asked = {"Where is amber?": "In drawer 4.", "WHERE  is amber?": "Beside the opal.", "Where is opal?": "In a box."}
    rows = [{"group": n, "lang": "en", "query": query, "passage": asked[query]} for n, query in enumerate(asked)]
    vectors = unit(np.random.default_rng(0), (3, 4))
    found = mine_vectors(vectors, vectors, prepare(rows, show_progress=False), MineSettings())
    assert [set(texts) for texts in found.negatives] == [
        {"In a box."},
        {"In a box."},
        {"In drawer 4.", "Beside the opal."},
    ]
    assert found.skipped == {"same": 2}


def test_random_picks_repeat_with_their_seed(prepared):
    rng = np.random.default_rng(3)
    queries, passages = unit(rng, (24, 8)), unit(rng, (24, 8))
    first, again, other = (
        mine_vectors(queries, passages, prepared, MineSettings(pick="random", seed=seed)).negatives
        for seed in (5, 5, 6)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"negatives": 0}, "negatives 0"),
        ({"range_min": 5, "range_max": 6}, "range_min 5 with `range_max` 6"),
        ({"language": "de"}, "language 'de'"),
        ({"relative_margin": 1.0}, "relative_margin"),
    ],
)
def test_settings_that_cannot_work(wrong, message):
    with pytest.raises(InputError, match=message):
        MineSettings(**wrong)


def test_mine_and_score_from_the_command_line(tmp_path, capsys):
    rows = rows_of_stones()
    texts = [text for row in rows for text in (row.query, row.passage)]
    encoder = bert(tmp_path / "encoder", texts)
    judge = cross_encoder(tmp_path / "judge", texts)
    source, mined, scored = (tmp_path / name for name in ("rows.jsonl", "mined.jsonl", "scored.jsonl"))
    write_rows(rows, source)
    assert run(["data", "mine", str(source), "-o", str(mined), "--model", str(encoder), "--language", "mix"]) == 0
    assert "negatives added to 24 rows" in capsys.readouterr().out
    found = [row for _, _, row in read_rows([mined])]
    assert all(len(row.negatives) == 3 for row in found)
    own = {}
    for row in rows:
        own.setdefault(row.group, set()).add(row.passage)
    assert all(not set(row.negatives) & own[row.group] for row in found)

    assert run(["data", "score", str(mined), "-o", str(scored), "--cross-encoder", str(judge)]) == 0
    assert "96 scores for 24 rows" in capsys.readouterr().out
    row = next(row for _, _, row in read_rows([scored]))
    model = load_cross_encoder(str(judge), device="cpu")
    inputs = model.tokenizer(
        [row.query] * 4, [row.passage, *row.negatives], padding=True, return_tensors="pt", truncation=True
    )
    logits = model.model(**inputs).logits.detach().numpy()[:, 0]
    np.testing.assert_allclose(row.scores, logits, atol=1e-5)

    assert run(["data", "score", str(mined), "-o", str(scored), "--overwrite", "--model", str(encoder)]) == 0
    row = next(row for _, _, row in read_rows([scored]))
    assert len(row.scores) == 4
    assert all(-1.001 <= score <= 1.001 for score in row.scores)
    assert run(["data", "score", str(mined), "-o", str(scored), "--overwrite"]) == 2
    assert "--cross-encoder" in capsys.readouterr().err
    # Refused before a model is opened, not after hours of scoring.
    assert run(["data", "score", str(mined), "-o", str(tmp_path / "rows.parquet"), "--model", "nowhere"]) == 2
    assert "rows are written as JSON lines" in capsys.readouterr().err


def test_tokens_of_an_encoder_as_the_teacher(tmp_path, capsys):
    rows = [replace(row, negatives=("a loose stone", f"{row.passage} again")) for row in rows_of_stones()]
    texts = [text for row in rows for text in (row.query, row.passage, *row.negatives)]
    folder, source, scored = tmp_path / "encoder", tmp_path / "rows.jsonl", tmp_path / "scored.jsonl"
    bert(folder, texts)
    write_rows(rows, source)
    words = ["data", "score", str(source), "-o", str(scored), "--late"]
    assert run([*words, "--model", str(folder)]) == 0
    assert "72 scores for 24 rows" in capsys.readouterr().out

    encoder = open_embedder(str(folder))
    found = [row for _, _, row in read_rows([scored])]
    assert len({row.scores for row in found}) > 4
    for row in found:
        answers = [row.passage, *row.negatives]
        query, passages = (
            encoder.encoded(texts, role).vectors for texts, role in (([row.query], "query"), (answers, "passage"))
        )
        tokens = [encoder.encoded_tokens([row.query], "query"), encoder.encoded_tokens(answers, "passage")]
        wanted = mixed(query @ passages.T, late_scores(*tokens))[0]
        np.testing.assert_allclose(row.scores, wanted, atol=1e-5)

    said = []
    for late in (["--late"], []):
        cut = ["data", "score", str(source), "-o", str(scored), "--overwrite", "--model", str(folder), "--length", "5"]
        assert run([*cut, *late]) == 0
        err = capsys.readouterr().err
        said.append([line for line in err.splitlines() if line.endswith("their ends were not read")])
    (query, passage), (_, of_all) = said
    assert query == said[1][0]
    assert re.fullmatch(r"\d+ of 24 query texts \(\d+\.\d%\) are longer than 5 tokens: their ends were not read", query)
    # What two rows share is read once, and counted once.
    distinct = {text for row in rows for text in (row.passage, *row.negatives)}
    assert re.match(rf"\d+ of {len(distinct)} passage texts", passage)
    assert passage.partition(" are ")[2] == of_all.partition(" are ")[2] == query.partition(" are ")[2]

    assert run([*words, "--overwrite", "--cross-encoder", str(folder)]) == 2
    assert "--late compares the tokens of an encoder" in capsys.readouterr().err


def test_scores_without_negatives_and_judges_of_another_kind(prepared, tmp_path):
    judge = load_cross_encoder(str(cross_encoder(tmp_path / "one")), device="cpu")
    assert [len(found) for found in score_with_cross_encoder(prepared, judge)] == [1] * 24
    with pytest.raises(InputError, match="3 outputs"):
        load_cross_encoder(str(cross_encoder(tmp_path / "three", labels=3)))
    with pytest.raises(InputError, match="no such model folder"):
        load_cross_encoder("./nowhere")


def test_what_was_written_is_counted(tmp_path, capsys):
    rows = rows_of_stones()
    encoder = bert(tmp_path / "encoder", [text for row in rows for text in (row.query, row.passage)])
    source, mined, again = (tmp_path / name for name in ("rows.jsonl", "mined.jsonl", "again.jsonl"))
    write_rows(rows, source)
    words = ["data", "mine", "--model", str(encoder), "--negatives", "2"]
    assert run([*words, str(source), "-o", str(mined)]) == 0
    assert "48 negatives added to 24 rows" in capsys.readouterr().out
    # The same ones are found again, and none is new.
    assert run([*words, str(mined), "-o", str(again)]) == 0
    assert f"0 negatives added to 24 rows in {again} (24 rows got fewer than 2)" in capsys.readouterr().out
    assert mined.read_text() == again.read_text()
    assert run([*words, str(mined), "-o", str(again), "--overwrite", "--replace"]) == 0
    assert f"48 negatives added to 24 rows in {again} (0 rows got fewer than 2)" in capsys.readouterr().out


def test_one_long_passage_costs_its_own_length_only(tmp_path):
    """NumPy pads texts to the length of the longest, here 80 kB for each of 2000 passages."""
    rows = [Row(f"g{n}", "de", f"Frage {n}", f"Antwort {n // 2}", "long") for n in range(2000)]
    rows += [Row("g", "en", "Question", "Antwort 7", "long"), Row("h", "de", "Lang?", "lang " * 4000, "long")]
    write_rows(rows, tmp_path / "rows.jsonl")
    prepared = prepare([tmp_path / "rows.jsonl"], tmp_path / "prepared")
    tracemalloc.start()
    try:
        found = distinct_passages(prepared)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert found.tolist() == [*range(0, 2000, 2), 2000, 2001]
