"""What `--json` prints: JSON for programs, whatever the terminal can show."""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any

from isoglot.core import files


def json_line(value: Any) -> str:
    """A value as JSON in one line; in ASCII where standard output is not UTF-8, since JSON knows no other encoding."""
    line = files.json_line(value)
    encoding = codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name
    return line if encoding == "utf-8" else json.dumps(json.loads(line))
