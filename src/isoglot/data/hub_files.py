"""Download files of a data set from the Hugging Face Hub to the Hub's cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isoglot.core.errors import InputError, IsoglotError
from isoglot.data.benchmarks.download import is_offline


def fetch_from_hub(
    hub_id: str, patterns: Sequence[str], *, offline: bool | None, when_off: str, when_failed: str
) -> Path:
    """Download some files of a data set, resuming partial downloads; return the folder that holds them.

    Args:
        hub_id: `id@revision`.
        patterns: glob patterns of the files to download.
        offline: use only what is in the cache; None asks `is_offline`.
        when_off: the advice in the error message if files are missing and downloading is off.
        when_failed: the advice in the error message if the download fails.

    Raises:
        InputError: downloading is off and the cache has nothing.
        IsoglotError: the download failed.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name, _, revision = hub_id.partition("@")
    offline = is_offline() if offline is None else offline
    try:
        return Path(
            snapshot_download(
                name, repo_type="dataset", revision=revision, allow_patterns=list(patterns), local_files_only=offline
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        if offline and isinstance(error, LocalEntryNotFoundError):
            raise InputError(
                f"{hub_id}: not in the Hub's cache, and downloading is off (`offline`, ISOGLOT_OFFLINE or "
                f"HF_HUB_OFFLINE); {when_off}"
            ) from error
        raise IsoglotError(f"{hub_id}: cannot be fetched ({error}); {when_failed}") from error
