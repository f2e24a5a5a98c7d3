"""The documentation site: `make docs` builds it offline into build/site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from isoglot.core.version import __version__  # noqa: E402

project = "isoglot"
copyright = "the isoglot authors"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
# The project's root is the source folder, so that pages may link to results, recipes and the corpus beside docs/.
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "results/**.md",
    "examples/**.md",
    "src/isoglot/atlas/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Attributes of one name in several classes (`text`): a type that is called so would be linked to one of them.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = "isoglot"
html_extra_path = ["site"]
html_show_sourcelink = False
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"


def setup(app: Sphinx) -> None:
    """Write the reference of the command line from the code, each time the site is built."""
    app.connect("source-read", _command_line)


def _command_line(app: Sphinx, page: str, source: list[Any]) -> None:
    if page == "docs/reference/command-line":
        from isoglot.cli import app as commands

        text = commands.generate_docs(output_format="markdown", heading_level=1)
        # The generator's own table of contents repeats what the theme shows at the side.
        source[0] += text[text.index("**Commands**") :]
