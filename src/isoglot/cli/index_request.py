"""The arguments of `isoglot index`, and the check which of them go together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from isoglot.cli.benchmarks import IndexedBenchmark
from isoglot.cli.cluster_flags import Elsewhere
from isoglot.cli.syncing import KeepingUp
from isoglot.core.errors import InputError
from isoglot.encoders.options import ModelOptions


@dataclass(frozen=True)
class IndexRequest:
    """The arguments of `isoglot index`; see `cli.indexing.index` for their meanings."""

    inputs: tuple[Path, ...]
    output_dir: Path
    source: IndexedBenchmark
    model: str | None
    debias: Path | None
    options: ModelOptions
    devices: str | None
    elsewhere: Elsewhere
    keeping: KeepingUp
    update: bool
    by_id: bool
    delete: tuple[str, ...]
    delete_from: Path | None
    moved_from: Path | None
    versions: bool
    roll_back: int | None
    prune: int | None
    numbers: str | None
    in_context: bool
    tokens: bool
    ann_from: int
    overwrite: bool
    resume: bool
    local: Path | None
    as_json: bool

    @property
    def changes_documents(self) -> bool:
        """Whether the request concerns documents, not only versions."""
        named = self.inputs or self.source.benchmark or self.keeping.on
        return bool(named or self.update or self.delete or self.delete_from)

    def settled(self) -> IndexRequest:
        """Return the request with `update` and `resume` set for --sync and --watch, by what the folder holds.

        Raises:
            InputError: flags that do not go with --sync or --watch.
        """
        from isoglot.search.index.manifest import BUILDING, FILE

        self.keeping.check(
            self.inputs,
            self.output_dir,
            benchmark=self.source.benchmark,
            by_id=self.by_id,
            delete=self.delete,
            delete_from=self.delete_from,
            overwrite=self.overwrite,
            resume=self.resume,
        )
        if not self.keeping.on:
            return self
        # Update an index, resume one whose build was begun, or build a new one.
        update = (self.output_dir / FILE).is_file()
        return replace(self, update=update, resume=not update and (self.output_dir / BUILDING).is_file())

    def check(self) -> None:
        """Check that the flags go together.

        Raises:
            InputError: they do not; names them.
        """
        if (self.delete or self.delete_from) and not self.update:
            raise InputError("--delete: removes documents from an index; give --update with it")
        if self.update and self.overwrite:
            raise InputError("--overwrite: replaces an index, --update changes an existing one; leave one of them out")
        if self.by_id and not self.update:
            raise InputError("--by-id: lets records replace those with the same id; give --update with it")
        if self.moved_from is not None and not (self.update and len(self.inputs) == 1):
            raise InputError("--moved-from: gives the former place of one input; give --update and that input with it")
        if self.moved_from is not None and self.keeping.watch:
            raise InputError("--moved-from: only for one run; give it with --sync once, then --watch without it")
        if self.source != IndexedBenchmark() and not self.source.benchmark:
            raise InputError("--data-dir, --rows, --langs and the like are for a benchmark; give --benchmark with them")
        if self.source.benchmark and self.inputs:
            raise InputError("--benchmark: its passages are indexed instead of files; leave out the inputs")
        if not self.inputs and not self.source.benchmark and not (self.delete or self.delete_from):
            raise InputError("nothing to index; name files or folders, or a benchmark")
