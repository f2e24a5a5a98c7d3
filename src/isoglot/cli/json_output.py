"""JSON for `--json`, in an encoding that standard output can write."""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any

from isoglot.core import files


def json_line(value: Any) -> str:
    """Return a value as one line of JSON; in ASCII if standard output is not UTF-8, since JSON must be UTF-8."""
    line = files.json_line(value)
    encoding = codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name
    return line if encoding == "utf-8" else json.dumps(json.loads(line))
