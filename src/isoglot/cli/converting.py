"""`isoglot data from-…`: convert training files of other libraries and data sets to parallel rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from isoglot.cli.options import Names, OutputFile, Switch
from isoglot.cli.row_files import counted, new_rows
from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.data.rows import Row


def from_lareqa(
    folder: Path,
    /,
    *,
    output: OutputFile,
    langs: str | None = None,
    dataset: str | None = None,
    context_negatives: int = 0,
    seed: int = 0,
    overwrite: Switch = False,
) -> None:
    """Turn LAReQA-layout files (one JSON a language) into parallel rows: question, gold sentence, context.

    Args:
        folder: Folder with the {lang}.json files.
        output: Rows file to write (.jsonl or .jsonl.gz).
        langs: Comma-separated languages to keep.
        dataset: Name of the data set; the folder's name by default.
        context_negatives: Most negatives per row, taken from the other sentences of the paragraph that answer no
            question.
        seed: Seed of the random choice of these negatives.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.lareqa_rows import lareqa_rows

    rows = lareqa_rows(folder, langs=langs, dataset=dataset, context_negatives=context_negatives, seed=seed)
    _write(rows, output, overwrite, Counter())


def from_mmarco(
    folder: str,
    /,
    *,
    output: OutputFile,
    queries: str | None = None,
    collection: str | None = None,
    relations: Path | None = None,
    langs: str | None = None,
    dataset: str = "mmarco",
    negatives: int = 1,
    max_groups: int | None = None,
    overwrite: Switch = False,
) -> None:
    """Turn mMARCO's translated queries and passages into parallel rows; a group is a query id.

    Args:
        folder: Folder with a query file and a collection for each language; or unicamp-dl/mmarco@REVISION, which is
            downloaded from the Hub (--langs for some languages only).
        output: Rows file to write (.jsonl or .jsonl.gz).
        queries: Name of a query file, queries.{lang}.tsv by default; {lang} is the code, {language} the English name in
            lower case.
        collection: Name of a passage file, collection.{lang}.tsv by default.
        relations: Qrels or triples of ids; by default the folder's only qrels*.tsv or triples*.tsv.
        langs: Comma-separated languages to keep.
        dataset: Name of the data set.
        negatives: Most negatives per row, from triples.
        max_groups: Convert only this many queries, the first ones.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers import mmarco

    new_rows(output, overwrite)
    notes: Counter[str] = Counter()
    own, names = Path(folder), (mmarco.QUERIES, mmarco.COLLECTION)
    if not own.is_dir() and "@" in folder:
        own, names = mmarco.fetch_mmarco(folder, langs), (mmarco.HUB_QUERIES, mmarco.HUB_COLLECTION)
        relations = relations or own / mmarco.HUB_RELATIONS
    rows = mmarco.mmarco_rows(
        own,
        queries=queries or names[0],
        collection=collection or names[1],
        relations=relations,
        langs=langs,
        dataset=dataset,
        negatives=negatives,
        max_groups=max_groups,
        notes=notes,
    )
    _write(rows, output, overwrite, notes)


def from_miracl(
    folder: Path,
    /,
    *,
    output: OutputFile,
    split: str = "train",
    langs: str | None = None,
    dataset: str | None = None,
    negatives: int = 4,
    overwrite: Switch = False,
) -> None:
    """Turn MIRACL's or Mr. TyDi's topics, qrels and corpora into rows with all their positives.

    Args:
        folder: Folder with miracl-v1.0-LANG/ and miracl-corpus-v1.0-LANG/, or mrtydi-v1.1-LANGUAGE/.
        output: Rows file to write (.jsonl or .jsonl.gz).
        split: Split of the data set, such as train or dev.
        langs: Comma-separated languages to keep.
        dataset: Name of the data set; miracl or mr-tydi by default.
        negatives: Most negatives per row, from the passages judged not relevant.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.judged import judged_rows

    notes: Counter[str] = Counter()
    rows = judged_rows(folder, split=split, langs=langs, dataset=dataset, negatives=negatives, notes=notes)
    _write(rows, output, overwrite, notes)


def from_swim_ir(
    *files: Path,
    output: OutputFile,
    dataset: str = "swim-ir",
    langs: Names = (),
    cross_lingual: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Turn SWIM-IR's files (_id, code, query, title, text) into rows.

    Args:
        files: JSON lines (also gzipped) or Parquet.
        output: Rows file to write (.jsonl or .jsonl.gz).
        dataset: Name of the data set.
        langs: Comma-separated languages of questions to keep.
        cross_lingual: The files belong to the cross-lingual sets: each question and its English passage become bitext
            rows, used only in batches across the two languages.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.swim_ir import swim_ir_rows
    from isoglot.languages.codes import normal_code

    if not files:
        raise InputError("no files given; name SWIM-IR's JSON lines or Parquet files")
    notes: Counter[str] = Counter()
    codes = tuple(map(normal_code, langs))
    rows = swim_ir_rows(files, dataset=dataset, langs=codes, cross_lingual=cross_lingual, notes=notes)
    _write(rows, output, overwrite, notes)


def from_hub(
    name: str,
    /,
    *,
    output: OutputFile,
    query: str,
    passage: str,
    lang: str,
    group: str | None = None,
    title: str | None = None,
    negatives: str | None = None,
    dataset: str | None = None,
    subset: str | None = None,
    split: str = "train",
    limit: int | None = None,
    overwrite: Switch = False,
) -> None:
    """Turn any data set of the Hub into rows, by the names of its columns.

    Args:
        name: ID@REVISION, or a folder of its files.
        output: Rows file to write (.jsonl or .jsonl.gz).
        query: Column of the query; a dot selects a nested field, such as question.text.
        passage: Column of the passage, or of a list of relevant passages.
        lang: Column of the language, or a code such as de for all records.
        group: Column of an id that translations share; by default every record is a group.
        title: Column of the passage's title.
        negatives: Column of a negative, or of a list of negatives.
        dataset: Name of the data set; the id's last part by default.
        subset: Name of the data set's configuration.
        split: Split of the data set.
        limit: Convert only this many records, the first ones.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.hub import Columns, hub_rows

    columns = Columns(query, passage, lang, group, title, negatives)
    own = dataset or name.partition("@")[0].rstrip("/").rpartition("/")[2]
    notes: Counter[str] = Counter()
    rows = hub_rows(name, columns, dataset=own, config=subset, split=split, limit=limit, notes=notes)
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
    relevant_from: float | None = None,
    overwrite: Switch = False,
) -> None:
    """Turn Sentence Transformers pairs, triplets or n-tuples (JSONL, CSV, TSV, Parquet) into parallel rows.

    Args:
        files: LANG=FILE, such as de=train.de.tsv en=train.en.tsv; plain files with --lang-column.
        output: Rows file to write (.jsonl or .jsonl.gz).
        dataset: Name of the data set.
        query_column: Column of the query; by default anchor, query, question or sentence1, else the first text.
        passage_column: Column of the passage; by default positive, passage, answer, document or sentence2, else the
            second text.
        group_column: Column of an id that translations of one pair share; by default line n is the same pair in every
            file.
        lang_column: Column of the language.
        negatives: Most negatives per row; all by default.
        unaligned: Without a group column, treat no line as a translation of another.
        no_header: CSV and TSV files have no header; columns are then called 1, 2, 3.
        relevant_from: Lowest label (or score) of a pair that is a match; pairs below it are skipped.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.converted_records import Reading, parse_sources
    from isoglot.data.readers.other_libraries import pairs_rows

    aligned = not unaligned
    reading = Reading(dataset, group_column, lang_column, negatives, aligned=aligned, relevant_from=relevant_from)
    sources = parse_sources(files, lang_column)
    notes: Counter[str] = Counter()
    rows = pairs_rows(sources, reading, query=query_column, passage=passage_column, header=not no_header, notes=notes)
    _write(rows, output, overwrite, notes)


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
        lang_column: Column of the language.
        negatives: Most negatives per row; all by default.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.converted_records import Reading, parse_sources
    from isoglot.data.readers.other_libraries import tevatron_rows

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
        group_column: Column of an id that translations share; by default id, else line n is the same pair in every
            file.
        lang_column: Column of the language.
        negatives: Most negatives per row; all by default.
        unaligned: Without ids, treat no line as a translation of another.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.converted_records import Reading, parse_sources
    from isoglot.data.readers.other_libraries import flagembedding_rows

    notes: Counter[str] = Counter()
    reading = Reading(dataset, group_column, lang_column, negatives, aligned=not unaligned)
    _write(flagembedding_rows(parse_sources(files, lang_column), reading, notes), output, overwrite, notes)


def _write(rows: Iterator[Row], output: Path, overwrite: bool, notes: Counter[str]) -> None:
    from isoglot.data.rows import write_rows

    count = write_rows(counted(_some(rows)), new_rows(output, overwrite))
    more = "".join(f"; {number} {what}" for what, number in sorted(notes.items()) if number)
    print(f"{count} rows in {output}{more}")


def _some(rows: Iterator[Row]) -> Iterator[Row]:
    """Yield the rows; raise if there are none."""
    found = False
    for row in rows:
        found = True
        yield row
    if not found:
        raise InputError("no rows found in the input; nothing is written")
