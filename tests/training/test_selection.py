"""The share of monolingual batches over time, and selecting a model on held-out groups."""

import json
import math
import sys

import numpy as np
import pytest

from isoglot.core.errors import InputError, IsoglotError
from isoglot.data.prepared import prepare
from isoglot.data.row_table import RowTable
from isoglot.training.run import train
from isoglot.training.sampling.alpha import alpha_at, parse_points
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.selection import hold_out
from isoglot.training.settings import TrainSettings
from support.encoders import tiny_encoder
from support.rows import TEMPLATES, tiny_rows


@pytest.mark.parametrize(
    ("progress", "schedule", "expected"),
    [
        (0.0, "constant", 0.8),
        (1.0, "constant", 0.8),
        (0.0, "linear", 0.8),
        (0.25, "linear", 0.65),
        (1.0, "linear", 0.2),
        (0.0, "cosine", 0.8),
        (0.5, "cosine", 0.5),
        (1 / 3, "cosine", 0.2 + 0.6 * (1 + 0.5) / 2),
        (1.0, "cosine", 0.2),
    ],
)
def test_values_worked_by_hand(progress, schedule, expected):
    assert alpha_at(progress, schedule, 0.8, 0.2) == pytest.approx(expected)


def test_piecewise_joins_points_by_lines_and_holds_the_ends():
    points = "0.2:1, 0.4:0.5, 0.8:0"
    values = [alpha_at(at, "piecewise", 0.5, 0.5, points) for at in (0.0, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)]
    assert values == pytest.approx([1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not PROGRESS:ALPHA"),
        ("0:1,x", "'x' is not"),
        ("0:2", "'0:2'"),
        ("0:1,0:0", "must increase"),
        ("nan:1", "nan"),
    ],
)
def test_broken_points_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_points(text)


def test_settings_check_the_schedule():
    with pytest.raises(InputError, match="alpha_schedule 'sudden'"):
        Sampling(alpha_schedule="sudden")
    with pytest.raises(InputError, match="alpha_end"):
        Sampling(alpha_schedule="linear", alpha_end=1.5)
    with pytest.raises(InputError, match="alpha_points"):
        Sampling(alpha_schedule="piecewise")
    with pytest.raises(InputError, match="only used by"):
        Sampling(alpha_points="0:1")
    assert Sampling(alpha=1.0, alpha_schedule="linear", alpha_end=0.0).name == "hybrid-linear-1-0"


def kinds(sampling, steps=600):
    table = RowTable.from_columns([f"g{n}" for n in range(12) for _ in range(3)], ["de", "en", "zh"] * 12)
    sampler = HybridBatchSampler(table, sampling, 4, steps=steps)
    return np.array([batch.kind == "mono" for batch in sampler.batches()])


def test_sampler_follows_the_schedule():
    found = kinds(Sampling(alpha=1.0, alpha_schedule="linear", alpha_end=0.0))
    assert found[0]
    assert not found[-1]
    thirds = found.reshape(3, 200).mean(axis=1)
    # Means 5/6, 1/2, 1/6; three standard errors of 200 coins are .08, .11, .08.
    assert thirds == pytest.approx([5 / 6, 1 / 2, 1 / 6], abs=0.11)
    stepwise = kinds(Sampling(alpha_schedule="piecewise", alpha_points="0:1,0.49:1,0.51:0"))
    assert stepwise[:294].all()
    assert not stepwise[306:].any()


def test_constant_alpha_is_the_draw_it_was():
    assert (kinds(Sampling(alpha=0.3)) == kinds(Sampling(alpha=0.3, alpha_schedule="linear", alpha_end=0.3))).all()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("selection")
    tiny_encoder(home, dropout=0.1, length=96)
    rows = tiny_rows(home / "rows.jsonl")
    # g0 and g1 have one German passage in common: one component.
    records = [json.loads(line) for line in rows.read_text().splitlines()]
    german = next(r["passage"] for r in records if (r["group"], r["lang"]) == ("g0", "de"))
    for record in records:
        if (record["group"], record["lang"]) == ("g1", "de"):
            record["passage"] = german
    rows.write_text("".join(json.dumps(record) + "\n" for record in records))
    prepare([rows], home / "rows")
    return home


def rows_of(place):
    from isoglot.data.prepared import open_prepared

    return open_prepared(place / "rows")


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_holding_out_keeps_components_whole(place, seed):
    rows = rows_of(place)
    kept, held = hold_out(rows, 0.3, seed)
    sides = [set(part.column("group")) for part in (kept, held)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 24
    assert len(kept) + len(held) == len(rows) == 96
    assert {"g0", "g1"} <= sides[0] or {"g0", "g1"} <= sides[1]
    for part, groups in zip((kept, held), sides, strict=True):
        joined = {"g0", "g1"} <= groups
        assert int(part.table.dataset_components[0]) == len(groups) - joined
        assert len(set(np.asarray(part.table.component).tolist())) == len(groups) - joined
        for row in (0, len(part) - 1):
            assert part.table.languages[part.table.lang[row]] == part.column("lang", [row])[0]
    again, _ = hold_out(rows, 0.3, seed)
    assert again.column("group") == kept.column("group")
    assert kept.checksum != held.checksum != rows.checksum


def test_a_text_under_two_languages_is_on_one_side_only(tmp_path):
    # Lines of code, which nobody translates, each in a German and an English group.
    rows = [
        {"group": f"{lang}{n}", "lang": lang, "query": f"{lang} {n}?", "passage": f"print({n})", "dataset": "d"}
        for n in range(50)
        for lang in ("de", "en")
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept, held = hold_out(prepare([file], tmp_path / "rows"), 0.3, 0)
    assert len(held) == 30
    assert not set(kept.passages()) & set(held.passages())


@pytest.mark.parametrize(("title", "on_negatives"), [(None, ""), ("Berge", "Berge "), ("Berge", "")])
def test_what_is_held_out_is_nobodys_negative(place, tmp_path, title, on_negatives):
    from isoglot.encoders.loading import load
    from isoglot.encoders.presets import Preset
    from isoglot.training.inputs import run_collator

    def negatives(n, lang):
        texts = [TEMPLATES[lang][1].format(n=m, m=100 + 37 * m) for m in ((n + 1) % 24, (n + 2) % 24)]
        return [on_negatives + text for text in texts]

    def scores(n, lang):
        return [n, (n + 1) % 24, (n + 2) % 24]

    path = tiny_rows(tmp_path / "rows.jsonl", langs=("de", "en"), negatives=negatives, scores=scores)
    records = [{**json.loads(line), "title": title} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    kept, held = hold_out(prepare([path], tmp_path / "rows", show_progress=False), 0.3, 0)
    out = {int(group[1:]) for group in held.column("group")}
    model = load(str(place / "model"), device="cpu")
    given = TrainSettings(negatives=2, device="cpu")
    preset = Preset("", query_length=32, passage_length=64)
    collator = run_collator(model, kept, given, preset, tmp_path / "tokens", np.arange(len(kept)))
    found = collator.negatives
    for row, group in enumerate(kept.column("group")):
        n = int(group[1:])
        wanted = [m for m in ((n + 1) % 24, (n + 2) % 24) if m not in out]
        assert found.offsets[row + 1] - found.offsets[row] == len(wanted)
        assert found.scores[row][: 1 + len(wanted)].tolist() == [n, *wanted]
        assert np.isnan(found.scores[row][1 + len(wanted) :]).all()
    assert (found.identity >= 0).all()


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_that_empties_a_side_is_refused(place, share):
    with pytest.raises(InputError, match="holdout"):
        hold_out(rows_of(place), share, 0)


def settings(**more):
    given = {"batch_size": 4, "max_steps": 12, "eval_steps": 3, "save_steps": 0, "device": "cpu", "holdout": 0.3}
    return TrainSettings(**{**given, "precision": "fp32", **more})


def test_the_best_measured_weights_are_the_result(place, monkeypatch):
    from safetensors.torch import load_file

    seen = []

    def scorer(held, given):
        def score(model):
            weights = model[0].auto_model.encoder.layer[0].attention.self.query.weight.detach().clone()
            seen.append(weights)
            return {"score": [0.1, 0.4, 0.3, 0.2][len(seen) - 1]}

        return score

    monkeypatch.setattr(sys.modules["isoglot.training.selection"], "scorer", scorer)
    folder = place / "best"
    folder.mkdir()
    train(str(place / "model"), rows_of(place), folder, settings())
    assert len(seen) == 4
    saved = load_file(folder / "model.safetensors")
    weight = next(
        value for name, value in saved.items() if name.endswith("encoder.layer.0.attention.self.query.weight")
    )
    assert (weight == seen[1]).all()
    assert not (weight == seen[3]).all()
    record = json.loads((folder / "run.json").read_text())
    assert (record["selected_step"], record["selected_score"], record["steps"]) == (6, 0.4, 12)


def test_patience_stops_the_run(place, monkeypatch):
    scores = iter([0.5, 0.4, 0.3, 0.9])
    monkeypatch.setattr(
        sys.modules["isoglot.training.selection"], "scorer", lambda held, given: lambda model: {"score": next(scores)}
    )
    folder = place / "patient"
    folder.mkdir()
    train(str(place / "model"), rows_of(place), folder, settings(patience=2))
    record = json.loads((folder / "run.json").read_text())
    assert (record["selected_step"], record["steps"]) == (3, 9)
    with pytest.raises(InputError, match="patience"):
        train(str(place / "model"), rows_of(place), folder, settings(patience=2, holdout=0.0))


def test_without_checkpoints_only_the_best_weights_are_kept(place, monkeypatch):
    kept, scores = [], iter([0.1, 0.2, 0.3, 0.4])

    def scorer(held, given):
        def score(model):
            kept.append(len(list((place / "lean" / "checkpoints").glob("best-*"))))
            return {"score": next(scores)}

        return score

    monkeypatch.setattr(sys.modules["isoglot.training.selection"], "scorer", scorer)
    train(str(place / "model"), rows_of(place), place / "lean", settings())
    assert kept == [0, 1, 1, 1]


def test_a_full_disk_when_the_best_weights_are_kept(place):
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def score(model):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        return {"score": 1.0}

    try:
        with pytest.raises(IsoglotError, match=r"best-3.safetensors: the best weights could not be written .*`resume`"):
            train(str(place / "model"), rows_of(place), place / "full", settings(holdout=0.0), select_on=score)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_rows_of_one_language_can_be_held_out(place, tmp_path):
    rows = prepare(tiny_rows(tmp_path / "de.jsonl", langs=("de",)), tmp_path / "de", show_progress=False)
    given = settings(sampling=Sampling("x-x-mono"), max_steps=3)
    train(str(place / "model"), rows, tmp_path / "out", given)
    lines = [json.loads(line) for line in (tmp_path / "out" / "training.jsonl").read_text().splitlines()]
    measured = next(line for line in lines if "select_score" in line)
    assert measured["select_score"] == measured["select_map"]
    assert "select_rank_distance" not in measured


def test_the_logged_alpha_is_that_of_the_steps_batch(place, tmp_path):
    sampling = Sampling("hybrid", alpha=1.0, alpha_schedule="linear", alpha_end=0.0)
    given = settings(sampling=sampling, holdout=0.0, max_steps=5, log_steps=1)
    train(str(place / "model"), rows_of(place), tmp_path / "out", given)
    lines = [json.loads(line) for line in (tmp_path / "out" / "training.jsonl").read_text().splitlines()]
    assert [line["alpha"] for line in lines] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_a_measurement_takes_no_line_of_the_log(place, tmp_path):
    train(str(place / "model"), rows_of(place), tmp_path / "out", settings(max_steps=5, log_steps=1))
    lines = [json.loads(line) for line in (tmp_path / "out" / "training.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5]
    assert [line["step"] for line in lines if "select_score" in line] == [3, 5]


def test_score_is_pooled_map_minus_normalised_rank_distance(place):
    folder = place / "scored"
    folder.mkdir()
    train(str(place / "model"), rows_of(place), folder, settings(max_steps=3))
    lines = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    measured = next(line for line in lines if "select_score" in line)
    _, held = hold_out(rows_of(place), 0.3, 0)
    texts = {(lang, text) for lang, text in zip(held.column("lang"), held.passages(), strict=True)}
    joined = {"g0", "g1"} <= set(held.column("group"))
    versions = 4 if not joined else None
    if versions:
        spread = (measured["select_rank_distance"] - 3) / (len(texts) - 4)
        assert measured["select_score"] == pytest.approx(measured["select_map"] - spread)
    assert 0 < measured["select_map"] <= 1
    assert not math.isnan(measured["select_score"])


def test_losses_by_pair_and_tensorboard_events(place):
    folder = place / "logged"
    folder.mkdir()
    given = settings(
        holdout=0.0, log_steps=4, tensorboard=True, sampling=Sampling(alpha_schedule="cosine", alpha_end=0.0)
    )
    train(str(place / "model"), rows_of(place), folder, given)
    lines = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12]
    pairs = {key.partition("/")[2] for line in lines for key in line if key.startswith("loss_pair/")}
    languages = {"de", "en", "hi", "zh"}
    assert pairs <= {f"{x}>{y}" for x in languages for y in languages}
    assert any(pair[:2] != pair[3:] for pair in pairs)
    assert lines[-1]["alpha"] == pytest.approx(0.0)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert any("loss_pair" in tag for tag in events.Tags()["scalars"])
    assert any(tag.endswith("loss_cross") for tag in events.Tags()["scalars"])
