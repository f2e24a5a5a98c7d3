"""Parse the front matter of a Markdown file: YAML between `---`, TOML between `+++`, or JSON."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

from isoglot.core.errors import needs

# As in pandoc, the line after `---` must not be empty; otherwise it is a page that begins with a horizontal rule.
_YAML = re.compile(r"\A---[ \t]*\n(?!\s*\n)(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"[\w.:/@-]+")
_PLAIN = re.compile(r"([\w.-]+):(?:[ \t]+(.*))?")
_FIRST_KEY = re.compile(r"(?:[^\S\n]*+(?:#[^\n]*+)?\n)*+[\w.-]++[ \t]*[:=]")
_NULLS = ("", "~", "null", "Null", "NULL")


class FrontMatter(NamedTuple):
    """Scalar values by lower-case key, the text after the front matter, and a note on what was wrong with it."""

    facts: Mapping[str, str]
    rest: str
    note: str = ""


def split_front_matter(text: str) -> FrontMatter:
    r"""Split front matter from a text; a text without any is returned unchanged.

    Args:
        text: the text, with newlines as line ends.

    Raises:
        MissingPackageError: PyYAML is not installed.

    >>> split_front_matter("---\ntitle: >\n  Ein\n  Titel\n---\nText").facts
    {'title': 'Ein Titel'}
    >>> split_front_matter("---\nNur eine Linie.\n\n---\nText").rest[:3]
    '---'
    """
    for pattern, parse in ((_YAML, _yaml), (_TOML, _toml)):
        found = pattern.match(text)
        if found is None:
            continue
        try:
            record = parse(found[1])
        except ValueError as error:
            if not _FIRST_KEY.match(found[1]):
                break  # prose between two rules
            lines = [line for line in found[1].split("\n") if line.strip() and not line.startswith("#")]
            plain = [_PLAIN.fullmatch(line) for line in lines]
            if pattern is _YAML and all(plain):
                said = {line[1]: (line[2] or "").strip().strip("\"'") for line in plain if line}
                return FrontMatter(_scalars(said), text[found.end() :], f"front matter that is not YAML ({error})")
            return FrontMatter({}, text, f"front matter that cannot be read is kept as text ({error})")
        if not isinstance(record, dict) or not any(isinstance(key, str) and _KEY.fullmatch(key) for key in record):
            break
        return FrontMatter(_scalars(record), text[found.end() :])
    return _json(text)


def _json(text: str) -> FrontMatter:
    """Parse a JSON object at the start of the text, as in Hugo."""
    if text.startswith("{"):
        try:
            record, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return FrontMatter({}, text)
        rest = text[end:].lstrip(" \t")
        if isinstance(record, dict) and record and (not rest or rest.startswith("\n")):
            return FrontMatter(_scalars(record), rest)
    return FrontMatter({}, text)


def _scalars(record: dict[Any, Any]) -> dict[str, str]:
    facts = {}
    for key, value in record.items():
        if not isinstance(key, str) or isinstance(value, (dict, list)):
            continue
        said = str(value).strip()
        if said not in _NULLS:
            facts[key.strip().lower()] = said
    return facts


def _yaml(text: str) -> Any:
    with needs("front matter needs PyYAML", "search"):
        import yaml
    try:
        # The base loader keeps every scalar as text: `no` stays Norwegian, and 2024-02-30 raises no error.
        return yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:120]) from error


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(str(error)) from error
