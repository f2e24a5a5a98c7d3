"""`isoglot data from-…`: training files of other libraries and data sets as parallel rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from isoglot.cli.options import OutputFile, Switch, new_file

if TYPE_CHECKING:
    from isoglot.data.rows import Row


def from_mmarco(
    folder: Path,
    /,
    *,
    output: OutputFile,
    queries: str = "queries.{lang}.tsv",
    collection: str = "collection.{lang}.tsv",
    relations: Path | None = None,
    langs: str | None = None,
    dataset: str = "mmarco",
    negatives: int = 1,
    max_groups: int | None = None,
    overwrite: Switch = False,
) -> None:
    """Turn mMARCO's translated queries and passages into parallel rows; a group is a query id.

    Args:
        folder: Holds a query file and a collection for each language.
        output: Rows file to write (.jsonl or .jsonl.gz).
        queries: Name of a query file; {lang} is the code, {language} the English name in lower case.
        collection: Name of a passage file.
        relations: Qrels or triples of ids; by default the folder's only qrels*.tsv or triples*.tsv.
        langs: Comma-separated languages to keep.
        dataset: Name of the data set.
        negatives: At most so many negatives a row, from triples.
        max_groups: Only the first so many queries.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.mmarco import mmarco_rows

    notes: Counter[str] = Counter()
    rows = mmarco_rows(
        folder,
        queries=queries,
        collection=collection,
        relations=relations,
        langs=langs,
        dataset=dataset,
        negatives=negatives,
        max_groups=max_groups,
        notes=notes,
    )
    _write(rows, output, overwrite, notes)


def from_pairs(
    *files: str,
    output: OutputFile,
    dataset: str = "pairs",
    query_column: str | None = None,
    passage_column: str | None = None,
    group_column: str | None = None,
    lang_column: str | None = None,
    negatives: int | None = None,
    unaligned: Switch = False,
    no_header: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Turn Sentence Transformers pairs, triplets or n-tuples (JSONL, CSV, TSV, Parquet) into parallel rows.

    Args:
        files: LANG=FILE, such as de=train.de.tsv en=train.en.tsv; plain files with --lang-column.
        output: Rows file to write (.jsonl or .jsonl.gz).
        dataset: Name of the data set.
        query_column: By default anchor, query, question or sentence1, else the first text.
        passage_column: By default positive, passage, answer, document or sentence2, else the second text.
        group_column: Holds what translations of one pair share; by default line n is the same pair in every file.
        lang_column: Holds the language.
        negatives: At most so many negatives a row; all by default.
        unaligned: Without a group column, no line is a translation of another.
        no_header: CSV and TSV begin with data; columns are then called 1, 2, 3.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.other_libraries import Reading, pairs_rows, parse_sources

    reading = Reading(dataset, group_column, lang_column, negatives, aligned=not unaligned)
    sources = parse_sources(files, lang_column)
    rows = pairs_rows(sources, reading, query=query_column, passage=passage_column, header=not no_header)
    _write(rows, output, overwrite, Counter())


def from_tevatron(
    *files: str,
    output: OutputFile,
    dataset: str = "tevatron",
    lang_column: str | None = None,
    negatives: int | None = None,
    overwrite: Switch = False,
) -> None:
    """Turn Tevatron's JSONL (query, positive_passages, negative_passages) into parallel rows; a group is a query_id.

    Args:
        files: LANG=FILE, such as de=train.de.jsonl; plain files with --lang-column.
        output: Rows file to write (.jsonl or .jsonl.gz).
        dataset: Name of the data set.
        lang_column: Holds the language.
        negatives: At most so many negatives a row; all by default.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.other_libraries import Reading, parse_sources, tevatron_rows

    notes: Counter[str] = Counter()
    reading = Reading(dataset, None, lang_column, negatives)
    _write(tevatron_rows(parse_sources(files, lang_column), reading, notes), output, overwrite, notes)


def from_flagembedding(
    *files: str,
    output: OutputFile,
    dataset: str = "flagembedding",
    group_column: str | None = None,
    lang_column: str | None = None,
    negatives: int | None = None,
    unaligned: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Turn FlagEmbedding's JSONL (query, pos, neg and scores) into parallel rows.

    Args:
        files: LANG=FILE, such as de=train.de.jsonl; plain files with --lang-column.
        output: Rows file to write (.jsonl or .jsonl.gz).
        dataset: Name of the data set.
        group_column: Holds what translations share; by default id, else line n is the same in every file.
        lang_column: Holds the language.
        negatives: At most so many negatives a row; all by default.
        unaligned: Without ids, no line is a translation of another.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.other_libraries import Reading, flagembedding_rows, parse_sources

    notes: Counter[str] = Counter()
    reading = Reading(dataset, group_column, lang_column, negatives, aligned=not unaligned)
    _write(flagembedding_rows(parse_sources(files, lang_column), reading, notes), output, overwrite, notes)


def _write(rows: Iterator[Row], output: Path, overwrite: bool, notes: Counter[str]) -> None:
    from isoglot.data.rows import write_rows

    count = write_rows(rows, new_file(output, overwrite))
    more = "".join(f"; {number} {what}" for what, number in sorted(notes.items()) if number)
    print(f"{count} rows in {output}{more}")
