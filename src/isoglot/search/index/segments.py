"""Build the approximate index in segments, one per file of the table, on any workers, and merge them.

All segments share the same centroids and rotation, so that their codes are comparable and Lance merges them without
loss. With 8-bit scalar quantization each segment has its own scale: Lance 13 merges such segments all the same, but
applies one scale to all, and recall suffers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isoglot.core.errors import needs
from isoglot.core.executors import Executor
from isoglot.core.files import atomic_folder, atomic_write, link_or_copy, put_on_disk, read_json, write_json

NAME = "vector_idx"  # LanceDB's name of the index
BITS = 4  # per number of a vector (RaBitQ, Gao and Long 2024)
STEP = 8  # the dimension must be a multiple of this for RaBitQ
_FORM = 1  # version of the stored segments' format; increment it to discard older ones
_SAMPLED, _ROUNDS = 256, 50  # vectors per centroid, and rounds of k-means: Lance's defaults
_RECORD = "segment.json"
_OFFSET = np.uint64(0xFFFF_FFFF)  # bits of a row's address that hold its offset in its file


class Plan(NamedTuple):
    """What all segments share: centroids (p, d), a rotation, and the target number of rows per partition."""

    centroids: Any
    rotation: str
    partition_size: int

    def digest(self) -> bytes:
        """Return a hash of the plan."""
        said = json.dumps([_FORM, BITS, self.rotation, self.partition_size]).encode()
        return hashlib.blake2b(said + pc.list_flatten(self.centroids).to_numpy().tobytes(), digest_size=16).digest()


@dataclass(frozen=True)
class Task:
    """A file of the table to index.

    Attributes:
        fragment: Lance's number of the file.
        address: hash of everything that determines the segment.
        vectors: an Arrow array of the vectors of all rows ever in the file, deleted ones included, in order.
        joined: whether the segment will be merged with others.
    """

    fragment: int
    address: str
    vectors: Any
    joined: bool


class Segment(NamedTuple):
    """A finished segment: Lance's metadata of it, and its files by name."""

    record: dict[str, Any]
    files: dict[str, bytes]


def build(uri: str, plan: Plan, executor: Executor, kept: Path) -> None:
    """Index the vectors of a table that has no vector index: one segment per file, then one commit.

    Args:
        uri: of the table.
        plan: see `train`.
        executor: where segments are built.
        kept: folder for finished segments; those in it, of the same vectors and plan, are not built again.

    Raises:
        IsoglotError: a segment cannot be built.
    """
    dataset = lance_package().dataset(uri)
    folders: list[Path] = []

    def missing() -> Iterator[Task]:
        fragments = dataset.get_fragments()
        for fragment in fragments:
            task = _task(fragment, plan, joined=len(fragments) > 1)
            folders.append(kept / task.address)
            if not folders[-1].is_dir():
                yield task

    for task, segment in executor.run(partial(_maker, plan), missing()):
        with atomic_folder(kept / task.address) as folder:
            for name, content in segment.files.items():
                (folder / name).write_bytes(content)
            write_json(folder / _RECORD, segment.record)
    commit(uri, folders)


def train(uri: str, partitions: int, rows: int, kept: Path, key: str) -> Plan:
    """Train centroids by k-means on a sample of a table's vectors, and draw a random rotation.

    Args:
        uri: of the table.
        partitions: number of centroids; fewer are made if too few vectors differ.
        rows: number of rows in the table.
        kept: folder for the result: training is random, and a resumed build needs the same plan.
        key: identifies the table's content; a plan trained under another key is not used.
    """
    path = kept / f"trained-{hashlib.blake2b(f'{key} {partitions} {rows}'.encode(), digest_size=8).hexdigest()}.arrow"
    if path.is_file():
        with pa.ipc.open_file(str(path)) as reader:
            table = reader.read_all()
        return Plan(
            table["centroids"].combine_chunks(), table.schema.metadata[b"rotation"].decode(), rows // partitions
        )
    lance = lance_package()
    from lance.indices import IndicesBuilder
    from lance.lance import indices

    dataset = lance.dataset(uri)
    centroids = _centroids(IndicesBuilder(dataset, "vector"), partitions, rows)
    rotation = indices.build_rq_model(dataset.schema.field("vector").type.list_size, num_bits=BITS)
    table = pa.table({"centroids": centroids}).replace_schema_metadata({"rotation": rotation})
    with atomic_write(path) as temporary:
        with pa.ipc.new_file(str(temporary), table.schema) as out:
            out.write_table(table)
        put_on_disk([temporary])
    return Plan(centroids, rotation, rows // partitions)


def _centroids(builder: Any, partitions: int, rows: int) -> Any:
    """Return centroids of about as many partitions; of fewer if many vectors are the same, which Lance refuses."""
    while True:
        sampled = max(1, min(_SAMPLED, rows // partitions))
        try:
            return builder.train_ivf(
                partitions, distance_type="cosine", sample_rate=sampled, max_iters=_ROUNDS
            ).centroids
        except RuntimeError as error:
            if partitions == 1 or "non-empty clusters" not in str(error):
                raise
        partitions //= 2


def lance_package() -> Any:
    """Import the module `lance`.

    Raises:
        MissingPackageError: pylance is not installed.
    """
    with needs("approximate indexes need pylance", "search"):
        # Lance would log a warning for every partition that is empty in a segment.
        os.environ.setdefault("LANCE_LOG", "error")
        import lance
    return lance


def _task(fragment: Any, plan: Plan, *, joined: bool) -> Task:
    rows = fragment.scanner(columns=["vector"], with_row_address=True).to_table()
    vectors = rows["vector"].combine_chunks()
    if len(rows) < fragment.physical_rows:
        # Rows keep their offsets when others are deleted; any vector may fill a gap: deleted rows are never found.
        at = (rows["_rowaddr"].to_numpy() & _OFFSET).astype(np.int64)
        source = np.zeros(fragment.physical_rows, np.int64)
        source[at] = np.arange(len(rows))
        vectors = vectors.take(pa.array(source))
    digest = hashlib.blake2b(plan.digest(), digest_size=16)
    digest.update(f"{fragment.fragment_id} {vectors.type} {joined}".encode())
    digest.update(pc.list_flatten(vectors).to_numpy().tobytes())
    return Task(fragment.fragment_id, digest.hexdigest(), vectors, joined)


def _maker(plan: Plan) -> Callable[[Task], Segment]:
    return partial(_make, plan)


def _make(plan: Plan, task: Task) -> Segment:
    """Index one file's vectors in a temporary table, in which the file has the same number as in the real one."""
    lance = lance_package()
    from lance.fragment import LanceFragment

    with TemporaryDirectory(prefix="isoglot-segment-") as scratch:
        uri = str(Path(scratch) / "vectors.lance")
        schema = pa.schema([("vector", task.vectors.type)])
        written = LanceFragment.create(uri, pa.table([task.vectors], schema=schema), fragment_id=0)
        # Lance numbers files consecutively, so repeat this one in place of those before it; they are not read.
        files = [written] * (task.fragment + 1)
        dataset = lance.LanceDataset.commit(uri, lance.LanceOperation.Overwrite(schema, files))
        made = dataset.create_index_uncommitted(
            "vector",
            "IVF_RQ",
            name=NAME,
            metric="cosine",
            num_partitions=len(plan.centroids),
            target_partition_size=plan.partition_size,
            ivf_centroids=plan.centroids,
            num_bits=BITS,
            rabitq_model=plan.rotation,
            skip_transpose=task.joined,  # row-by-row codes, the layout that Lance merges
            fragment_ids=[task.fragment],
        )
        folder = Path(uri) / "_indices" / made.uuid
        contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    address, details = made.index_details
    record = {
        "uuid": made.uuid,
        "index_version": made.index_version,
        "fragment": task.fragment,
        "details": [address, base64.b64encode(details).decode("ascii")],
    }
    return Segment(record, contents)


def commit(uri: str, folders: list[Path]) -> None:
    """Copy finished segments into their table, merge them, and commit the result as its vector index.

    Args:
        uri: of the table.
        folders: of the segments, one for each of the table's files.
    """
    from lance.dataset import Index, IndexFile

    dataset = lance_package().dataset(uri)
    homes, segments = [], []
    for folder in folders:
        record = read_json(folder / _RECORD)
        homes.append(Path(uri) / "_indices" / record["uuid"])
        shutil.rmtree(homes[-1], ignore_errors=True)
        paths = [path for path in sorted(folder.iterdir()) if path.name != _RECORD]
        homes[-1].mkdir(parents=True)
        for path in paths:
            link_or_copy(path, homes[-1] / path.name)
        address, details = record["details"]
        segments.append(
            Index(
                uuid=record["uuid"],
                name=NAME,
                fields=[dataset.lance_schema.field_case_insensitive("vector").id()],
                dataset_version=dataset.version,
                fragment_ids={record["fragment"]},
                index_version=record["index_version"],
                files=[IndexFile(path=path.name, size_bytes=path.stat().st_size) for path in paths],
                index_details=(address, base64.b64decode(details)),
            )
        )
    whole = dataset.merge_existing_index_segments(segments)  # a single segment is returned as it is
    dataset.commit_existing_index_segments(NAME, "vector", [whole])
    for home in homes:
        if home.name != whole.uuid:
            shutil.rmtree(home, ignore_errors=True)
