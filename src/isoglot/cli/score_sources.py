"""The sources that `isoglot evaluate` can score: a model, vectors, a TREC run, or an index."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from isoglot.cli.index_source import FromIndex
from isoglot.cli.scoring import ScoreSource, Scoring
from isoglot.cli.search_flags import Ranking
from isoglot.core.errors import InputError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.core.executors import Executor
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.data.benchmarks.streamed import StreamedCorpus
    from isoglot.encoders.embedder import Encoder, Vectors
    from isoglot.measuring.evaluation import Evaluation


@dataclass(frozen=True)
class FromModel:
    """Encodes the texts with a model or an endpoint, and scores the vectors."""

    name: str
    options: ModelOptions | None
    devices: str | None
    executor: Executor | None = None

    def check(self, how: Scoring, *, streamed: bool) -> None:
        """Reject a missing model, and settings that streaming, an endpoint or several devices do not support."""
        from isoglot.encoders.endpoint import is_endpoint
        from isoglot.encoders.loading import quiet_libraries
        from isoglot.encoders.model_names import locate

        _check_vectors(how, streamed)
        elsewhere = is_endpoint(self.name) or self.devices is not None or self.executor is not None
        if elsewhere and (how.late or how.in_context):
            raise InputError(
                f"--{'late' if how.late else 'in-context'}: works on tokens, so it needs one local model; "
                "leave out --devices and --on"
            )
        quiet_libraries()
        if not is_endpoint(self.name):
            locate(self.name)
        elif streamed or self.executor is not None:
            raise InputError(
                "--model endpoint: streamed passages and --on need a local model (of miracl: --subset hard-negatives)"
            )

    def score(self, data: Benchmark, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Encode and score; also return the device."""
        from isoglot.cli.encoders import device_of, open_encoder
        from isoglot.measuring.balanced import require_balance
        from isoglot.measuring.benchmark_vectors import encode_sides
        from isoglot.measuring.late_interaction import require_late

        if how.balanced:
            require_balance(data)
        if self.executor is not None:
            return self._score_elsewhere(data, folder, how)
        encoder = open_encoder(self.name, self.options, self.devices)
        late_of = encoder if how.late else None
        if late_of is not None:
            require_late(late_of, data)
        sides = encode_sides(encoder, data, in_context=how.in_context)
        vectors = sides.queries.vectors, sides.candidates.vectors
        result = _score_vectors(data, *vectors, self.name, folder, how, within=sides.within, late_of=late_of)
        return sides.add_to(result), device_of(encoder)

    def score_streamed(self, data: StreamedCorpus, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Encode into the subfolder `vectors`, and score those."""
        from isoglot.cli.encoding import encode_to
        from isoglot.core.run_record import device_name

        vectors = folder / "vectors"
        vectors.mkdir(exist_ok=True)
        encode_to(data, vectors, self.name, self.options, self.devices, executor=self.executor)
        return _score_shards(data, vectors, self.name, how, self.executor), device_name(None)

    def _score_elsewhere(self, data: Benchmark, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Encode on the executor's workers, and score the vectors that they return."""
        from isoglot.cli.encoding import encode_to

        with TemporaryDirectory(prefix="isoglot-") as scratch:
            vectors = Path(scratch)
            size = 1024  # texts of a shard: small, since a benchmark is small and every worker should get some
            encode_to(
                data, vectors, self.name, self.options, None, numbers="float32", shard_size=size, executor=self.executor
            )
            return FromVectors(vectors, self.name).score(data, folder, how)[0], "elsewhere"

    def settings(self) -> dict[str, Any]:
        """Return no further settings."""
        return {}

    def checksums(self) -> dict[str, str]:
        """Return the checksum of the weights if the model is a folder."""
        from isoglot.encoders.weights_files import model_checksum

        return model_checksum(self.name)


@dataclass(frozen=True)
class FromVectors:
    """Scores vectors on disk."""

    place: Path
    model: str | None
    executor: Executor | None = None

    @property
    def name(self) -> str:
        """The model's name if given, else the path of the vectors."""
        return self.model or str(self.place)

    def check(self, how: Scoring, *, streamed: bool) -> None:
        """Reject settings that need vectors in memory if streamed, workers if not, and settings that need tokens."""
        _check_vectors(how, streamed)
        if how.late or how.in_context:
            raise InputError(
                f"--{'late' if how.late else 'in-context'}: works on tokens, but --vectors are of whole texts; give "
                "--model"
            )
        if self.executor is not None and not streamed:
            raise InputError(
                "--on: with --vectors it says where streamed passages are searched (of miracl: --subset full); "
                "those that are in memory are searched here, leave it out"
            )

    def score(self, data: Benchmark, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Read and score."""
        from isoglot.encoders.vector_files import gather
        from isoglot.measuring.balanced import require_balance

        if how.balanced:
            require_balance(data)
        vectors = gather(self.place, data.queries.ids, data.candidates.ids)
        return _score_vectors(data, *vectors, self.name, folder, how), "cpu"

    def score_streamed(self, data: StreamedCorpus, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Read and score the vectors in blocks."""
        return _score_shards(data, self.place, self.name, how, self.executor), "cpu"

    def settings(self) -> dict[str, Any]:
        """Return the path of the vectors, for `run.json`."""
        return {"vectors": str(self.place)}

    def checksums(self) -> dict[str, str]:
        """Return no checksums."""
        return {}


@dataclass(frozen=True)
class FromRun:
    """Scores a TREC run, or one for each query language."""

    files: tuple[Path, ...]
    runs: Path | dict[str, Path]
    pool: Literal["all", "own"]

    @property
    def name(self) -> str:
        """The paths as given."""
        return ",".join(map(str, self.files))

    def check(self, how: Scoring, *, streamed: bool) -> None:
        """Reject settings that need vectors."""
        _refuse_streamed(how, streamed)
        if how.wants_vectors:
            raise InputError(
                "--run: --write-trec, --debias, --feedback, --fair, --late and --in-context need vectors or a "
                "model, not a run"
            )

    def score(self, data: Benchmark, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Read and score."""
        from isoglot.measuring.scoring import score_run

        own = self.pool == "own"
        return score_run(data, self.runs, own_language=own, relevant_from=how.relevant_from), "cpu"

    def score_streamed(self, data: StreamedCorpus, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Score without reading the passages."""
        from isoglot.measuring.scoring import relevant_only

        result, device = self.score(relevant_only(data), folder, how)
        return replace(result, candidates={}, top=None), device

    def settings(self) -> dict[str, Any]:
        """Return the files and their candidates, for `run.json`."""
        return {"run": [str(path) for path in self.files], "run_pool": self.pool}

    def checksums(self) -> dict[str, str]:
        """Return no checksums."""
        return {}


def score_source(
    model: str | None,
    vectors: Path | None,
    run: tuple[Path, ...],
    run_pool: Literal["all", "own"],
    index: str | None,
    ranking: Ranking,
    options: ModelOptions | None,
    devices: str | None,
    executor: Executor | None = None,
) -> ScoreSource:
    """Return the source that the flags give; the embedded model by default.

    Raises:
        InputError: there are two sources, or flags that belong to another one.
    """
    from isoglot.cli.evaluating_values import parse_runs

    runs = parse_runs(run)
    if executor is not None and (index is not None or runs is not None):
        raise InputError(
            "--on: says where a model encodes and vectors are searched; leave it out with --index and --run"
        )
    if index is not None:
        if vectors is not None or runs is not None:
            raise InputError("--index, --vectors and --run: give one of them")
        if devices is not None:
            raise InputError("--devices: an index is searched on one device; give --device")
        return FromIndex(index, ranking, model, options)
    given = ranking.given()
    if given is not None:
        raise InputError(f"--{given.replace('_', '-')}: says how an index is searched; give --index with it")
    if vectors is not None and runs is not None:
        raise InputError("--vectors and --run: give one of them")
    if model is not None and runs is not None:
        raise InputError("--model and --run: a run needs no model; drop one")
    if runs is not None:
        return FromRun(run, runs, run_pool)
    if vectors is not None:
        return FromVectors(vectors, model, executor)
    return FromModel(model or "embedded", options, devices, executor)


def _refuse_streamed(how: Scoring, streamed: bool) -> None:
    if streamed and how.wants_vectors:
        raise InputError(
            "--write-trec, --debias, --feedback, --fair, --late and --in-context need passages in memory, not streamed "
            "ones (of beir leave --stream out, of miracl take --subset hard-negatives)"
        )


def _check_vectors(how: Scoring, streamed: bool) -> None:
    from isoglot.encoders.debias import load_debias

    _refuse_streamed(how, streamed)
    if (how.late or how.balanced) and how.trec_depth is not None:
        flag = "late" if how.late else "fair"
        raise InputError(f"--{flag}: ranks by more than vectors, but --write-trec by vectors only; give one of the two")
    if how.debias is not None:
        load_debias(how.debias)  # fails on a broken file before anything is encoded


def _score_vectors(
    data: Benchmark,
    queries: Vectors,
    candidates: Vectors,
    name: str,
    folder: Path,
    how: Scoring,
    *,
    within: Vectors | None = None,
    late_of: Encoder | None = None,
) -> Evaluation:
    """Correct and score vectors in memory, and write TREC runs if requested.

    Args:
        data: the benchmark.
        queries: unit vectors (n, d) of the queries.
        candidates: unit vectors (m, d) of the candidates.
        name: name of the model.
        folder: output folder of the runs.
        how: settings.
        within: vectors (m, d) of the candidates within their contexts.
        late_of: the encoder whose token vectors are compared, too.
    """
    from isoglot.encoders.debias import load_debias
    from isoglot.measuring.benchmark_vectors import corrected
    from isoglot.measuring.evaluating import scored, trained_languages
    from isoglot.measuring.trec import write_trec

    correction = None if how.debias is None else load_debias(how.debias)
    queries, candidates = corrected(data, queries, candidates, correction, feedback=how.feedback, within=within)
    if how.trec_depth is not None:
        write_trec(folder / "trec", data, queries, candidates, depth=how.trec_depth)
    return scored(
        data,
        queries,
        candidates,
        late_of=late_of,
        feedback=how.feedback,
        balanced=how.balanced,
        name=name,
        trained=trained_languages(name),
        relevant_from=how.relevant_from,
    )


def _score_shards(
    data: StreamedCorpus, vectors: Path, name: str, how: Scoring, executor: Executor | None
) -> Evaluation:
    """Score a corpus whose passage vectors are on disk, in blocks."""
    from isoglot.measuring.evaluating import trained_languages
    from isoglot.measuring.scoring import score_shards

    return score_shards(
        data,
        vectors,
        name=name,
        depth=how.depth,
        memory=how.memory,
        executor=executor,
        trained=trained_languages(name),
        relevant_from=how.relevant_from,
    )
