"""`isoglot index --sync` and `--watch`: keep an index in step with the contents of folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoglot.cli.options import Switch
from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.search.index.building import Built


@dataclass(frozen=True)
class KeepingUp:
    """How an index follows the contents of folders.

    Attributes:
        sync: Make the index match the inputs: add, replace, and delete documents that are gone; creates the index if
            there is none.
        watch: Keep doing so whenever files change, until Ctrl-C.
        most_deleted: The largest share of the inputs' documents that --sync may delete at once (0.5 when not given).
    """

    sync: Switch = False
    watch: Switch = False
    most_deleted: float | None = None

    @property
    def on(self) -> bool:
        """Whether documents are deleted from the index together with their files."""
        return self.sync or self.watch

    @property
    def share(self) -> float:
        """The largest share of the documents that may be deleted at once."""
        from isoglot.search.index.syncing import MOST_DELETED

        return MOST_DELETED if self.most_deleted is None else self.most_deleted

    def check(self, inputs: Sequence[Path], folder: Path, **others: object) -> None:
        """Check that other flags go together with these.

        Args:
            inputs: files and folders.
            folder: folder of the index.
            others: values of flags that do not go with --sync, by name.
        """
        from isoglot.search.index.syncing import check_sync

        if not self.on:
            if self.most_deleted is not None:
                raise InputError("--most-deleted: limits what --sync may delete; give --sync with it")
            return
        given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
        if given:
            raise InputError(f"--sync: makes an index match its files and folders; leave out {', '.join(given)}")
        check_sync(inputs, folder, self.share, alone=True)


def keep_watching(
    inputs: Sequence[Path], folder: Path, encoder: Any, told: Callable[[Built, str | None], str], **how: Any
) -> None:
    """Keep an index in step with files and folders until interrupted.

    Args:
        inputs: files and folders.
        folder: folder of the index.
        encoder: the open encoder.
        told: called after each round with its result and the problems of the round before (None in the first), so that
            it need not repeat them; prints what is new and returns this round's problems.
        how: further arguments of `build_index`.
    """
    from isoglot.core.progress import progress_line
    from isoglot.search.index.watching import watch_index

    said: str | None = None

    def one(done: Built | Exception) -> None:
        nonlocal said
        if isinstance(done, Exception):
            # A lasting problem, such as a folder that is not mounted, is reported once.
            if str(done) != said:
                progress_line(f"{done}\nthe index is unchanged; the next change starts another try")
            said = str(done)
        else:
            said = told(done, said)

    progress_line(f"watching {', '.join(map(str, inputs))} (Ctrl-C stops)")
    watch_index(inputs, folder, encoder, told=one, **how)
