"""Bitext: rows whose texts are paired with their translations, and never with themselves."""

import json
from collections import Counter

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.curation.auditing import audit
from isoglot.curation.rewriting import rows_of
from isoglot.data.description import describe, render
from isoglot.data.prepared import open_prepared, prepare
from isoglot.data.rows import read_rows, write_rows
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.selection import hold_out
from support.rows import parallel_rows, write_jsonl

LANGS = ("de", "en", "zh")


def bitext(groups, dataset="memory"):
    return [
        {"group": f"m{n}", "lang": lang, "query": f"{lang} sentence {n}", "passage": f"{lang} sentence {n}",
         "dataset": dataset, "kind": "bitext"}
        for n in range(groups) for lang in LANGS
    ]  # fmt: skip


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """20 groups of questions and 40 of bitext, in the same languages."""
    home = tmp_path_factory.mktemp("bitext")
    path = write_jsonl(home / "rows.jsonl", [*parallel_rows(20, LANGS), *bitext(40)])
    return prepare([path], home / "prepared", show_progress=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    home = tmp_path_factory.mktemp("bitext-alone")
    return prepare([write_jsonl(home / "rows.jsonl", bitext(40))], home / "prepared", show_progress=False)


def drawn(rows, sampling, steps=300):
    table, lang = rows.table, np.asarray(rows.table.lang)
    kinds = Counter()
    for batch in HybridBatchSampler(table, sampling, 4, steps=steps).batches():
        kinds[batch.dataset, batch.kind] += 1
        if batch.dataset == "memory":
            assert (lang[batch.queries] != lang[batch.passages]).all()
    return kinds


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling("hybrid"),
        Sampling("x-y", xy_draw="independent"),
        Sampling("x-y", xy="per-example", xy_draw="independent"),
        Sampling("x-y", xy="per-example"),
    ],
)
def test_a_sentence_is_never_its_own_query(mixed, sampling):
    kinds = drawn(mixed, sampling)
    assert kinds["memory", "mono"] == 0
    cross = kinds["memory", "cross"] + kinds["wiki", "cross"]
    # 120 of 180 rows; three standard errors of at least 120 coins are .13.
    assert kinds["memory", "cross"] / cross == pytest.approx(2 / 3, abs=0.13)


@pytest.mark.parametrize("regime", ["x-x-mono", "x-x", "en-en"])
def test_batches_of_one_language_come_from_questions_alone(mixed, regime):
    assert {dataset for dataset, _ in drawn(mixed, Sampling(regime), 30)} == {"wiki"}


@pytest.mark.parametrize("regime", ["x-x-mono", "x-x", "hybrid"])
def test_bitext_alone_serves_no_batch_of_one_language(alone, regime):
    with pytest.raises(InputError, match="they are bitext, where a text would be its own query; give `regime` x-y"):
        HybridBatchSampler(alone.table, Sampling(regime), 4)
    assert drawn(alone, Sampling("x-y"), 10) == {("memory", "cross"): 10}


def test_what_is_held_out_has_questions(mixed, alone):
    kept, held = hold_out(mixed, 0.3, 0)
    assert set(held.column("dataset")) == {"wiki"}
    assert kept.column("dataset").count("memory") == 120
    assert kept.table.cross_only == ("memory",)
    with pytest.raises(InputError, match="bitext has no questions to select a model on"):
        hold_out(alone, 0.3, 0)


def test_the_kind_is_kept_in_folders_and_files(mixed, tmp_path):
    assert open_prepared(mixed.folder).table.cross_only == ("memory",)
    write_rows(rows_of(mixed), tmp_path / "again.jsonl")
    kinds = Counter((row.dataset, row.kind) for _, _, row in read_rows([tmp_path / "again.jsonl"]))
    assert kinds == {("wiki", "qa"): 60, ("memory", "bitext"): 120}
    again = prepare([tmp_path / "again.jsonl"], tmp_path / "again", show_progress=False)
    assert again.checksum == mixed.checksum


def test_a_folder_prepared_before_there_was_bitext_opens(mixed):
    meta = mixed.folder / "meta.json"
    now = meta.read_text()
    before = json.loads(now)
    del before["cross_only"]
    meta.write_text(json.dumps(before))
    try:
        assert open_prepared(mixed.folder).table.cross_only == ()
    finally:
        meta.write_text(now)


def test_a_data_set_of_two_kinds_names_the_lines(tmp_path):
    rows = bitext(2)
    for number in (3, 5):
        del rows[number]["kind"]
    path = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(InputError, match="2 problems") as caught:
        prepare([path], tmp_path / "prepared", show_progress=False)
    assert "rows.jsonl:4: field 'kind' is qa where earlier rows of data set memory are bitext" in str(caught.value)
    assert "rows.jsonl:6: " in str(caught.value)
    rows[0]["kind"] = "monologue"
    with pytest.raises(InputError, match="field 'kind' is 'monologue'; expected qa or bitext"):
        prepare([write_jsonl(path, rows[:1])], tmp_path / "prepared", show_progress=False)


def test_descriptions_and_audits_tell_it(mixed, alone):
    assert "memory (120 rows, bitext: cross-lingual batches only)" in render(describe(mixed))
    facts = audit(alone, sampling=Sampling("x-y"), batch_size=4, batches=3)
    assert facts["unusable"]["languages_below_batch"] == []  # bitext never fills a batch of one language
    assert facts["unusable"]["pairs_below_batch"] == []
