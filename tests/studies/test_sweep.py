"""A whole study through the command line, on a tiny encoder and tiny rows."""

import json

import pytest

from isoglot.cli import run
from support.rows import parallel_rows, write_jsonl


@pytest.fixture(scope="module")
def finished(tiny_model, tmp_path_factory):
    """A sweep from a recipe whose alpha is a list, into a folder; (folder, recipe)."""
    home = tmp_path_factory.mktemp("study")
    rows = write_jsonl(home / "train.jsonl", parallel_rows(12, ("de", "en", "zh")))
    bench = write_jsonl(home / "test.jsonl", parallel_rows(6, ("de", "en", "zh"), "other", 500))
    recipe = home / "recipe.toml"
    recipe.write_text(
        f'model = "{tiny_model}"\nrows = ["{rows}"]\nbenchmark = "rows"\nbenchmark_rows = ["{bench}"]\n'
        "alpha = [0, 0.5, 1]\nmax_steps = 2\nbatch_size = 4\nwarmup_steps = 0\nresamples = 50\nsave_steps = 0\n"
        'precision = "fp32"\ndevice = "cpu"\n',
        encoding="utf-8",
    )
    assert run(["study", str(recipe), "-o", str(home / "out")]) == 0
    return home / "out", recipe


def test_a_sweep_trains_the_ends_under_their_own_names(finished):
    folder, _ = finished
    record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert [entry["regime"] for entry in record["runs"]] == ["base", "x-x-mono", "x-y", "hybrid-0.5"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Along alpha" in page
    assert "Where they differ most" in page
    assert (folder / "figures" / "alpha.svg").is_file()
    inputs = json.loads((folder / "run.json").read_text(encoding="utf-8"))["inputs"]
    assert [inputs[name] for name in ("benchmark", "data_dir", "langs", "train_langs")] == ["rows", None, None, None]
    assert inputs["rows"] == [str(folder.parent / "train.jsonl")]
    assert inputs["benchmark_rows"] == [str(folder.parent / "test.jsonl")]
    assert (folder / "runs" / "x-y-seed0" / "top10.parquet").is_file()


def test_a_finished_study_reports_anew_without_texts_or_hits(finished, capsys):
    folder, recipe = finished
    before = (folder / "runs" / "x-y-seed0" / "metrics.json").stat().st_mtime_ns
    for path in folder.glob("runs/*/top10.parquet"):
        path.unlink()  # as in a study that an older version made
    assert run(["study", str(recipe), "-o", str(folder), "--no-examples"]) == 0
    assert "done before" in capsys.readouterr().err
    assert (folder / "runs" / "x-y-seed0" / "metrics.json").stat().st_mtime_ns == before
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Where they differ most" not in page
    assert "Languages in the top 10" not in page
    assert "Wie hoch ist der Berg" not in page


def test_alpha_outside_its_range_and_a_sweep_without_hybrid_are_refused(finished, capsys):
    folder, recipe = finished
    assert run(["study", str(recipe), "-o", str(folder), "--alpha", "0.5,1.5"]) == 2
    assert "--alpha 1.5: expected a probability" in capsys.readouterr().err
    assert run(["study", str(recipe), "-o", str(folder), "--regimes", "x-y"]) == 2
    assert "add hybrid" in capsys.readouterr().err
