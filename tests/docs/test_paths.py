"""The modules that the ways through the code pass by are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_named_modules_exist():
    text = (ROOT / "docs" / "paths.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+/[a-z0-9_/]*(?:\.py)?)`", text))
    assert len(named) > 30
    assert not [name for name in sorted(named) if not (ROOT / "src" / "isoglot" / name).exists()]
