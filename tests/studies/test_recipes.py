"""Every shipped recipe, and every command in its comments, parses as the command line would."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from isoglot import cli
from isoglot.cli.recipe import read_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
RECIPES = sorted(FOLDER.glob("*.toml"))


def commands(path):
    """The `isoglot` commands in a recipe's comments."""
    text = "\n".join(re.findall(r"^# ?(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)).replace("\\\n", " ")
    return [shlex.split(found) for found in re.findall(r"^ +(?:torchrun .*)?isoglot (.*)$", text, re.MULTILINE)]


def parse(argv):
    tokens, recipe = cli._recipe(argv)
    cli.app.config = [read_recipe(recipe, cli.app)] if recipe else []
    try:
        return cli.app.parse_args(tokens, exit_on_error=False, print_error=False)
    finally:
        cli.app.config = []


def test_the_recipes_are_there():
    assert {path.stem for path in RECIPES} == {
        "best-two-cores",
        "eight-gpus",
        "mlqa-r-to-xquad-r",
        "paper-labse",
        "paper-xlm-r",
        "two-cores",
        "two-cores-bitext",
    }


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipe_parses_as_its_comment_says(path, monkeypatch):
    monkeypatch.chdir(FOLDER.parent)
    found = commands(path)
    (own,) = (argv for argv in found if f"recipes/{path.name}" in argv)
    command, bound, _ = parse(own)
    assert command.__name__ == own[0] in ("study", "train")
    given = tomllib.loads(path.read_text(encoding="utf-8"))
    assert all(not isinstance(value, dict) for value in given.values()), "recipes are flat"
    # Every value arrives, be it a parameter or a field of one of the settings (a study's training holds a sampling
    # that is not parsed, hence the order).
    outer = [vars(value) for value in bound.arguments.values() if hasattr(value, "__dict__")]
    inner = [vars(value) for values in outer for value in values.values() if hasattr(value, "__dict__")]
    seen = {key: value for values in (*inner, *outer, bound.arguments) for key, value in values.items()}
    for key, value in given.items():
        arrived = seen[key.replace("-", "_")]
        assert as_text(arrived) == as_text(value), key
    assert len(found) > 1
    for other in found:
        parse(other)


def as_text(value):
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_models_are_pinned_and_open_revisions_say_so(path):
    text = path.read_text(encoding="utf-8")
    model = tomllib.loads(text)["model"]
    assert model == "embedded" or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", model)
    if "mmarco" in text:
        assert "--revision FILL_IN" in text


@pytest.mark.parametrize("line", ["batchsize = 32", "alpha = 2.0", 'regime = "y-y"', "max-steps = 0"])
def test_a_recipe_with_a_mistake_is_refused(tmp_path, line):
    broken = tmp_path / "broken.toml"
    broken.write_text(f'rows = ["r.jsonl"]\noutput_dir = "{tmp_path}/o"\n{line}\n')
    with pytest.raises((CycloptsError, cli.IsoglotError)):
        parse(["train", "--config", str(broken)])


def test_the_papers_settings():
    for stem in ("paper-xlm-r", "paper-labse"):
        settings = tomllib.loads((FOLDER / f"{stem}.toml").read_text())
        assert settings["regimes"] == ["x-x-mono", "x-y", "hybrid-0.5"]
        assert (settings["lr"], settings["batch-size"], settings["xy"]) == (3e-5, 100, "per-example")
        assert settings["weight-decay"] == 0.01
