"""Losses that draw to a frozen teacher's pivot vectors: each against a naive implementation, and in training."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.data.prepared import prepare
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load
from isoglot.training.losses.alignment import align, align_regression, align_scores
from isoglot.training.losses.batch import Pivots, pair_batch
from isoglot.training.pivots import PivotVectors, pivot_vectors
from isoglot.training.run import train
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import TrainSettings
from support.encoders import tiny_encoder
from support.rows import write_jsonl

T = 0.2
FAST = {"batch_size": 4, "max_steps": 4, "warmup_steps": 1, "lr": 1e-3, "device": "cpu", "precision": "fp32"}


def unit(draw, *shape):
    values = draw.normal(size=shape)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


@pytest.fixture
def case():
    """Three pairs before five pivots; pivots 1 and 4 are one passage, and the second query has no pivot version."""
    draw = np.random.default_rng(5)
    queries, passages, pivot_queries, pivot_passages = (unit(draw, n, 6) for n in (3, 3, 5, 5))
    identities, own_queries, own_passages = [7, 8, 9, 6, 8], [0, -1, 4], [0, 1, 4]
    pivots = Pivots(
        torch.tensor(pivot_queries, dtype=torch.float32),
        torch.tensor(pivot_passages, dtype=torch.float32),
        torch.tensor(identities),
        torch.tensor(own_queries),
        torch.tensor(own_passages),
    )
    columns = [torch.tensor(side, dtype=torch.float32) for side in (queries, passages)]
    batch = pair_batch(columns, torch.tensor([7, 3, 8]), T, pivots=pivots)
    sides = [
        (queries, own_queries, pivot_queries, pivot_passages),
        (passages, own_passages, pivot_passages, pivot_queries),
    ]
    return batch, sides, identities


def texts(sides):
    """Student vector, place of its pivot, pivots of its role and of the other one, for each text that has a pivot."""
    return [
        (v, at, same, other) for side, own, same, other in sides for v, at in zip(side, own, strict=True) if at >= 0
    ]


def log_softmax(row):
    total = math.log(sum(math.exp(value) for value in row))
    return [value - total for value in row]


def test_align_is_the_cross_entropy_among_all_pivots_but_other_versions(case):
    batch, sides, identities = case
    expected = 0.0
    for vector, at, same, _ in texts(sides):
        kept = [j for j in range(5) if j == at or identities[j] != identities[at]]
        row = log_softmax([float(vector @ same[j]) / T for j in kept])
        expected -= row[kept.index(at)]
    assert align(batch).item() == pytest.approx(expected / 6, rel=1e-5)


def test_align_regression_is_half_the_squared_distance(case):
    batch, sides, _ = case
    expected = sum(np.sum((vector - same[at]) ** 2) / 2 for vector, at, same, _ in texts(sides))
    assert align_regression(batch).item() == pytest.approx(expected / 6, rel=1e-5)


def test_align_scores_is_the_divergence_from_what_the_pivot_version_scores(case):
    batch, sides, _ = case
    expected = 0.0
    for vector, at, same, other in texts(sides):
        p, q = (log_softmax([float(x @ row) / T for row in other]) for x in (same[at], vector))
        expected += sum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True))
    assert align_scores(batch).item() == pytest.approx(expected / 6, rel=1e-4)


@pytest.mark.parametrize("loss", [align, align_regression, align_scores])
def test_nothing_to_draw_to(case, loss):
    batch, *_ = case
    assert loss(pair_batch([batch.queries, batch.passages], torch.tensor([7, 3, 8]), T)) is None
    none = batch.pivots._replace(own_queries=torch.full((3,), -1), own_passages=torch.full((3,), -1))
    assert loss(pair_batch([batch.queries, batch.passages], torch.tensor([7, 3, 8]), T, pivots=none)) is None


def test_a_text_at_its_pivot_pays_nothing_but_for_its_neighbours(case):
    batch, *_ = case
    pivots = batch.pivots._replace(own_queries=torch.tensor([0, 2, 4]), own_passages=torch.tensor([0, 2, 4]))
    at = [side[[0, 2, 4]] for side in (pivots.queries, pivots.passages)]
    there = pair_batch(at, torch.tensor([7, 9, 8]), T, pivots=pivots)
    assert align_regression(there).item() == pytest.approx(0.0, abs=1e-6)
    assert align_scores(there).item() == pytest.approx(0.0, abs=1e-6)
    assert align(there).item() < align(
        pair_batch([batch.queries, batch.passages], torch.tensor([7, 9, 8]), T, pivots=pivots)
    )


def rows_with_gaps():
    """20 questions in de, en and zh; those of q3 and q5 are not asked in en."""
    return [
        {
            "group": f"q{n}",
            "lang": lang,
            "query": f"{lang} Frage {n}?",
            "passage": f"{lang} Antwort {n}.",
            "dataset": "d",
        }
        for n in range(20)
        for lang in ("de", "en", "zh")
        if not (lang == "en" and n in (3, 5))
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("alignment")
    tiny_encoder(home, length=96)
    write_jsonl(home / "rows.jsonl", rows_with_gaps())
    return home


@pytest.fixture
def rows(home, tmp_path):
    return prepare([home / "rows.jsonl"], tmp_path / "rows", show_progress=False)


def test_every_row_knows_its_pivot_vectors(home, rows, monkeypatch):
    monkeypatch.setattr("isoglot.training.pivots._PART", 7)  # three parts
    model = load(str(home / "model"), device="cpu")
    found = pivot_vectors(model, rows, TrainSettings(precision="fp32"), home / "unused")
    assert len(found.queries) == 18
    queries = rows.column("query")
    for row, (lang, text) in enumerate(zip(rows.table.lang, queries, strict=True)):
        number = int(text.split()[-1].rstrip("?"))
        at = found.place[row]
        if number in (3, 5):
            assert at == -1
            continue
        for side, sentence, role in (
            (found.queries, f"en Frage {number}?", "query"),
            (found.passages, f"en Antwort {number}.", "passage"),
        ):
            np.testing.assert_allclose(
                side[at], encode(model, [sentence], role, precision="fp32").vectors[0], atol=1e-5
            )
        assert found.identity[at] == rows.table.component[row]
        assert lang < 3
    rounded = pivot_vectors(model, rows, TrainSettings(precision="bf16"), home / "unused")
    assert not np.array_equal(rounded.queries, found.queries)
    # Again: from the file, nothing is encoded.
    monkeypatch.setattr("isoglot.training.pivots.encode", None)
    again = pivot_vectors(model, rows, TrainSettings(precision="fp32"), home / "unused")
    np.testing.assert_array_equal(again.queries, found.queries)
    assert not (home / "unused").exists()


def test_many_pivots_are_sampled_with_the_batchs_own_among_them():
    draw = np.random.default_rng(0)
    vectors = unit(draw, 100, 4).astype(np.float32)
    place = np.concatenate([np.arange(100), [-1, -1]])
    pivots = PivotVectors(vectors, -vectors, np.arange(100) + 1000, place, most=20)
    asked, answers = np.array([90, 101, 3]), np.array([90, 5, 100])
    found = pivots.of(asked, answers)
    assert 10 <= len(found.queries) <= 20
    assert found.own_queries.tolist()[1] == -1
    assert found.own_passages.tolist()[2] == -1
    for own, rows_of in ((found.own_queries, asked), (found.own_passages, answers)):
        for at, row in zip(own.tolist(), rows_of.tolist(), strict=True):
            if at >= 0:
                assert found.identities[at] == 1000 + row
                np.testing.assert_array_equal(found.queries[at].numpy(), vectors[row])
                np.testing.assert_array_equal(found.passages[at].numpy(), -vectors[row])
    again = pivots.of(asked, answers)
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))


def test_a_batch_without_any_pivot_has_no_loss(home, tmp_path):
    rows = [{**row, "dataset": "d" if row["lang"] == "en" else "e"} for row in rows_with_gaps()]
    settings = TrainSettings(Sampling("x-x-mono"), **FAST, loss_info_nce=0.0, loss=("align=1",), log_steps=1)
    folder = train(str(home / "model"), rows, tmp_path / "trained", settings)
    losses = [json.loads(line)["loss"] for line in (folder / "training.jsonl").read_text().splitlines()]
    assert len(losses) == 4
    assert 0.0 in losses


def test_training_draws_languages_to_the_frozen_pivot(home, rows, tmp_path):
    model = str(home / "model")
    base = load(model, device="cpu")
    settings = TrainSettings(
        Sampling("x-y"), **{**FAST, "max_steps": 30}, loss_info_nce=0.0, loss=("align_regression=1",), save_steps=0
    )
    folder = train(model, rows, tmp_path / "trained", settings)
    after = load(str(folder), device="cpu")
    german, english = ([f"{lang} Frage {n}?" for n in (0, 1, 2)] for lang in ("de", "en"))
    target = encode(base, english, "query").vectors
    before, trained = ((encode(m, german, "query").vectors * target).sum(axis=1).mean() for m in (base, after))
    assert trained > before + 0.5 * (1 - before)
    lines = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]


def test_gradcache_takes_the_same_steps(home, rows, tmp_path):
    def losses(name, **more):
        settings = TrainSettings(**FAST, loss=("align=1", "align_scores=.5"), log_steps=1, **more)
        folder = train(str(home / "model"), rows, tmp_path / name, settings)
        lines = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
        return [line["loss"] for line in lines if "loss" in line]

    plain = losses("plain")
    assert len(plain) == 4
    assert losses("cached", grad_cache=3) == pytest.approx(plain, rel=1e-3)


def test_a_model_that_keeps_a_part_of_its_vectors_draws_to_whole_ones(home, rows, tmp_path):
    """As all losses compare whole vectors."""
    part = SentenceTransformer(str(home / "model"), device="cpu", truncate_dim=8)
    settings = TrainSettings(**FAST, loss=("align=1",), log_steps=1)
    losses = []
    for name, model in (("whole", str(home / "model")), ("part", part)):
        folder = train(model, rows, tmp_path / name, settings)
        losses.append([json.loads(line)["loss"] for line in (folder / "training.jsonl").read_text().splitlines()])
    assert losses[0] == losses[1]
    assert load(str(tmp_path / "part"), device="cpu").truncate_dim == 8


def test_another_teacher(home, rows, tmp_path):
    teacher = load(str(home / "model"), device="cpu")
    SentenceTransformer(modules=[*teacher, Dense(32, 64)], device="cpu").save_pretrained(str(tmp_path / "wide"))
    settings = TrainSettings(**FAST, loss=("align=1",), align_teacher=str(tmp_path / "wide"))
    with pytest.raises(InputError, match="64 dimensions, those of the model 32"):
        train(str(home / "model"), rows, tmp_path / "out", settings)


def test_a_resumed_run_has_the_same_teacher(home, rows, tmp_path):
    shutil.copytree(home / "model", tmp_path / "teacher")
    settings = TrainSettings(**FAST, loss=("align=1",), align_teacher=str(tmp_path / "teacher"))
    train(str(home / "model"), rows, tmp_path / "out", settings)
    other = load(str(tmp_path / "teacher"), device="cpu")
    with torch.no_grad():
        next(other.parameters()).add_(1.0)
    other.save_pretrained(str(tmp_path / "teacher"))
    with pytest.raises(InputError, match=r"align_teacher_weights .checksum"):
        train(str(home / "model"), rows, tmp_path / "out", settings, resume=True)


@pytest.mark.parametrize(
    ("losses", "teacher", "expected"),
    [
        ((), "embedded", "no loss uses a teacher"),
        (("align=1",), "no/such/model", "align_teacher no/such/model: no such"),
    ],
)
def test_a_teacher_that_cannot_serve_is_refused_before_anything_is_done(
    home, rows, tmp_path, losses, teacher, expected
):
    with pytest.raises(InputError, match=expected):
        train(str(home / "model"), rows, tmp_path / "out", TrainSettings(**FAST, loss=losses, align_teacher=teacher))


def test_from_the_command_line(home, tmp_path, capsys):
    line = ["train", "--rows", str(home / "rows.jsonl"), "--model", str(home / "model"), "--max-steps", "2"]
    line += ["--batch-size", "4", "--loss", "align=1", "--device", "cpu"]
    assert run([*line, "-o", str(tmp_path / "out")]) == 0
    logged = json.loads((tmp_path / "out" / "training.jsonl").read_text().splitlines()[-1])
    assert logged["loss_term/align"] > 0
    assert run([*line, "--langs", "de,zh", "-o", str(tmp_path / "none")]) == 2
    assert "pivot language 'en'" in capsys.readouterr().err
