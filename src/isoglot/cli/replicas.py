"""`isoglot push` and `isoglot pull`: copy an index to an object store, and from there to other machines."""

from __future__ import annotations

from pathlib import Path

from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json


def push(index: Path, address: str, /, *, as_json: Json = False) -> None:
    """Upload an index to an object store, for other machines to search and serve; only new files are sent.

    Readers see either the old state or the new one. Of two simultaneous pushes one fails. Credentials are read from
    the environment, as by the store's own tools.

    Args:
        index: Folder made by isoglot index.
        address: Address in the store, such as s3://bucket/index, gs://bucket/index or az://container/index.
        as_json: Print the result as JSON.
    """
    from isoglot.search.replicas.place import Place
    from isoglot.search.replicas.pushing import push as send

    done = send(index, Place.at(address))
    snapshot = done.snapshot
    if as_json:
        facts = {"snapshot": snapshot.number, "version": snapshot.version, "files": len(snapshot.files)}
        print(
            json_line({**facts, "bytes": snapshot.size, "sent": done.files, "bytes_sent": done.sent, "new": done.new})
        )
    elif done.new:
        print(f"snapshot {snapshot.number} (version {snapshot.version}) at {address}: {done.files} of ", end="")
        print(f"{len(snapshot.files)} files sent, {_size(done.sent)} of {_size(snapshot.size)}")
    else:
        print(f"snapshot {snapshot.number} (version {snapshot.version}) is at {address} already")


def pull(address: str, local: Path, /, *, as_json: Json = False) -> None:
    """Download an index from an object store, or update a local copy of it; only new files are fetched.

    The index is in a subfolder of the local folder, whose path is printed; the previous one stays until the next pull.

    Args:
        address: Address that isoglot push uploaded to, such as s3://bucket/index.
        local: Folder for the copies; several processes may share it.
        as_json: Print the result as JSON.
    """
    from isoglot.search.replicas.place import Place
    from isoglot.search.replicas.pulling import pull as fetch

    done = fetch(Place.at(address), local)
    snapshot = done.snapshot
    if as_json:
        facts = {"folder": str(done.folder), "snapshot": snapshot.number, "version": snapshot.version}
        print(json_line({**facts, "fetched": done.files, "bytes_fetched": done.fetched}))
    else:
        print(f"snapshot {snapshot.number} (version {snapshot.version}): {done.files} files fetched, ", end="")
        print(f"{_size(done.fetched)}; the index is in {done.folder}")


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
