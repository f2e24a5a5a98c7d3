"""Every command that the pages show has verbs and flags that there are."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from isoglot.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^ {4}isoglot +(?!--)[a-z].*$", re.MULTILINE)
FENCED = re.compile(r"^```(?:sh|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A synopsis or a sentence, not a command to type.
SYNOPSIS = re.compile(r"\.\.\.|…|\[-|\[[A-Z-]|\||`")


def commands(page):
    text = re.sub(r" *\\\n\s*", " ", page.read_text(encoding="utf-8"))
    text = FENCED.sub(lambda block: re.sub("^", "    ", block[1], flags=re.MULTILINE), text)
    found = [re.sub(r"\s#.*", "", line).strip() for line in COMMAND.findall(text)]
    # Recipes have tests of their own.
    return [line for line in found if not SYNOPSIS.search(line) and ".toml" not in line]


def words(command):
    found = shlex.split(command)
    # What a shell would take for itself.
    return found[: found.index(">")] if ">" in found else found


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_commands_parse(page):
    wrong = []
    for command in commands(page):
        try:
            app.parse_args(words(command)[1:], exit_on_error=False, print_error=False)
        except (CycloptsError, ValueError) as error:
            wrong.append(f"{command}: {error}")
    assert not wrong, "\n".join(wrong)


TUTORIALS = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]


# In these a command that repeats an output folder is another way to the same thing, or the folder is a placeholder.
ALTERNATIVES = {"data", "reports", "scale", "translating"}


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem not in ALTERNATIVES], ids=lambda page: page.stem)
def test_no_command_meets_the_folder_of_an_earlier_one(page):
    written = [found[found.index("-o") + 1] for line in commands(page) if "-o" in (found := words(line))]
    assert len(written) == len(set(written))


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_recipes_train_on_rows_that_an_earlier_command_wrote(page):
    text = page.read_text(encoding="utf-8")
    for recipe in re.findall(r"^ *isoglot study (\S+\.toml)", text, re.MULTILINE):
        for rows in tomllib.loads((ROOT / recipe).read_text(encoding="utf-8"))["rows"]:
            assert f"-o {rows}\n" in text.partition(recipe)[0]
