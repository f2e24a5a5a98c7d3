"""`isoglot data generate` and `isoglot data filter`: generate questions for passages, and drop the bad ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from isoglot.cli.encoders import Reporting, open_encoder
from isoglot.cli.help_page import LANGUAGE_MODEL, MODEL
from isoglot.cli.language_model import LanguageModel, print_rejected, rejects_beside, require_some, spent, write_rejects
from isoglot.cli.options import Names, OutputFile, Paths, Switch
from isoglot.cli.row_files import new_rows, refuse_input, rows_in
from isoglot.core.errors import InputError
from isoglot.data.opening import open_rows
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.core.problems import Problems
    from isoglot.curation.generation.subjects import Split, Subject
    from isoglot.data.rows import Row


def generate(
    *passages: Path,
    output: OutputFile,
    with_: Annotated[str, Parameter(name="--with")],
    language_model: Annotated[LanguageModel | None, Parameter(name="*", group=LANGUAGE_MODEL)] = None,
    langs: Names = (),
    questions: Annotated[int, Parameter(name=["--questions", "-n"])] = 1,
    examples: Paths = (),
    documents: Switch = False,
    pivot: str = "en",
    dataset: str = "generated",
    model: str = "embedded",
    length: int | None = None,
    rejects: Path | None = None,
    limit: int | None = None,
    overwrite: Switch = False,
) -> None:
    """Ask a language model for questions that passages answer, in their language and in others.

    In a language that a passage does not exist in, its row holds a summary in that language. The model's answers are
    cached by content, as by translate.

    Args:
        passages: Row files or a prepared folder (their passages are asked about), index folders, or documents: files
            and folders of any kind that isoglot index reads; .jsonl files are rows unless --documents is given.
        output: Rows file to write (.jsonl or .jsonl.gz).
        with_: Address of an OpenAI-compatible API (http://HOST/v1; key in OPENAI_API_KEY).
        language_model: How the language model is asked.
        langs: Comma-separated languages of the questions; each passage's own by default.
        questions: Questions per passage.
        examples: Row files that show what kind of question is wanted.
        documents: Read all files as documents, .jsonl files too.
        pivot: Language whose version of a group's passage the language model reads.
        dataset: Name of the data set, for documents and indexes.
        model: Encoder whose tokenizer measures the passages that documents are split into.
        length: Tokens per passage; the model's preset when not given.
        rejects: File for what gave no row, with reasons; by default the output's name with .rejects.
        limit: Ask about only this many passages, the first ones.
        overwrite: Replace existing files.
    """
    from itertools import islice

    from isoglot.core.problems import Problems
    from isoglot.core.progress import Progress, progress_line
    from isoglot.curation.generation.building import Generated, generate_rows
    from isoglot.data.rows import read_rows, write_rows
    from isoglot.languages.codes import normal_code

    if not passages or questions < 1:
        raise InputError("no passages given" if not passages else f"--questions {questions}: expected at least 1")
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: expected at least 1")
    if not with_.startswith(("http://", "https://")):
        raise InputError(f"--with {with_}: expected the address of an OpenAI-compatible API (http://HOST/v1)")
    refused = rejects or rejects_beside(output)
    new_rows(output, overwrite, beside={"--rejects": refused})
    refuse_input(output, passages)
    langs, pivot = tuple(dict.fromkeys(map(normal_code, langs))), normal_code(pivot)
    shown = [row for _, _, row in read_rows(examples)]
    problems = Problems()
    found = _subjects(passages, problems, pivot, dataset, documents, lambda: _splitter(model, length))
    subjects = list(islice(found, limit))
    if problems.count:
        progress_line(f"{problems.count} documents or lines were skipped, such as {problems.shown[0]}")
    if not subjects:
        raise InputError(f"{passages[0]}: no passages to ask about")
    asked = language_model or LanguageModel()
    chat = asked.chat(with_)
    outcome, started = Generated(), time.monotonic()

    def made() -> Iterator[Row]:
        with Progress("asking", len(subjects)) as progress:
            done = 0
            for row in generate_rows(subjects, chat, outcome, langs=langs, count=questions, examples=shown):
                yield row
                progress.advance(outcome.passages - done)
                done = outcome.passages
        require_some(outcome, refused)
        write_rejects(outcome.rejects, refused)  # before the rows have their name: a killed run leaves none alone

    count = write_rows(made(), output)
    rate = len(subjects) / max(time.monotonic() - started, 1e-9)
    print(f"{count} rows for {len(subjects)} passages in {output}; {spent(chat)}; {rate:.1f} passages a second")
    print_rejected(outcome)
    asked.require_all(outcome, f"of {len(subjects)} passages were not sent")


def filter_(
    *rows: Path,
    output: OutputFile,
    model: str = "embedded",
    top: int = 20,
    cross_encoder: str | None = None,
    rejects: Path | None = None,
    langs: str | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    devices: str | None = None,
    dry_run: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Keep rows whose passage an encoder finds for their query; drop questions that repeat another or quote it.

    Args:
        rows: Row files, or one prepared folder.
        output: Rows file to write (.jsonl or .jsonl.gz).
        model: embedded, a Sentence Transformers folder, or a Hub id (id@revision).
        top: Keep a row if its passage is among this many best of all passages of all languages.
        cross_encoder: Cross-encoder (folder or Hub id) that ranks the row's passage among the model's best instead.
        rejects: File for the dropped rows, with reasons; by default the output's name with .rejects.
        langs: Comma-separated languages to keep.
        options: How the model is opened.
        devices: Encode on several devices, one process each: 0,1 (CUDA devices), or cpu,cpu.
        dry_run: Only print what would be dropped.
        overwrite: Replace existing files.
    """
    from dataclasses import asdict

    from isoglot.curation.filtering import filter_rows
    from isoglot.curation.rewriting import rows_of
    from isoglot.data.rows import write_rows
    from isoglot.encoders.cross_encoder import load_cross_encoder

    refused = rejects or rejects_beside(output)
    if not dry_run:
        new_rows(output, overwrite, beside={"--rejects": refused})
    judge = None if cross_encoder is None else load_cross_encoder(cross_encoder)
    prepared = open_rows(rows, langs=langs)
    found = filter_rows(Reporting(open_encoder(model, options, devices)), prepared, top=top, cross_encoder=judge)
    gone = [
        {key: value for key, value in asdict(row).items() if value} | {"reason": reason, "rank": int(rank)}
        for row, reason, rank in zip(rows_of(prepared), found.reasons, found.ranks, strict=True)
        if reason
    ]
    if not dry_run:
        kept = (row for row, reason in zip(rows_of(prepared), found.reasons, strict=True) if not reason)
        write_rejects(gone, refused)
        write_rows(kept, output)
    where = f"would be kept of {len(prepared)}" if dry_run else f"of {len(prepared)} in {output}"
    print(f"{len(prepared) - len(gone)} rows {where}")
    for reason, number in found.counts.most_common():
        print(f"{'would be rejected' if dry_run else 'rejected'}: {number} ({reason})")
    for entry in gone[:5] if dry_run else ():
        print(f"  {entry['lang']} {entry['group']}: {entry['query'][:100]} ({entry['reason']}, rank {entry['rank']})")


def _subjects(
    inputs: Sequence[Path],
    problems: Problems,
    pivot: str,
    dataset: str,
    documents: bool,
    splitter: Callable[[], Split],
) -> Iterator[Subject]:
    """Yield the passages to ask about, from rows, a prepared folder, indexes or documents."""
    from isoglot.curation.generation import subjects
    from isoglot.search.index.lance import LanceIndex
    from isoglot.search.index.manifest import BUILDING, FILE

    indexes = [path for path in inputs if (path / FILE).is_file() or (path / BUILDING).is_file()]
    if indexes and len(indexes) < len(inputs):
        other = next(path for path in inputs if path not in indexes)
        raise InputError(f"{indexes[0]} is an index and {other} is not; expected indexes only, or none")
    if indexes:
        stored = (passage for path in indexes for passage in LanceIndex(path).passages())
        cut = ((passage.id, passage.lang, passage.text, passage.title) for passage in stored)
        return subjects.subjects_of_passages(cut, problems, dataset)
    prepared = len(inputs) == 1 and (inputs[0] / "rows.arrow").is_file()
    rows = prepared or all(path.name.endswith((".jsonl", ".jsonl.gz", ".parquet")) for path in inputs)
    if documents or not rows:
        return subjects.subjects_of_documents(list(inputs), splitter(), problems, dataset)
    return subjects.subjects_of_rows(rows_in(inputs), pivot)


def _splitter(model: str, length: int | None) -> Split:
    from isoglot.curation.translated_pages.passages import splitter
    from isoglot.encoders.loading import load, quiet_libraries

    quiet_libraries()
    loaded: Any = load(model)
    return splitter(loaded, length)
