"""Whether the Hugging Face Hub answers at all, before its client tries to reach it for more than a minute."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import cast

_CONNECT, _REST = 3.0, 10.0  # seconds
_PAUSE = 1.0


class HubSilentError(ConnectionError):
    """Nobody could be reached."""


def require_hub(path: str, revision: str | None) -> None:
    """Ask the Hub once, and once more, for a model that is neither a folder nor in a cache.

    Whatever it answers is for its client to read: only where nobody can be reached, a name that was mistyped is told as
    such in a few seconds.

    Args:
        path: a folder or Hub id.
        revision: of the Hub id.

    Raises:
        HubSilentError: it does not answer.
    """
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    if Path(path).is_dir() or constants.HF_HUB_OFFLINE or _is_cached(path, constants.HF_HUB_CACHE):
        return
    # What all errors of the Hub's HTTP client are, whichever that is.
    unreachable = cast(type[Exception], HfHubHTTPError.__bases__[0])
    url = hf_hub_url(path, "config.json", revision=revision)
    for first in (True, False):
        try:
            get_session().head(url, timeout=(_CONNECT, _REST, _REST, _REST))
        except (unreachable, OSError) as error:
            if not first:
                raise HubSilentError(f"the Hub does not answer ({str(error) or type(error).__name__})") from error
            time.sleep(_PAUSE)
        else:
            return


def _is_cached(path: str, home: str) -> bool:
    """Whether some revision of a Hub id lies in a cache: of its own name, or of the one that libraries complete."""
    names = [path] if "/" in path else [path, f"sentence-transformers/{path}", f"cross-encoder/{path}"]
    homes = [home, os.environ.get("SENTENCE_TRANSFORMERS_HOME") or home]
    folders = (Path(place) / f"models--{name.replace('/', '--')}" for place in homes for name in names)
    return any((folder / "snapshots").is_dir() for folder in folders)
