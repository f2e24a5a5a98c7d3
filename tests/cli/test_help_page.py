"""What `--help` prints: groups, defaults as they are typed, texts that fill their lines."""

import re

import pytest
from rich.console import Console

from isoglot.cli import app, run


@pytest.fixture
def page(capsys, monkeypatch):
    """The help of a verb, as lines without borders."""

    def printed(*verb):
        # One console serves all help pages of a process, as wide as the terminal was at the first of them.
        monkeypatch.setattr(app, "console", Console(width=200))
        assert run([*verb, "--help"]) == 0
        return [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]

    return printed


def groups(lines):
    return [line.strip("╭╮─ ") for line in lines if line.startswith("╭")]


def test_flags_stand_in_groups(page):
    assert groups(page("train")) == ["Parameters", "Training", "Batches", "LoRA", "Opening the model"]
    assert groups(page("evaluate")) == [
        "Parameters",
        "Benchmark",
        "Search",
        "Opening the model",
        "Workers of a cluster",
    ]


def test_defaults_are_shown_as_they_are_typed(page):
    text = " ".join(page("study"))
    for shown in ("[default: x-x-mono,hybrid]", "[default: 0.5]", "[default: 0]", "[default: xquad-r]"):
        assert shown in text
    for hidden in ("()", "('", "(0,)", '""', "[default: ]", "[default: None]", "[default: False]"):
        assert hidden not in text


def test_the_reference_of_the_command_line_shows_them_too():
    text = app.generate_docs(output_format="markdown", heading_level=1)
    shown = set(re.findall(r"\[default: (.*?)\]\*", text))
    assert {"x-x-mono,hybrid", "embedded", "0.03"} <= shown
    assert not shown & {"()", "", "None", "False", '""'}


def test_line_breaks_of_a_docstring_are_none_of_a_text(page):
    lines = page("study")
    assert any("Killed, the same command goes on at the run where it was." in line for line in lines)
    texts = [line for line in page("evaluate") if "NumPy files" in line]
    assert len(texts) == 1
    assert "a Parquet file (id, lang, role, vector), or NumPy files" in texts[0]
