"""Flags of `isoglot index` that keep an index at what folders hold, and the rounds of `--watch`."""

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
    """What keeps an index at what folders hold.

    Attributes:
        sync: Bring the index to what the inputs hold: add, replace, and delete what left; a new index is made.
        watch: Go on doing so whenever files change, until Ctrl-C.
        most_deleted: The largest share of the inputs' documents that --sync may delete at once (0.5 when not given).
    """

    sync: Switch = False
    watch: Switch = False
    most_deleted: float | None = None

    @property
    def on(self) -> bool:
        """Whether documents leave the index with their files."""
        return self.sync or self.watch

    @property
    def share(self) -> float:
        """Of the documents that may be deleted at once."""
        from isoglot.search.index.syncing import MOST_DELETED

        return MOST_DELETED if self.most_deleted is None else self.most_deleted

    def check(self, inputs: Sequence[Path], folder: Path, **others: object) -> None:
        """Refuse what does not go with it.

        Args:
            inputs: files and folders.
            folder: of the index.
            others: values of further flags, by their names.
        """
        from isoglot.search.index.syncing import check_sync

        if not self.on:
            if self.most_deleted is not None:
                raise InputError("--most-deleted: says what --sync may delete; give --sync with it")
            return
        given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
        if given:
            raise InputError(f"--sync: brings an index to what files and folders hold; leave out {', '.join(given)}")
        check_sync(inputs, folder, self.share, alone=True)


def keep_watching(
    inputs: Sequence[Path], folder: Path, encoder: Any, told: Callable[[Built, str | None], str], **how: Any
) -> None:
    """Bring an index to what files and folders hold until somebody stops it.

    Args:
        inputs: files and folders.
        folder: of the index.
        encoder: opened.
        told: prints what a round did, unless its second argument, what the round before could not read, is all there
            is to say (None at first); returns what this one could not read.
        how: further arguments of `build_index`.
    """
    from isoglot.core.progress import progress_line
    from isoglot.search.index.watching import watch_index

    said: str | None = None

    def one(done: Built | Exception) -> None:
        nonlocal said
        if isinstance(done, Exception):
            # One that lasts, such as a folder that is not mounted, is said once.
            if str(done) != said:
                progress_line(f"{done}\nthe index is as it was; the next change is tried again")
            said = str(done)
        else:
            said = told(done, said)

    progress_line(f"watching {', '.join(map(str, inputs))} (Ctrl-C stops)")
    watch_index(inputs, folder, encoder, told=one, **how)
