"""The finished shards of a build and their rows: one file each, written atomically."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import atomic_write, read_json, sha256, write_json
from isoglot.search.index.shards import Planned

SHARDS = "shards"  # subfolder of the index's folder during a build
_PLAN = "plan.json"
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")


class Ledger:
    """The finished shards of one index folder's build.

    A shard's rows are in a file that is renamed into place when complete; its entry, written afterwards, records that
    file's length, so that a file truncated by a crash of the machine is detected and made again.

    Args:
        folder: of the index.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / SHARDS

    def passages(self, address: str) -> int | None:
        """Return the number of passages of a finished shard; None if it is not finished."""
        entry = self.folder / f"{address}.json"
        try:
            if not entry.is_file():
                return None
            record = read_json(entry)
            whole = self._rows(address).stat().st_size == record["bytes"]
            return int(record["passages"]) if whole else None
        except (OSError, InputError, KeyError, TypeError, ValueError):
            return None

    def put(self, address: str, rows: pa.Table) -> None:
        """Store a finished shard's rows.

        Raises:
            IsoglotError: the disk is full.
        """
        path = self._rows(address)
        try:
            with atomic_write(path) as temporary:
                with (
                    pa.OSFile(str(temporary), "wb") as sink,
                    pa.ipc.new_file(sink, rows.schema, options=_COMPRESSED) as out,
                ):
                    out.write_table(rows)
                size = temporary.stat().st_size
            write_json(self.folder / f"{address}.json", {"passages": len(rows), "bytes": size})
        except InputError:
            raise
        except IsoglotError as error:
            raise IsoglotError(f"{error}; what is finished stays: make room, and go on with `resume`") from error

    def schema(self, address: str) -> pa.Schema:
        """Return the schema of a finished shard's rows.

        Raises:
            IsoglotError: the file cannot be read.
        """
        return self._open(address).schema

    def batches(self, address: str) -> Iterator[pa.RecordBatch]:
        """Yield a finished shard's rows.

        Raises:
            IsoglotError: the file cannot be read.
        """
        reader = self._open(address)
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)

    def write_plan(self, plan: list[Planned]) -> None:
        """Write the list of shards to add, in order."""
        write_json(self.folder / _PLAN, [list(shard) for shard in plan])

    def plan_digest(self) -> str:
        """Return the SHA-256 of the written plan; empty if there is none. Equal plans stand for equal rows."""
        path = self.folder / _PLAN
        return sha256(path) if path.is_file() else ""

    @property
    def approximate(self) -> Path:
        """Folder for the finished parts of an approximate index."""
        return self.folder / "approximate"

    def empty(self) -> bool:
        """Return whether no shard is finished."""
        return not any(self.folder.glob("*.arrow"))

    def forget(self) -> None:
        """Remove everything, once it is in the index or given up."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _rows(self, address: str) -> Path:
        return self.folder / f"{address}.arrow"

    def _open(self, address: str) -> pa.ipc.RecordBatchFileReader:
        path = self._rows(address)
        try:
            return pa.ipc.open_file(pa.OSFile(str(path), "rb"))
        except (OSError, pa.ArrowException) as error:
            raise IsoglotError(f"{path}: cannot be read ({error}); remove it and run again with `resume`") from error
