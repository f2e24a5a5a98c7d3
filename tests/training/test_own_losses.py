"""Losses and regimes of a user's own: what they are given, that they train, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from isoglot.core.errors import InputError
from isoglot.data.prepared import open_prepared, prepare
from isoglot.data.row_table import RowTable
from isoglot.training.losses.batch import pair_batch
from isoglot.training.losses.named import LOSSES, LossTerm, register_loss, weighted_terms
from isoglot.training.losses.terms import info_nce
from isoglot.training.losses.weighted import GroupMaskedInfoNCE
from isoglot.training.run import train
from isoglot.training.sampling.plans import Plans
from isoglot.training.sampling.regimes import Sampling, parse_regime, register_regime
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.sampling.strata import pair_plan
from isoglot.training.settings import TrainSettings
from support.encoders import tiny_encoder
from support.ranks import run_ranks
from support.rows import tiny_rows

FAST = TrainSettings(
    batch_size=4, max_steps=3, save_steps=0, warmup_steps=1, device="cpu", precision="fp32", log_steps=1
)


def own_info_nce(batch):
    """InfoNCE as a user would write it from the documentation alone."""
    scores = batch.queries @ batch.passages.T / batch.temperature
    return functional.cross_entropy(scores.masked_fill(~batch.allowed, -torch.inf), torch.arange(len(batch.queries)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with `model` (no dropout) and `rows` with hard negatives."""
    home = tmp_path_factory.mktemp("own-losses")
    tiny_encoder(home, length=96)
    prepare(
        [tiny_rows(home / "rows.jsonl", negatives=lambda n, lang: [f"{lang} {n} no"] if n % 3 else [])], home / "rows"
    )
    return home


def logged(folder):
    return [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]


def test_what_a_loss_is_given(place, tmp_path):
    seen = []

    def watching(batch):
        seen.append(batch)
        return info_nce(batch)

    settings = replace(FAST, sampling=Sampling("x-y"), max_steps=1)
    train(
        str(place / "model"), open_prepared(place / "rows"), tmp_path, settings, loss=LossTerm(watching, parallel=True)
    )
    (batch,) = seen
    assert batch.queries.shape == batch.parallel_queries.shape == batch.parallel_passages.shape == (4, 32)
    assert batch.passages.shape == (8, 32)
    assert batch.negatives.shape == (4, 1, 32)
    assert batch.identities.shape == (8,)
    for vectors in (batch.queries, batch.passages, batch.parallel_queries):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))
    assert len(set(batch.query_identities.tolist())) == 4
    assert batch.languages == ("de", "en", "hi", "zh")
    asked, answered = ({batch.languages[n] for n in part} for part in (batch.query_languages, batch.passage_languages))
    assert len(asked) == len(answered) == 1 != len(asked | answered)
    assert (batch.temperature, batch.own.tolist()) == (pytest.approx(0.03), [0, 1, 2, 3])


@pytest.mark.parametrize("more", [{}, {"grad_cache": 2}])
def test_an_own_loss_equal_to_a_built_in_one_trains_the_same(place, tmp_path, more):
    settings = replace(FAST, **more)
    rows = open_prepared(place / "rows")
    for name, loss in (("built-in", None), ("own", own_info_nce)):
        train(str(place / "model"), rows, tmp_path / name, settings, loss=loss)
    ours, theirs = (logged(tmp_path / name) for name in ("own", "built-in"))
    assert [line["loss"] for line in ours] == pytest.approx([line["loss"] for line in theirs], rel=1e-5)
    record = json.loads((tmp_path / "own" / "run.json").read_text())
    assert record["settings"]["loss_function"].endswith("test_own_losses.own_info_nce")


def work(home, name, settings):
    train(str(home / "model"), open_prepared(home / "rows"), Path(home) / name, settings, loss=own_info_nce)


def test_an_own_loss_over_two_processes_trains_as_one(place):
    """Passage i answers query i in every process, and gradients reach the passages of the other."""
    train(
        str(place / "model"),
        open_prepared(place / "rows"),
        place / "alone",
        replace(FAST, batch_size=8),
        loss=own_info_nce,
    )
    run_ranks(work, 2, lambda *_: (place, "together", FAST))
    alone, together = (logged(place / name) for name in ("alone", "together"))
    assert [line["loss"] for line in together] == pytest.approx([line["loss"] for line in alone], rel=1e-4)
    assert [line["grad_norm"] for line in together] == pytest.approx([line["grad_norm"] for line in alone], rel=1e-3)


def test_a_registered_loss_is_weighed_beside_the_others(place, tmp_path):
    register_loss("own-half", lambda batch: batch.per_query.mean() / 2)
    settings = replace(FAST, loss=("own-half=3",), max_steps=1)
    train(str(place / "model"), open_prepared(place / "rows"), tmp_path, settings)
    line = logged(tmp_path)[0]
    assert line["loss_term/own-half"] == pytest.approx(line["loss_term/info_nce"] / 2, rel=1e-4)
    assert line["loss"] == pytest.approx(2.5 * line["loss_term/info_nce"], rel=1e-3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("margin", "expected NAME=WEIGHT"),
        ("margin=x", "expected NAME=WEIGHT"),
        ("margin=-1", "0 or more"),
        ("=1", "NAME"),
    ],
)
def test_broken_weights(entry, message):
    with pytest.raises(InputError, match=message):
        TrainSettings(loss=(entry,))


def test_unknown_names_list_the_known_ones(place, tmp_path):
    with pytest.raises(InputError, match=r"no loss named 'margin'; there are: .*distill.*info_nce, jsd, kl.*symmetric"):
        train(str(place / "model"), open_prepared(place / "rows"), tmp_path, replace(FAST, loss=("margin=1",)))
    with pytest.raises(InputError, match=r"loss 'kl=2': kl is given twice"):
        TrainSettings(loss=("kl=1", "kl=2"))


def test_a_loss_that_is_no_scalar_is_refused():
    eye = torch.eye(3)
    batch = pair_batch([eye, eye], torch.arange(3), 0.5)
    for function, seen in ((lambda batch: batch.per_query, r"a tensor \(3,\)"), (lambda batch: 1.0, "float")):
        loss = GroupMaskedInfoNCE(torch.nn.Module(), terms={"mine": (LossTerm(function), 1.0)})
        with pytest.raises(InputError, match=f"loss 'mine' gave {seen}; expected a scalar"):
            loss.compare(batch)
    LOSSES.register("own-five", 5)
    with pytest.raises(InputError, match="given as int; expected a function of a batch"):
        weighted_terms({"own-five": 1.0})


def to_pivot(table, sampling, batch):
    """Questions in any language, answers in the pivot."""
    return Plans.of(pair_plan(table, sampling, batch, keep=lambda query, passage: passage == sampling.pivot))


def test_a_registered_regime_draws_what_it_says():
    register_regime("to-pivot", to_pivot)
    langs = ["de", "en", "zh"]
    table = RowTable.from_columns([f"g{n}" for n in range(12) for _ in langs], langs * 12)
    sampler = HybridBatchSampler(table, Sampling("to-pivot"), 4, steps=40)
    pairs = {(batch.query_lang, batch.passage_lang) for batch in sampler.batches()}
    assert pairs == {("de", "en"), ("zh", "en")}
    assert parse_regime("to-pivot").name == "to-pivot"
    assert parse_regime("hybrid-0.3", Sampling("to-pivot")).name == "hybrid-0.3"


def test_an_unknown_regime_lists_the_known_ones():
    with pytest.raises(InputError, match=r"regime 'to-pole': expected one of en-en, hybrid, .*x-x, x-x-mono, x-y"):
        Sampling("to-pole")


def test_further_passages_of_a_query_are_never_its_negatives():
    """Both are one component: whichever is drawn, the loss leaves the other out of the sum, as a hard negative too."""
    table = RowTable.from_columns(["g", "g", "h"], ["de"] * 3, ["one", "other", "third"])
    first, other, third = np.asarray(table.component).tolist()
    assert first == other != third
    draw = torch.Generator().manual_seed(0)
    queries, passages, negatives = (torch.randn(2, 5, generator=draw) for _ in range(3))
    batch = pair_batch([queries, passages, negatives], torch.tensor([[first, -1], [third, other]]), 0.5)
    # Columns: both own passages, then the two negatives; the second negative is the first query's other passage.
    assert batch.allowed.tolist() == [[True, True, True, False], [True, True, True, True]]
