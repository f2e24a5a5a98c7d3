import importlib
import json
import shutil
import signal
from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from isoglot.core.errors import InputError
from isoglot.core.output_folders import claimed_folder
from isoglot.data.benchmarks.benchmark import from_rows
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.data.prepared import prepare
from isoglot.studies.run import study
from isoglot.studies.settings import StudySettings
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import TrainSettings
from support.rows import parallel_rows, write_jsonl
from support.warm import exit_code_of

FLAGS = ["--batch-size", "4", "--max-steps", "12", "--warmup-steps", "1", "--lr", "1e-3", "--precision", "fp32"]
FLAGS += ["--save-steps", "3", "--device", "cpu", "--resamples", "200"]
TRAINING = TrainSettings(
    batch_size=4, max_steps=12, warmup_steps=1, lr=1e-3, precision="fp32", save_steps=3, device="cpu"
)


@pytest.fixture(scope="module")
def test_file(tmp_path_factory):
    """16 groups that are in no training row."""
    path = tmp_path_factory.mktemp("test") / "hills.jsonl"
    return write_jsonl(path, parallel_rows(16, dataset="hills", first=300))


@pytest.fixture(scope="module")
def rows(rows_file, tmp_path_factory):
    return prepare([rows_file], tmp_path_factory.mktemp("study") / "rows", show_progress=False)


@pytest.fixture(scope="module")
def benchmark(test_file, tmp_path_factory):
    return from_rows(prepare([test_file], tmp_path_factory.mktemp("study") / "test", show_progress=False), "hills")


def settings_of(tiny_model, **more):
    return StudySettings(**{"model": str(tiny_model), "train": TRAINING, "resamples": 200, **more})


@pytest.fixture(scope="module")
def killed(rows_file, test_file, tiny_model, tmp_path_factory):
    """Folder of a study that was killed with SIGKILL while its second regime trained."""
    folder = tmp_path_factory.mktemp("killed") / "out"
    # A checkpoint of the second regime is complete, the next one has begun.
    program = """
import sys
from isoglot.cli import main
from support.dying import die

complete = False

def watch(event, arguments):
    global complete
    places = [str(place) for place in arguments if isinstance(place, str) and "hybrid-0.5-seed0/model/check" in place]
    if complete and any("checkpoint-" in place for place in places):
        die()
    complete = complete or event == "os.rename" and any(place.endswith("complete.json") for place in places)

sys.addaudithook(watch)
"""
    command = ["study", "--rows", str(rows_file), "--benchmark", "rows", "--benchmark-rows", str(test_file)]
    command += ["--model", str(tiny_model), "-o", str(folder), *FLAGS]
    assert exit_code_of(f"{program}\nmain({command!r})") == -signal.SIGKILL
    return folder


@pytest.fixture(scope="module")
def continued(killed, rows, benchmark, tiny_model):
    """The same study, gone on with; what it said; when the finished runs' files were written."""
    assert not (killed / "study.json").exists()
    assert not (killed / "runs" / "hybrid-0.5-seed0" / "run.json").exists()
    finished = [killed / "runs" / name for name in ("base", "x-x-mono-seed0")]
    before = {path: path.stat().st_mtime_ns for home in finished for path in home.rglob("*")}
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("isoglot.studies.run"), "progress_line", lines.append)
        result = study(rows, benchmark, killed, settings_of(tiny_model))
    assert before == {path: path.stat().st_mtime_ns for home in finished for path in home.rglob("*")}
    return result, lines


def test_a_folder_of_others_is_left_alone(rows, benchmark, tiny_model, tmp_path):
    folder = tmp_path / "notes"
    with (
        claimed_folder(tmp_path / "busy"),
        pytest.raises(InputError, match="another process is writing there"),
    ):
        study(rows, benchmark, tmp_path / "busy", settings_of(tiny_model))
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="notes"):
            study(rows, benchmark, folder, settings_of(tiny_model), overwrite=overwrite)
    assert [path.name for path in folder.rglob("*")] == ["mine.txt"]


def test_a_killed_study_repeats_no_finished_run(continued):
    _, lines = continued
    assert lines[:3] == [
        "[1/3] base: done before",
        "[2/3] x-x-mono, seed 0: done before",
        "[3/3] hybrid-0.5, seed 0: training 12 steps of 4",
    ]


def test_a_killed_study_ends_as_one_that_was_never_interrupted(continued, rows, benchmark, tiny_model, tmp_path):
    result, _ = continued
    whole = study(rows, benchmark, tmp_path, settings_of(tiny_model))
    for run, other in zip(result.runs, whole.runs, strict=True):
        assert (run.regime, run.seed) == (other.regime, other.seed)
        for setting in ("monolingual", "cross_lingual", "multilingual"):
            assert run.evaluation.macro(setting, "map") == pytest.approx(
                other.evaluation.macro(setting, "map"), abs=0.01
            )


def test_what_a_study_leaves(continued, killed, tiny_model):
    record = json.loads((killed / "study.json").read_text())
    assert [(run["regime"], run["seed"]) for run in record["runs"]] == [
        ("base", None),
        ("x-x-mono", 0),
        ("hybrid-0.5", 0),
    ]
    assert all(0 < run["metrics"]["multilingual"]["map"] <= 1 for run in record["runs"])
    assert record["comparisons"][0].keys() >= {"a", "b", "measure", "slice", "difference", "low", "high", "p", "groups"}
    assert {(c["a"], c["b"]) for c in record["comparisons"]} == {
        ("x-x-mono", "base"),
        ("hybrid-0.5", "base"),
        ("hybrid-0.5", "x-x-mono"),
    }
    report = (killed / "report.md").read_text(encoding="utf-8")
    for words in (
        "hybrid-0.5",
        "x-x-mono",
        "rank distance",
        "Indo-European",
        "German",
        "of 4 languages",
        str(tiny_model),
    ):
        assert words in report
    for name in ("base", "x-x-mono-seed0", "hybrid-0.5-seed0"):
        home = killed / "runs" / name
        assert {"metrics.json", "per_query.parquet", "run.json"} <= {path.name for path in home.iterdir()}
        assert (home / "model" / "modules.json").is_file() == (name != "base")
    assert json.loads((killed / "run.json").read_text())["settings"]["regimes"] == ["x-x-mono", "hybrid"]


def test_other_settings_are_refused(continued, killed, rows, benchmark, tiny_model):
    other = settings_of(tiny_model, train=replace(TRAINING, lr=2e-3))
    with pytest.raises(InputError, match=r"x-x-mono-seed0: made with other settings: lr \(0.001 then, 0.002 now\)"):
        study(rows, benchmark, killed, other)
    with pytest.raises(InputError, match=r"base: made with other settings: length \(None then, 32 now\)"):
        study(rows, benchmark, killed, settings_of(tiny_model, length=32))


def test_another_regime_can_join_a_finished_study(continued, killed, rows, benchmark, tiny_model, capsys):
    more = study(rows, benchmark, killed, settings_of(tiny_model, regimes=("x-x-mono", "hybrid", "x-y")))
    said = capsys.readouterr().err
    assert said.count("done before") == 3
    assert [run.regime for run in more.runs] == ["base", "x-x-mono", "hybrid-0.5", "x-y"]


def test_a_regime_that_the_rows_cannot_serve_is_refused_before_anything_runs(benchmark, tiny_model, tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(8, ("de",), first=400))
    rows = prepare([path], tmp_path / "rows", show_progress=False)
    with pytest.raises(InputError, match="the rows hold no cross-lingual batches"):
        study(rows, benchmark, tmp_path / "out", settings_of(tiny_model, regimes=("x-x-mono", "x-y")))
    assert not (tmp_path / "out").exists()


def test_overlap_is_refused_before_anything_runs(rows, tiny_model, tmp_path):
    benchmark = from_rows(rows, "itself")
    with pytest.raises(InputError, match="overlap the benchmark itself: 40 groups") as caught:
        study(rows, benchmark, tmp_path, settings_of(tiny_model))
    assert "`allow_overlap`" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    quick = replace(TRAINING, max_steps=2, save_steps=0)
    allowed = settings_of(tiny_model, allow_overlap=True, regimes=("x-y",), train=quick, keep_models=False)
    result = study(rows, benchmark, tmp_path, allowed)
    assert "Not zero-shot: 40 groups" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert not (tmp_path / "runs" / "x-y-seed0" / "model").exists()
    assert [run.regime for run in result.runs] == ["base", "x-y"]


def test_one_language_can_be_studied_and_gone_on_with(lareqa_folder, tiny_model, tmp_path):
    """No pair of languages: nothing is cross-lingual, also in what is read back."""
    benchmark = load_lareqa(lareqa_folder, langs="de")
    train_rows = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(8, ("de",), first=400))
    rows = prepare([train_rows], tmp_path / "rows", show_progress=False)
    quick = replace(TRAINING, sampling=Sampling("x-x-mono"), max_steps=2, save_steps=0)
    settings = settings_of(tiny_model, regimes=("x-x-mono",), train=quick)
    (tmp_path / "out").mkdir()
    first = study(rows, benchmark, tmp_path / "out", settings)
    (tmp_path / "out" / "runs" / "x-x-mono-seed0" / "run.json").unlink()
    again = study(rows, benchmark, tmp_path / "out", settings)
    assert len(again.comparisons) == len(first.comparisons) > 0
    assert {c.measure for c in again.comparisons} == {"monolingual.map", "multilingual.map"}


def test_runs_on_other_base_weights_of_the_same_name_are_not_compared(rows, benchmark, tiny_model, tmp_path):
    model, folder = tmp_path / "model", tmp_path / "out"
    shutil.copytree(tiny_model, model)
    quick = replace(TRAINING, max_steps=2, save_steps=0)
    settings = settings_of(model, regimes=("hybrid",), train=quick)
    study(rows, benchmark, folder, settings)
    weights = load_file(model / "model.safetensors")
    save_file({name: value * 1.1 for name, value in weights.items()}, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="base: made with other settings: weights"):
        study(rows, benchmark, folder, replace(settings, regimes=("hybrid", "x-x-mono")))
    record = folder / "runs" / "base" / "run.json"
    done = json.loads(record.read_text())
    del done["settings"]["weights"]  # as earlier releases left it
    record.write_text(json.dumps(done))
    with pytest.raises(InputError, match=r"hybrid-0\.5-seed0: made with other settings: weights"):
        study(rows, benchmark, folder, settings)


def test_several_seeds(rows, benchmark, tiny_model, tmp_path):
    quick = replace(TRAINING, max_steps=2, save_steps=0)
    result = study(rows, benchmark, tmp_path, settings_of(tiny_model, regimes=("x-y",), seeds=(0, 1), train=quick))
    assert [(run.regime, run.seed) for run in result.runs] == [("base", None), ("x-y", 0), ("x-y", 1)]
    assert result.runs[1].evaluation.macro("multilingual", "map") != result.runs[2].evaluation.macro(
        "multilingual", "map"
    )
    assert json.loads((tmp_path / "runs" / "x-y-seed1" / "run.json").read_text())["seed"] == 1


def test_a_scheduled_alpha_is_reported(rows, benchmark, tiny_model, tmp_path):
    """Beside the alphas that stay: the curve is drawn through those."""
    sampling = Sampling("hybrid", alpha=0.3, alpha_schedule="linear", alpha_end=0.9)
    quick = replace(TRAINING, sampling=sampling, max_steps=2, save_steps=0)
    study(rows, benchmark, tmp_path, settings_of(tiny_model, regimes=("x-y", "hybrid"), train=quick, keep_models=False))
    assert "hybrid-linear-0.3-0.9" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "hybrid-linear-0.3-0.9" in (tmp_path / "report.html").read_text(encoding="utf-8")
