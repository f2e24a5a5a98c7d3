"""Functions name their arguments, the command names the flags that stand for them."""

import ast
import re
from pathlib import Path
from typing import Annotated

import pytest
from cyclopts import App, Parameter

import isoglot
from isoglot.cli import app, run
from isoglot.cli.flags import as_typed, flags_of
from isoglot.core.errors import InputError
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import LoraSettings, TrainSettings

PACKAGE = Path(isoglot.__file__).parent


@pytest.mark.parametrize(
    ("seen", "typed"),
    [
        ("lr 0: expected a positive number", "--lr 0: expected a positive number"),
        ("langs: no xx here", "--langs: no xx here"),
        # Anywhere but at the start, only what stands in backticks is a name.
        ("step 3: lower `lr`, not the lr of old", "step 3: lower --lr, not the lr of old"),
        ("out of memory with `batch_size` 4; `resume` goes on", "out of memory with --batch-size 4; --resume goes on"),
        # A path where settings are nested; a name alone is the outer one.
        ("lora.alpha -1: expected more", "--lora-alpha -1: expected more"),
        ("alpha 2: expected a probability", "--alpha 2: expected a probability"),
        ("give `lora.merge`, or leave it frozen", "give --merge, or leave it frozen"),
        # What is no argument stays, and so does what looks like one inside a path.
        ("lr.jsonl:3: broken", "lr.jsonl:3: broken"),
        ("lrs 3: odd", "lrs 3: odd"),
        ("run `isoglot index` again, `nothing` else", "run `isoglot index` again, `nothing` else"),
        # Functions call it a folder.
        ("x: not empty; give another `folder`", "x: not empty; give another --output-dir"),
        ("", ""),
    ],
)
def test_names_of_arguments_become_flags(seen, typed):
    assert as_typed(seen, app, ["train", "--rows", "r.jsonl"]) == typed


def test_flags_follow_the_verb():
    assert as_typed("k 0: give another `lr`", app, ["search", "index", "words"]) == "--k 0: give another `lr`"
    assert as_typed("k 0: give another `lr`", app, []) == "k 0: give another `lr`"
    assert as_typed("negatives 0: expected 1", app, ["data", "mine"]) == "--negatives 0: expected 1"


def test_a_flag_that_is_called_otherwise_than_its_argument():
    own = App()

    @own.command
    def weigh(
        path: str, /, *, as_json: Annotated[bool, Parameter(name="--json")] = False, with_: str = "", unit: str = "kg"
    ):
        pass

    assert flags_of(own, ["weigh", "x"]) == {
        "as_json": "--json",
        "json": "--json",
        "with": "--with",
        "with_": "--with",
        "unit": "--unit",
    }


def bad(**given):
    with pytest.raises(InputError) as caught:
        TrainSettings(**given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "flag", "value"),
    [
        ("lr", "--lr", 0.0),
        ("temperature", "--temperature", -1.0),
        ("batch_size", "--batch-size", 1),
        ("grad_cache", "--grad-cache", 0),
        ("passage_length", "--passage-length", 3),
        ("embeddings", "--embeddings", "some"),
        ("loss_kl", "--loss-kl", -1.0),
        ("holdout", "--holdout", 1.0),
    ],
)
def test_one_error_is_read_by_who_calls_and_by_who_types(capsys, name, flag, value):
    message = bad(**{name: value})
    assert message.startswith(f"{name} {value!r}: expected ")
    if name == "embeddings":
        return  # the parser knows the choices
    assert run(["train", "--rows", "r.jsonl", "-o", "o", flag, str(value)]) == 2
    shown = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert flag + message[len(name) :] in shown


def test_names_of_nested_settings_are_paths(capsys):
    with pytest.raises(InputError, match=r"^lora\.alpha -2: expected a positive number$"):
        LoraSettings(4, alpha=-2)
    assert run(["train", "--rows", "r.jsonl", "-o", "o", "--lora-rank", "4", "--lora-alpha", "-2"]) == 2
    assert "--lora-alpha -2.0: expected a positive number" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"^alpha 2: expected a probability"):
        Sampling(alpha=2)


def test_a_recipe_is_told_by_flags_too(tmp_path, capsys):
    (tmp_path / "r.toml").write_text("lr = 0.0\nrows = ['r.jsonl']\noutput-dir = 'o'\n")
    assert run(["train", "--config", str(tmp_path / "r.toml")]) == 2
    assert "--lr 0.0: expected a positive number" in capsys.readouterr().err


def test_no_message_below_the_command_line_speaks_of_flags():
    """A command may stand in backticks; a flag alone is no word for someone who calls a function."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.is_relative_to(PACKAGE / "cli"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        passed = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                passed.add(node.value)  # a docstring
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Parameter":
                passed.update(ast.walk(node))
            if isinstance(node, ast.JoinedStr):
                passed.update(node.values)
        for node in set(ast.walk(tree)) - passed:
            text = ""
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            if re.search(r"(?<![\w(-])--[a-z]|\(--[a-z-]+\)", re.sub(r"`[^`]*`", "", text)) and "var(--" not in text:
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {text}")
    assert found == []
