"""Open an index in an object store: pull it to this machine, and again when a new version was pushed."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from isoglot.core.cache import cache_folder
from isoglot.core.errors import InputError, IsoglotError
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.pulling import Pulled, kept_here, pull
from isoglot.search.stores.folders import open_lance
from isoglot.search.stores.protocol import Opened, StoreKind

_log = logging.getLogger(__name__)


def open_replica(address: str, local: Path | None = None) -> Opened:
    """Open the index that was pushed to an address; if the store does not answer, the one that was pulled last.

    Args:
        address: such as s3://bucket/index.
        local: parent folder for pulled indexes, one subfolder per address; the cache when None.

    Raises:
        InputError: invalid address, or no index there.
        IsoglotError: the store does not answer, and nothing was pulled before.
    """
    place = Place.at(address)
    into = folder_of(place.address, local)
    try:
        pulled = pull(place, into)
    except InputError:
        raise
    except IsoglotError as error:
        there = kept_here(into)
        if there is None:
            raise
        _log.warning("%s; using snapshot %d, which was pulled before", error, there.snapshot.number)
        pulled = there
    return _opened(place, into, pulled)


def folder_of(address: str, local: Path | None) -> Path:
    """Return the folder for what is pulled from an address.

    >>> folder_of("s3://bucket/my index", Path("nvme")).as_posix()
    'nvme/bucket-my-index-45bdc300'
    """
    named = re.sub(r"[^A-Za-z0-9]+", "-", address.partition("://")[2]).strip("-")[-60:]
    return (local or cache_folder() / "replicas") / f"{named}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def _opened(place: Place, into: Path, pulled: Pulled) -> Opened:
    return replace(open_lance(str(pulled.folder)), renew=partial(_renewed, place, into, pulled))


def _renewed(place: Place, into: Path, open_now: Pulled) -> Opened | None:
    pulled = pull(place, into)
    return None if pulled.snapshot.name == open_now.snapshot.name else _opened(place, into, pulled)


def _kind(scheme: str) -> StoreKind:
    return StoreKind(lambda rest: open_replica(f"{scheme}:{rest}"))


S3, GS, AZ = _kind("s3"), _kind("gs"), _kind("az")
