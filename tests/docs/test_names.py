"""Every name of the package that the pages show is there, and stands in the reference or in a room's public names."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from isoglot.search import Index

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
IMPORT = re.compile(r"^ *from (isoglot[\w.]*) import ([\w, ]+)$", re.MULTILINE)
DOTTED = re.compile(r"`(isoglot(?:\.\w+)+)\b")
# Groups of entry points, and modules that are named for what they say at their beginning.
NO_NAMES = {f"isoglot.{group}" for group in ("benchmarks", "losses", "regimes", "stores")}


def is_public(module, name):
    """Whether a name is among those of a room, or the reference has it."""
    if module.count(".") < 2 and name in getattr(import_module(module), "__all__", ()):
        return True
    if re.search(rf"(automodule:: {re.escape(module)}|:: {re.escape(module)}\.{name})\n(?! )", REFERENCE):
        return True
    listed = re.search(rf"automodule:: {re.escape(module)}\n   :members: (.*)", REFERENCE)
    return listed is not None and name in listed[1].split(", ")


def named(page):
    """(module, name) of each import and each dotted name."""
    text = page.read_text(encoding="utf-8")
    for module, names in IMPORT.findall(text):
        yield from ((module, name.strip()) for name in names.split(","))
    for dotted in DOTTED.findall(text):
        try:
            import_module(dotted)
        except ImportError:
            module, _, name = dotted.rpartition(".")
            if dotted not in NO_NAMES:
                yield module, name


@pytest.mark.parametrize("page", [page for page in PAGES if any(named(page))], ids=lambda page: page.stem)
def test_names_are_there_and_public(page):
    wrong = [f"{module}.{name}" for module, name in named(page) if not hasattr(import_module(module), name)]
    assert not wrong
    assert not [f"{module}.{name}" for module, name in named(page) if not is_public(module, name)]


def test_what_the_example_takes_is_public():
    text = (ROOT / "examples" / "own_training_script.py").read_text(encoding="utf-8")
    assert not [one for one in IMPORT.findall(text) for name in one[1].split(", ") if not is_public(one[0], name)]


def test_a_store_is_told_all_that_it_has_to_answer():
    page = (ROOT / "docs" / "howto" / "add-a-store.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)", page, re.MULTILINE))
    assert told == {name for name in vars(Index) if not name.startswith("_")}
