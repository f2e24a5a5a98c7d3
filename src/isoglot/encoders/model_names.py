"""Resolve a model's name: the embedded model, a folder, or a Hub id with an optional revision."""

from __future__ import annotations

import re
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.output_folders import BEGUN, is_unfinished

EMBEDDED = "embedded"
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


def locate(name: str, *, what: str = "model") -> tuple[str, str | None]:
    """Resolve a model name to (folder or Hub id, revision).

    Raises:
        InputError: a path that does not exist or is not a finished model folder, or a name that is neither path nor id.
    """
    if name == EMBEDDED:
        from isoglot.encoders.embedded import embedded_folder

        return str(embedded_folder()), None
    if not name.strip():
        raise InputError(f"{what}: the name is empty; give a folder, or a Hub id")
    path = Path(name)
    try:
        if path.is_dir():
            if not (path / "config.json").is_file() and not (path / "modules.json").is_file():
                raise InputError(f"{what} {name}: a folder without modules.json or config.json, so it is no model")
            if is_unfinished(path):  # without modules.json, say, it would open with another pooling and no prompts
                raise InputError(
                    f"{what} {name}: the run that writes this folder was stopped, or is in progress; run the same "
                    f"command to its end first, or remove its {BEGUN} if another program completed the model"
                )
            return name, None
    except PermissionError as error:
        raise InputError(
            f"{what} {name}: cannot be read (Permission denied); change its permissions, or give another"
        ) from error
    hub_id, _, revision = name.partition("@")
    looks_local = name.startswith((".", "/", "~")) or hub_id.count("/") > 1 or path.exists()
    if looks_local or not _HUB_ID.fullmatch(name):
        others = "`embedded`, " if what == "model" else ""
        raise InputError(f"{what} {name}: no such model folder; give {others}a folder, or a Hub id")
    return hub_id, revision or None


def absolute_name(name: str) -> str:
    """Return a model's name independent of the working directory: a folder's absolute path, other names unchanged."""
    return name if name == EMBEDDED or not Path(name).is_dir() else str(Path(name).resolve())
