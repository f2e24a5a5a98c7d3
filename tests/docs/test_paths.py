"""What the pages about the code name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["architecture", "paths"])
def test_named_modules_exist(page):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+/[a-z0-9_/]*(?:\.py)?)`", text))
    assert len(named) > 3
    assert not [name for name in sorted(named) if not (ROOT / "src" / "isoglot" / name).exists()]
