"""Each further loss against a naive implementation, and hard negatives and teacher scores from rows to loss."""

import math

import numpy as np
import pytest
import torch

from isoglot.training.losses.batch import pair_batch
from isoglot.training.losses.divergences import distillation, root_jensen_shannon, symmetric_kl
from isoglot.training.losses.named import weighted_terms
from isoglot.training.losses.weighted import GroupMaskedInfoNCE
from support.encoders import tiny_encoder
from support.rows import tiny_rows


class NoModel(torch.nn.Module):
    """Stands where the loss wants a model; embeddings are given."""

    def __iter__(self):
        return iter(())


def softmax(row):
    top = max(row)
    weights = [math.exp(value - top) for value in row]
    return [weight / sum(weights) for weight in weights]


def naive_kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def cosine(left, right):
    left, right = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


@pytest.fixture
def vectors():
    draw = np.random.default_rng(3)
    return [torch.tensor(draw.normal(size=(5, 7)), dtype=torch.float32) for _ in range(5)]


IDS = [4, 1, 4, 2, 3]


def loss_of(vectors, parallel=False, teacher=None, labels=None, **weights):
    loss = GroupMaskedInfoNCE(NoModel(), terms=weighted_terms(weights))
    labels = torch.tensor(IDS) if labels is None else labels
    columns, versions = (vectors[:-2], vectors[-2:]) if parallel else (vectors, [])
    return loss.compare(pair_batch(columns, labels, 0.2, parallel=versions, teacher=teacher)).loss.item()


def allowed(i, j):
    return i == j or IDS[i] != IDS[j]


def test_symmetric_is_info_nce_with_the_sides_exchanged(vectors):
    queries, passages = vectors[:2]
    expected = 0.0
    for i in range(5):
        row = [cosine(passages[i], queries[j]) / 0.2 for j in range(5) if allowed(i, j)]
        own = [j for j in range(5) if allowed(i, j)].index(i)
        expected -= math.log(softmax(row)[own]) / 5
    assert loss_of(vectors[:2], symmetric=1.0) == pytest.approx(expected, rel=1e-5)
    assert loss_of(vectors[:2], symmetric=2.0) == pytest.approx(2 * expected, rel=1e-5)


def test_jsd_compares_what_parallel_passages_score(vectors):
    queries, passages, parallel, other, _ = vectors
    expected = 0.0
    for i in range(5):
        p, q = (
            softmax([cosine(passage[i], queries[j]) / 0.2 for j in range(5) if allowed(i, j)])
            for passage in (passages, parallel)
        )
        middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
        expected += math.sqrt((naive_kl(p, middle) + naive_kl(q, middle)) / 2) / 5
    assert loss_of([queries, passages, parallel, other], parallel=True, jsd=1.0) == pytest.approx(expected, rel=1e-5)


def test_kl_compares_what_parallel_queries_score(vectors):
    queries, passages, other, parallel, _ = vectors
    expected = 0.0
    for i in range(5):
        p, q = (
            softmax([cosine(query[i], passages[j]) / 0.2 for j in range(5) if allowed(i, j)])
            for query in (queries, parallel)
        )
        expected += (naive_kl(p, q) + naive_kl(q, p)) / 10
    assert loss_of([queries, passages, other, parallel], parallel=True, kl=1.0) == pytest.approx(expected, rel=1e-5)


def test_distillation_uses_rows_with_two_scores(vectors):
    queries, passages, first, second, _ = vectors
    nan = math.nan
    given = [[0.9, 0.1, 0.3], [0.5, nan, nan], [nan] * 3, [0.2, 0.4, nan], [1.0, 0.0, 0.5]]
    ids = torch.tensor([[4, -1, -1], [1, -2, -2], [5, -2, -2], [2, -1, -2], [3, -1, -1]])
    expected = []
    for i, row in enumerate(given):
        known = [k for k in range(3) if not math.isnan(row[k])]
        if len(known) >= 2:
            p = softmax([row[k] / 0.2 for k in known])
            q = softmax([cosine(queries[i], (passages, first, second)[k][i]) / 0.2 for k in known])
            expected.append(naive_kl(p, q))
    assert len(expected) == 3
    found = loss_of([queries, passages, first, second], teacher=torch.tensor(given), labels=ids, distill=1.0)
    assert found == pytest.approx(sum(expected) / 3, rel=1e-5)
    assert loss_of([queries, passages], distill=1.0) == 0.0


def test_absent_negatives_and_other_versions_are_not_in_the_sum(vectors):
    queries, passages, negatives = vectors[:3]
    # Row 0's negative is a version of row 1's passage (id 1); row 2 has none.
    ids = torch.tensor([[4, 1], [1, -1], [5, -2], [2, -1], [3, -1]])
    expected = 0.0
    columns = [*((passages[j], int(ids[j, 0])) for j in range(5)), *((negatives[j], int(ids[j, 1])) for j in range(5))]
    for i in range(5):
        counted = [j for j, (_, other) in enumerate(columns) if other != -2 and (j == i or other != int(ids[i, 0]))]
        row, own = [cosine(queries[i], columns[j][0]) / 0.2 for j in counted], counted.index(i)
        expected -= math.log(softmax(row)[own]) / 5
    assert loss_of([queries, passages, negatives], labels=ids, info_nce=1.0) == pytest.approx(expected, rel=1e-5)


def test_equal_distributions_cost_nothing_and_have_a_finite_slope():
    logits = torch.tensor([[1.0, 2.0, -torch.inf]], requires_grad=True)
    value = root_jensen_shannon(logits, logits.detach())
    value.backward()
    assert value.item() == pytest.approx(1e-4, rel=1e-3)
    assert torch.isfinite(logits.grad[:, :2]).all()
    assert symmetric_kl(logits, logits).item() == 0.0


def test_opposite_distributions_reach_the_largest_distance():
    far = root_jensen_shannon(torch.tensor([[100.0, 0.0]]), torch.tensor([[0.0, 100.0]]))
    assert far.item() == pytest.approx(math.sqrt(math.log(2)), rel=1e-5)


def test_teacher_and_student_that_agree_cost_nothing():
    logits = torch.tensor([[3.0, 1.0], [0.0, 2.0]])
    total, rows = distillation(logits, logits + 5.0)
    assert total.item() == pytest.approx(0.0, abs=1e-6)
    assert rows.item() == 2


def test_logits_keep_the_own_column():
    eye = torch.eye(2)
    found = pair_batch([eye, eye], torch.tensor([7, 7]), 0.5).logits
    assert found.tolist() == [[2.0, -math.inf], [-math.inf, 2.0]]


@pytest.mark.parametrize("numbers", [None, np.arange(8)])
def test_rows_negatives_and_scores_reach_the_batch(tmp_path, numbers):
    from isoglot.data.prepared import prepare
    from isoglot.encoders.loading import load
    from isoglot.encoders.presets import Preset
    from isoglot.training.inputs import run_collator
    from isoglot.training.settings import TrainSettings

    def negatives(n, lang):
        if n == 0:
            return ["something else", "more", "cut off"]
        # The passage of another group, word for word: it must carry that group's identity.
        return ["Mountain number 0 is 100 metres high."] if n == 1 else []

    rows = prepare(
        [
            tiny_rows(
                tmp_path / "rows.jsonl",
                groups=4,
                langs=("de", "en"),
                negatives=negatives,
                scores=lambda n, lang: [0.9, 0.8, 0.7, 0.1] if n == 0 else [],
            )
        ],
        tmp_path / "prepared",
    )
    model = load(str(tiny_encoder(tmp_path, dropout=0.1, length=96)), device="cpu")
    settings = TrainSettings(negatives=2, loss_kl=1.0, device="cpu")
    preset = Preset("", query_length=32, passage_length=64)
    collator = run_collator(model, rows, settings, preset, tmp_path / "tokens", numbers, parallel=True)
    lang, group = rows.column("lang"), rows.column("group")

    def at(name, code):
        return next(row for row in range(len(rows)) if (group[row], lang[row]) == (name, code))

    asked, answers = [at("g0", "de"), at("g1", "de"), at("g2", "de")], [at("g0", "en"), at("g1", "en"), at("g2", "en")]
    batch = collator([{"row": row} for row in [*asked, *answers]])
    component = rows.table.component
    zero, one, two = (int(component[row]) for row in asked)
    assert batch["label"].tolist() == [[zero, -1, -1], [one, zero, -2], [two, -2, -2]]
    assert batch["teacher"][0].tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert torch.isnan(batch["teacher"][1:]).all()
    texts = [
        model.tokenizer.decode(ids[mask.bool()]).replace(" ", "")
        for ids, mask in zip(*(batch["columns"][2][key] for key in ("input_ids", "attention_mask")), strict=True)
    ]
    assert "passage:somethingelse" in texts[0]
    assert texts[2] == "<pad>"
    assert len(batch["columns"]) == 4
    versions = [model.tokenizer.decode(part["input_ids"][1], skip_special_tokens=True) for part in batch["parallel"]]
    assert versions[0].startswith("passage: Der Berg Nummer 1")
    assert versions[1].startswith("query: How high is mountain nu")
    assert collator([{"row": row} for row in [*asked, *asked]])["parallel"] == []
    assert batch["rows"].tolist() == [asked, answers]
