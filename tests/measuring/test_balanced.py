"""Benchmarks scored with every language's preference taken out."""

import numpy as np
import pytest

from isoglot import Benchmark, evaluate
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.encoders.levels import language_levels
from isoglot.measuring.balanced import BALANCED_NOTE, balance
from isoglot.measuring.matrices import cosine_matrix
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher

LANGS = ("de", "en", "th")


def biased(seed=0, groups=12, dimension=16):
    """Translated questions and answers; each language's vectors share a direction, so that it prefers itself."""
    draw = np.random.default_rng(seed)
    meanings, tongues = draw.standard_normal((groups, dimension)), draw.standard_normal((3, dimension))
    queries, passages = {}, {}
    for number, lang in enumerate(LANGS):
        for group in range(groups):
            for side in (queries, passages):
                vector = meanings[group] + 1.5 * tongues[number] + 0.6 * draw.standard_normal(dimension)
                side[f"{lang}{group}"] = vector / np.linalg.norm(vector)
    benchmark = Benchmark.from_dicts(
        queries={f"q-{key}": key for key in queries},
        passages={f"p-{key}": key for key in passages},
        qrels={f"q-{key}": {f"p-{lang}{key[2:]}": 1 for lang in LANGS} for key in queries},
        languages={f"{side}-{key}": key[:2] for side in "qp" for key in queries},
        groups={f"q-{key}": key[2:] for key in queries},
    )
    return benchmark, {f"q-{key}": v for key, v in queries.items()}, {f"p-{key}": v for key, v in passages.items()}


def test_the_pool_gains_and_languages_by_themselves_stay_as_they_are():
    benchmark, queries, passages = biased()
    plain = evaluate((queries, passages), benchmark)
    fair = evaluate((queries, passages), benchmark, fair="balanced")
    for setting in ("monolingual", "cross_lingual"):
        assert fair.macro(setting, "map") == pytest.approx(plain.macro(setting, "map"))
    assert fair.macro("multilingual", "map") > plain.macro("multilingual", "map") + 0.1
    assert fair.macro("multilingual", "rank_distance") < plain.macro("multilingual", "rank_distance")
    assert BALANCED_NOTE in fair.notes
    assert BALANCED_NOTE not in plain.notes


def test_scores_are_less_what_each_language_stands_at(monkeypatch):
    monkeypatch.setattr("isoglot.measuring.balanced._TOGETHER", 4)  # four blocks of queries
    benchmark, queries, passages = biased(groups=5)
    cosines = np.array(list(queries.values())) @ np.array(list(passages.values())).T
    by_id = dict(zip(passages, range(len(passages)), strict=True))
    columns = [by_id[key] for key in benchmark.candidates.ids]
    rows = [list(queries).index(key) for key in benchmark.queries.ids]
    scores = cosines[np.ix_(rows, columns)].astype(np.float32)
    before = scores.copy()
    balance(benchmark, scores)
    langs = benchmark.candidates.lang
    for query, row in enumerate(before.astype(np.float64)):
        parts = [row[langs == code] for code in range(3)]
        means = np.array([[part.mean() for part in parts]])
        nearest = np.array([[sorted(part, reverse=True)[:3] for part in parts]])
        levels = language_levels(means, np.array([5, 5, 5]), nearest)[0]
        np.testing.assert_allclose(scores[query], row - levels[langs], atol=1e-6)


def test_a_search_of_an_index_ranks_alike():
    benchmark, queries, passages = biased(groups=20)
    held = [Passage(key, key, key, key[2:4]) for key in benchmark.candidates.ids]
    own = np.array([passages[key] for key in benchmark.candidates.ids], np.float32)
    asked = np.array([queries[key] for key in benchmark.queries.ids], np.float32)
    searcher = Searcher(MemoryIndex(held, own), lambda texts, role: asked[:1], model_name="made up")
    scores = cosine_matrix(asked, own)
    balance(benchmark, scores)
    for number in (0, 25, 50):
        hits = searcher.search("any", vector=asked[number], fair="balanced", quota=0, k=30)
        best = np.argsort(-scores[number], kind="stable")[:30]
        assert [hit.id for hit in hits] == [benchmark.candidates.ids[place] for place in best]
        np.testing.assert_allclose([hit.score for hit in hits], scores[number, best], atol=1e-5)


def test_what_is_too_large_or_no_such_thing_is_refused_first(monkeypatch):
    benchmark, queries, passages = biased(groups=4)
    with pytest.raises(InputError, match="fair 'even': expected one of none, balanced"):
        evaluate((queries, passages), benchmark, fair="even")
    monkeypatch.setattr("isoglot.measuring.matrices.MOST", 100)
    with pytest.raises(InputError, match=r"balancing would compare each of 12 queries .* search it with fair balanced"):
        evaluate((queries, passages), benchmark, fair="balanced")


def test_from_the_command_line(tmp_path, tiny_model, rows_file, capsys):
    rows = f"--benchmark rows --rows {rows_file} --resamples 0"

    def measured(flags, place):
        code = run([*f"evaluate {rows} {flags} -o {tmp_path}/{place}".split()])
        return code, capsys.readouterr().err

    assert measured(f"--model {tiny_model}", "plain")[0] == 0
    assert measured(f"--model {tiny_model} --late", "late")[0] == 0
    for flags in ("", " --late"):
        assert measured(f"--model {tiny_model} --fair balanced{flags}", "fair")[0] == 0
        fair, plain = (read_json(tmp_path / name / "metrics.json") for name in ("fair", "late" if flags else "plain"))
        assert BALANCED_NOTE in fair["notes"]
        assert BALANCED_NOTE not in plain["notes"]
        assert fair["monolingual"] == pytest.approx(plain["monolingual"], abs=1e-3)
        assert fair["multilingual"]["map"] != plain["multilingual"]["map"]
        assert read_json(tmp_path / "fair" / "run.json")["settings"]["fair"] == "balanced"
        (tmp_path / "fair").rename(tmp_path / f"fair{len(flags)}")
    for flags, said in (
        (f"--model {tiny_model} --fair even", "--fair"),
        (f"--model {tiny_model} --fair balanced --write-trec", "--fair: ranks by more than vectors"),
        (f"--model {tiny_model} --quota 0.2", "--quota: says how an index is searched"),
        (f"--run {tmp_path}/plain/metrics.json --fair balanced", "--fair, --late and --in-context need vectors"),
    ):
        code, told = measured(flags, "refused")
        assert (code, said in told) == (2, True), told
