"""`isoglot evaluate --index`: score the searches of an index."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoglot.cli.scoring import Scoring
from isoglot.cli.search_flags import Ranking
from isoglot.core.errors import InputError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.data.benchmarks.streamed import StreamedCorpus
    from isoglot.measuring.evaluation import Evaluation


@dataclass(frozen=True)
class FromIndex:
    """Scores the searches of an index of the benchmark's passages."""

    place: str
    ranking: Ranking
    model: str | None
    options: ModelOptions | None

    @property
    def name(self) -> str:
        """The index's place, the mode, and the search settings that are not the defaults."""
        ranking = self.ranking
        more = ["balanced"] if ranking.fair == "balanced" else []
        more += [f"re-ranked by {ranking.rerank}"] if ranking.rerank else []
        more += ["feedback"] if ranking.feedback else []
        more += ["expanded"] if ranking.expand else []
        return f"{self.place} ({', '.join([ranking.mode, *more])})"

    def check(self, how: Scoring, *, streamed: bool) -> None:
        """Reject settings for vectors only, too large a depth, streamed passages, and a folder without an index."""
        from isoglot.search.index.manifest import read_manifest
        from isoglot.search.query_checks import LARGEST_K, check_feedback
        from isoglot.search.stores.named import FOLDER, split_place

        if how.trec_depth is not None or how.debias is not None:
            raise InputError(
                "--index: --write-trec and --debias need vectors or a model; `isoglot search --run` writes an index's "
                "runs, `isoglot index --debias` corrects one"
            )
        if how.late:
            raise InputError(
                "--late: only for a model; to compare an index's best passages like this, give --rerank late"
            )
        if how.in_context:
            raise InputError("--in-context: only for a model; an index keeps the vectors that it was built with")
        if streamed:
            raise InputError("--index: needs passages in memory, not streamed (of miracl: --subset hard-negatives)")
        check_feedback(self.ranking.feedback, self.ranking.mode)
        if how.depth > LARGEST_K:
            raise InputError(f"--depth {how.depth}: a search lists at most {LARGEST_K} passages")
        name, rest = split_place(self.place)
        if name == FOLDER:
            read_manifest(Path(rest))

    def score(self, data: Benchmark, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Search all queries and score the results; also return the device."""
        from isoglot.cli.encoders import device_of
        from isoglot.core.run_record import device_name, read_run
        from isoglot.encoders.loading import quiet_libraries
        from isoglot.search.evaluating import refuse_other_index, score_index
        from isoglot.search.index.manifest import read_manifest
        from isoglot.search.searcher import Searcher
        from isoglot.search.stores.named import FOLDER, open_place, split_place

        name, rest = split_place(self.place)
        opened = open_place(self.place)
        with closing(opened.index):  # some stores can be opened by one process at a time only
            if name == FOLDER:
                made = (read_run(Path(rest)) or {}).get("data", {}).get("benchmark")
                version = read_manifest(Path(rest)).version
                refuse_other_index(data, version.documents + version.folded, made)
            else:
                refuse_other_index(data, len(opened.index.tally("document").counts), None, folded=False)
            if self.ranking.wants_models:
                quiet_libraries()
            searcher = Searcher.open(opened, self.model, options=self.options)
            result = score_index(
                searcher,
                data,
                depth=how.depth,
                name=self.name,
                relevant_from=how.relevant_from,
                **self.ranking.arguments(searcher),
            )
            if self.ranking.mode != "lexical":
                return result, device_of(searcher.encoder)
            return result, "cpu" if self.ranking.rerank is None else device_name(None)

    def score_streamed(self, data: StreamedCorpus, folder: Path, how: Scoring) -> tuple[Evaluation, str]:
        """Raise: `check` already rejects streamed passages."""
        raise InputError("--index: needs passages in memory")

    def settings(self) -> dict[str, Any]:
        """Return the index and its search settings, for `run.json`."""
        return {"index": self.place, **self.ranking.record()}

    def checksums(self) -> dict[str, str]:
        """Return the checksum of the weights if `model` is a folder."""
        from isoglot.encoders.weights_files import model_checksum

        return {} if self.model is None else model_checksum(self.model)
