"""Check that the Hugging Face Hub is reachable, before its client retries for over a minute."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import cast

_CONNECT, _REST = 3.0, 10.0  # seconds
_PAUSE = 1.0


class HubSilentError(ConnectionError):
    """The Hub could not be reached."""


def require_hub(path: str, revision: str | None) -> None:
    """Contact the Hub, at most twice, about a model that is neither a folder nor in a cache.

    Any response is left to the Hub's client; only if there is none, a mistyped name is reported within seconds.

    Args:
        path: a folder or Hub id.
        revision: of the Hub id.

    Raises:
        HubSilentError: it does not respond.
    """
    from huggingface_hub import constants, get_session, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    if Path(path).is_dir() or constants.HF_HUB_OFFLINE or _is_cached(path, constants.HF_HUB_CACHE):
        return
    # The base class of all errors of the Hub's HTTP client, whichever library that is.
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
    """Return whether any revision of a Hub id is cached, as it is or with the prefix that libraries add."""
    names = [path] if "/" in path else [path, f"sentence-transformers/{path}", f"cross-encoder/{path}"]
    homes = [home, os.environ.get("SENTENCE_TRANSFORMERS_HOME") or home]
    folders = (Path(place) / f"models--{name.replace('/', '--')}" for place in homes for name in names)
    return any((folder / "snapshots").is_dir() for folder in folders)
