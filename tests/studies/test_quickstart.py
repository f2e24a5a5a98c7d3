import json
from dataclasses import replace

import pytest

from isoglot.cli import run
from isoglot.studies import atlas_study
from isoglot.studies.settings import StudySettings


def test_the_recipe_names_the_embedded_model_and_both_regimes():
    found = atlas_study.settings()
    assert isinstance(found, StudySettings)
    assert (found.model, found.regimes) == ("embedded", ("x-x-mono", "hybrid"))
    assert found.train.max_steps <= 60
    assert atlas_study.atlas("train").is_file()


@pytest.fixture
def tiny_recipe(monkeypatch, tiny_model):
    """The embedded recipe with the tiny model, short texts and few resamples."""
    found = atlas_study.settings()
    train = replace(found.train, device="cpu", precision="fp32", passage_length=32, query_length=16)
    chosen = replace(found, model=str(tiny_model), train=train, length=24, resamples=50)
    monkeypatch.setattr(atlas_study, "settings", lambda: chosen)


def test_the_embedded_study_on_a_tiny_budget(tiny_recipe, tmp_path, capsys):
    assert run(["quickstart", "-o", str(tmp_path / "out"), "--max-steps", "2"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["regime", "mono", "mAP"]
    assert [line.split()[0] for line in lines[1:4]] == ["base", "x-x-mono", "hybrid-0.5"]
    assert f"{tmp_path / 'out' / 'report.'}" in out
    for words in ("[1/3] base: measuring on atlas-test (11 languages)", "[3/3] hybrid-0.5, seed 0: training 2 steps"):
        assert words in err
    record = json.loads((tmp_path / "out" / "study.json").read_text())
    assert len(record["runs"][0]["metrics"]["languages"]) == 11
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Differences to base" in report
    assert "Differences to x-x-mono" in report
    assert "of 11 languages" in report
    # The same command goes on where it was: everything is there already.
    assert run(["quickstart", "-o", str(tmp_path / "out"), "--max-steps", "2"]) == 0
    assert capsys.readouterr().err.count("done before") == 3
    # Another one is refused until it may replace what is there.
    assert run(["quickstart", "-o", str(tmp_path / "out"), "--max-steps", "1"]) == 2
    assert "or --overwrite to start again" in capsys.readouterr().err
    assert run(["quickstart", "-o", str(tmp_path / "out"), "--max-steps", "1", "--overwrite"]) == 0
    assert "training 1 steps" in capsys.readouterr().err
