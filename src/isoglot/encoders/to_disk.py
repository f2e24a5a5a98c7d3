"""Encode texts to a folder of vector shards: resumable, in several processes, with bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.executors import Executor
from isoglot.core.files import read_json, write_json
from isoglot.core.progress import Progress
from isoglot.core.run_record import require_same
from isoglot.data.benchmarks.benchmark import Benchmark, Texts
from isoglot.data.benchmarks.streamed import StreamedCorpus
from isoglot.encoders.embedder import Embedder, Encoded, Role
from isoglot.encoders.encoding import encode
from isoglot.encoders.vector_files import COMPLETE, write_shard
from isoglot.encoders.workers import Opener, ended_by_interrupts, start_workers, worker_embedder

SIZE = 16_384
SETTINGS = "encode.json"
WEIGHTS = "weights"  # setting: checksum of the model's weights, if its name is a folder's
# Keys of a shard's metadata: checksum of its entries; number of truncated texts; maximum tokens per text.
_TEXTS, _CUT, _LENGTH = b"texts", b"cut", b"length"

Kind = Literal["float16", "float32"]


class Entry(NamedTuple):
    """One text to encode; `role` is `query` or `passage`."""

    id: str
    lang: str
    role: Role
    text: str


def entries_of(benchmark: Benchmark) -> Iterator[Entry]:
    """Yield queries, then candidates, with equal texts adjacent, so that they share a shard and are encoded once."""
    sides: tuple[tuple[Role, Texts], ...] = (("query", benchmark.queries), ("passage", benchmark.candidates))
    for role, texts in sides:
        yield from _side_by_side(benchmark.languages, role, texts)


def stream_of(data: StreamedCorpus) -> Iterator[Entry]:
    """Yield queries, then passages as they are read from their files."""
    for key, lang, text in data.queries:
        yield Entry(key, lang, "query", text)
    for key, lang, text in data.passages():
        yield Entry(key, lang, "passage", text)


def encode_shards(
    entries: Iterable[Entry],
    folder: Path,
    open_encoder: Callable[..., Embedder],
    settings: dict[str, Any],
    *,
    size: int = SIZE,
    kind: Kind = "float16",
    processes: int = 1,
    devices: Sequence[str] = (),
    executor: Executor | None = None,
) -> int:
    """Write `shard-*.parquet`, then `complete.json` (with the number of truncated texts); existing shards are kept.

    A shard ends where the role changes, or after `size` texts, but never between adjacent equal texts: each distinct
    text of a shard is encoded once.

    Args:
        entries: what to encode; iterated once, with at most a few shards in memory.
        folder: output folder (made by the caller).
        open_encoder: returns the function from (texts, role) to vectors; called once per process, and only if
            there is something to encode. Must be picklable for several processes.
        settings: all settings that affect the vectors; a folder with other settings is rejected.
        size: texts per shard.
        kind: dtype of the stored vectors.
        processes: number of processes that encode.
        devices: start one process per device instead; `open_encoder` is then called with the device.
        executor: encode on its workers instead of processes here.

    Returns:
        Number of shards encoded by this call (not counting existing ones).

    Raises:
        InputError: the folder holds shards of other settings or other texts.
        IsoglotError: a worker process died; the shards that it finished are kept.
    """
    facts = {**settings, "size": size, "kind": kind}
    path = folder / SETTINGS
    if path.is_file():
        # Releases that did not record the weights may have begun it.
        require_same(folder, {WEIGHTS: facts.get(WEIGHTS), **read_json(path)}, facts)
    write_json(path, facts)
    for left in folder.glob(".shard-*.tmp"):  # of a run that was killed
        left.unlink(missing_ok=True)
    numbers = [0, 0]  # shards, vectors
    targets: list[Path] = []

    def missing() -> Iterator[tuple[Path, list[Entry], str]]:
        for number, block in enumerate(_blocks(entries, size)):
            target, checksum = folder / f"shard-{number:06d}.parquet", _checksum(block)
            numbers[0], numbers[1] = number + 1, numbers[1] + len(block)
            targets.append(target)
            if not target.is_file():
                yield target, block, checksum
            elif _stored(target).get(_TEXTS, b"").decode() != checksum:
                raise InputError(f"{target}: holds vectors of other texts; give the same input, or `overwrite`")

    with Progress("encoding shards") as progress:
        done = 0
        if executor is not None:
            for (target, block, checksum), encoded in executor.run(partial(_opened, open_encoder), missing()):
                _write(encoded, target, block, checksum, kind)
                done += 1
                progress.advance()
        elif devices:
            done = _parallel(missing(), open_encoder, kind, devices, progress)
        elif processes > 1:
            done = _parallel(missing(), partial(_anywhere, open_encoder), kind, (None,) * processes, progress)
        else:
            embed: Embedder | None = None
            for task in missing():
                embed = embed or open_encoder()
                _encode(embed, *task, kind)
                done += 1
                progress.advance()
    found = [_stored(target) for target in targets]
    length = max((int(facts[_LENGTH]) for facts in found if _LENGTH in facts), default=None)
    cut = sum(int(facts.get(_CUT, 0)) for facts in found)
    write_json(folder / COMPLETE, {"shards": numbers[0], "vectors": numbers[1], "length": length, "cut": cut})
    return done


def _side_by_side(languages: tuple[str, ...], role: Role, texts: Texts) -> Iterator[Entry]:
    first: dict[str, int] = {}
    place = [first.setdefault(text, index) for index, text in enumerate(texts.texts)]
    for index in np.argsort(place, kind="stable").tolist():
        yield Entry(texts.ids[index], languages[texts.lang[index]], role, texts.texts[index])


def _blocks(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    block: list[Entry] = []
    for entry in entries:
        last = block[-1] if block else entry
        if entry.role != last.role or (len(block) >= size and entry.text != last.text):
            yield block
            block = []
        block.append(entry)
    if block:
        yield block


def _checksum(block: list[Entry]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for entry in block:
        digest.update("\0".join(entry).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _stored(path: Path) -> dict[bytes, bytes]:
    """Return a shard's metadata."""
    try:
        metadata: dict[bytes, bytes] = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable shard ({error}); remove it and `resume`") from error
    return metadata


def _encode(embed: Embedder, path: Path, block: list[Entry], checksum: str, kind: Kind) -> None:
    _write(_encoded(embed, block), path, block, checksum, kind)


def _encoded(embed: Embedder, block: list[Entry]) -> Encoded:
    return encode(embed, [entry.text for entry in block], block[0].role)


def _opened(open_encoder: Callable[[], Embedder]) -> Callable[[tuple[Path, list[Entry], str]], Encoded]:
    """Return the function from a missing shard to its vectors, for a remote worker without access to the folder."""
    embed = open_encoder()
    return lambda task: _encoded(embed, task[1])


def _write(encoded: Encoded, path: Path, block: list[Entry], checksum: str, kind: Kind) -> None:
    vectors, facts = encoded.vectors, {_TEXTS.decode(): checksum, _CUT.decode(): str(encoded.cut)}
    if encoded.length is not None:
        facts[_LENGTH.decode()] = str(encoded.length)
    if not np.isfinite(vectors).all():
        raise IsoglotError(f"{path}: the encoder gave NaN or infinity; try precision fp32")
    write_shard(
        path,
        [entry.id for entry in block],
        [entry.lang for entry in block],
        [entry.role for entry in block],
        vectors.astype(kind),
        facts,
    )


def _anywhere(open_encoder: Callable[[], Embedder], device: str | None) -> Embedder:
    return open_encoder()


def _work(path: Path, block: list[Entry], checksum: str, kind: Kind) -> None:
    _encode(worker_embedder(), path, block, checksum, kind)


def _parallel(
    tasks: Iterator[tuple[Path, list[Entry], str]],
    opener: Opener,
    kind: Kind,
    devices: Sequence[str | None],
    progress: Progress,
) -> int:
    """Encode in worker processes, with at most two shards per process in flight."""
    done = 0
    pool = start_workers(opener, devices)
    try:
        with pool, ended_by_interrupts(pool):
            flying: set[Future[None]] = set()
            for task in tasks:
                flying.add(pool.submit(_work, *task, kind))
                if len(flying) >= 2 * len(devices):
                    landed, flying = wait(flying, return_when=FIRST_COMPLETED)
                    done += _land(landed, progress)
            done += _land(wait(flying).done, progress)
    except BrokenProcessPool as error:
        raise IsoglotError("an encoding process died; finished shards are kept; continue with `resume`") from error
    return done


def _land(landed: set[Future[None]], progress: Progress) -> int:
    for future in landed:
        future.result()
        progress.advance()
    return len(landed)
