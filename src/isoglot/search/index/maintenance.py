"""Maintenance of a table after writing: column indexes, and compaction."""

from __future__ import annotations

import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

from isoglot.search.index.passages_table import SEARCHED
from isoglot.search.index.segments import lance_package

_FOREVER = timedelta(days=36_500)
_END = b"LANC"  # the last bytes of each of Lance's files


def index_columns(table: Any) -> None:
    """Index languages, and the terms of titles and texts."""
    from lancedb.index import FTS, Bitmap

    table.create_index("lang", config=Bitmap(), replace=True)
    for name in SEARCHED:
        # The text is already normalized and tokenized, the same way for every script; a word may be of any length.
        words = FTS(
            base_tokenizer="whitespace", lower_case=False, ascii_folding=False, stem=False, remove_stop_words=False,
            max_token_length=None,
        )  # fmt: skip
        table.create_index(name, config=words, replace=True)


def settle(table: Any, *, keep: bool) -> None:
    """Compact small files and bring the indexes up to date.

    Args:
        table: to compact.
        keep: keep earlier versions. In a new index nobody reads them, so their files are removed.
    """
    with warnings.catch_warnings():
        # Lance warns that readers of older versions would fail; there are none.
        warnings.simplefilter("ignore", UserWarning)
        table.optimize(cleanup_older_than=_FOREVER if keep else timedelta(0))


def refuse_truncated(uri: str, version: int) -> None:
    """Reject a version of a table with truncated column indexes: Lance 13 ignores it if the last write to one fails.

    Raises:
        OSError: a file lacks its end.
        MissingPackageError: pylance is not installed.
    """
    described = lance_package().dataset(uri, version=version).describe_indices()
    for segment in (segment for index in described for segment in index.segments):
        for path in Path(uri, "_indices", segment.uuid).glob("*.lance"):
            with path.open("rb") as stream:
                stream.seek(max(0, path.stat().st_size - len(_END)))
                if stream.read() != _END:
                    raise OSError(f"{path.relative_to(Path(uri).parent)} is truncated; perhaps the disk was full")
