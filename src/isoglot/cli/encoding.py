"""`isoglot encode`: encode a benchmark's texts to vectors on disk."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from isoglot.cli.benchmarks import Source, open_source
from isoglot.cli.cluster_flags import Elsewhere
from isoglot.cli.help_page import BENCHMARK, MODEL, WORKERS
from isoglot.cli.options import OutputDir, Switch
from isoglot.core.errors import InputError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.core.executors import Executor
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.data.benchmarks.streamed import StreamedCorpus


def encode(
    *,
    output_dir: OutputDir,
    model: str = "embedded",
    source: Annotated[Source | None, Parameter(name="*", group=BENCHMARK)] = None,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    devices: str | None = None,
    numbers: Literal["float16", "float32"] = "float16",
    shard_size: int = 16_384,
    processes: int = 1,
    elsewhere: Annotated[Elsewhere | None, Parameter(name="*", group=WORKERS)] = None,
    overwrite: Switch = False,
    resume: Switch = False,
) -> None:
    """Encode a benchmark's texts to vectors on disk, for isoglot evaluate --vectors; can resume if interrupted.

    Args:
        output_dir: Folder for the shards (Parquet: id, lang, role, vector).
        model: embedded, a Sentence Transformers folder, or a Hub id (id@revision).
        source: The benchmark.
        options: How the model is opened.
        devices: Encode on several devices, one process each: 0,1 (CUDA devices), or cpu,cpu.
        numbers: Data type of the stored vectors.
        shard_size: Texts per shard.
        processes: Number of processes that encode at the same time.
        elsewhere: Workers of a cluster to encode on.
        overwrite: Replace what the folder holds.
        resume: Keep the finished shards and continue.
    """
    from isoglot.core.output_folders import claimed_folder, refuse_own_input
    from isoglot.encoders.endpoint import is_endpoint
    from isoglot.encoders.loading import quiet_libraries
    from isoglot.encoders.model_names import locate

    if devices and processes > 1:
        raise InputError("--processes and --devices: a device has one process; give one of them")
    if shard_size < 1 or processes < 1:
        raise InputError("--shard-size and --processes must be at least 1")
    if is_endpoint(model):
        raise InputError("--model endpoint: isoglot encode needs a local model; isoglot evaluate takes endpoints")
    executor = (elsewhere or Elsewhere()).executor(devices)
    if executor is not None and processes > 1:
        raise InputError("--processes: only for this machine; with --on, give --workers")
    quiet_libraries()
    chosen = source or Source()
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        data = open_source(chosen, Path(scratch))
    locate(model)
    if overwrite:
        refuse_own_input(output_dir, [Path(locate(model)[0])])
    with claimed_folder(output_dir, overwrite=overwrite, resume=resume) as folder:
        done = encode_to(
            data,
            folder,
            model,
            options,
            devices,
            numbers=numbers,
            shard_size=shard_size,
            processes=processes,
            executor=executor,
        )
    print(f"{done} shards encoded, all vectors in {folder}")


def encode_to(
    data: Benchmark | StreamedCorpus,
    folder: Path,
    model: str,
    options: ModelOptions | None,
    devices: str | None,
    *,
    numbers: Literal["float16", "float32"] = "float16",
    shard_size: int = 16_384,
    processes: int = 1,
    executor: Executor | None = None,
) -> int:
    """Encode to shards in a folder; return the number of shards written."""
    from functools import partial

    from isoglot.cli.encoders import say_shards
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.encoders.model_names import absolute_name
    from isoglot.encoders.opening import open_embedder, open_on
    from isoglot.encoders.to_disk import WEIGHTS, encode_shards, entries_of, stream_of
    from isoglot.encoders.weights_files import model_checksum
    from isoglot.encoders.workers import split_devices

    entries = entries_of(data) if isinstance(data, Benchmark) else stream_of(data)
    opened, places = options or ModelOptions(), split_devices(devices)
    name = absolute_name(model)
    settings = {"model": model, "benchmark": data.checksum, "length": opened.length, "precision": opened.precision}
    if checksum := model_checksum(name):
        settings[WEIGHTS] = checksum["model"]
    opener = partial(open_on, name, opened) if places else partial(open_embedder, name, opened)
    done = encode_shards(
        entries,
        folder,
        opener,
        {**settings, **opened.record()},
        size=shard_size,
        kind=numbers,
        processes=processes,
        devices=places,
        executor=executor,
    )
    say_shards(folder, options)
    return done
