"""`isoglot data translate`: translate rows into the languages that their groups lack."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from isoglot.cli.help_page import LANGUAGE_MODEL
from isoglot.cli.language_model import LanguageModel, print_rejected, rejects_beside, require_some, spent, write_rejects
from isoglot.cli.options import Names, OutputFile, Switch
from isoglot.cli.row_files import new_rows, refuse_input, rows_in
from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.curation.translation.filling import Translator
    from isoglot.data.rows import Row


def translate(
    *rows: Path,
    output: OutputFile,
    to: Names,
    with_: Annotated[str, Parameter(name="--with")],
    language_model: Annotated[LanguageModel | None, Parameter(name="*", group=LANGUAGE_MODEL)] = None,
    pivot: str = "en",
    rejects: Path | None = None,
    device: str | None = None,
    beams: int = 4,
    limit: int | None = None,
    dry_run: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Translate rows into the languages that their groups lack; only the new rows are written.

    Translations are cached by content: nothing is paid for twice, even if the command is killed. Those that fail the
    checks (language, length, copies, loops) go to the rejects.

    Args:
        rows: Row files, or one prepared folder.
        output: File of the new rows (.jsonl or .jsonl.gz).
        to: Comma-separated languages.
        with_: A sequence-to-sequence model (folder or Hub id: opus-mt, NLLB, M2M100, MADLAD), or the address of an
            OpenAI-compatible API (http://HOST/v1; key in OPENAI_API_KEY).
        language_model: How a language model is asked.
        pivot: Translate from this language if a group has it, else from its first.
        rejects: File for what failed, with reasons; by default the output's name with .rejects.
        device: Device of a translation model, such as cpu or cuda.
        beams: Beam size of a translation model; 1 is greedy.
        limit: Translate only this many rows, the first ones.
        dry_run: Only count what would be translated.
        overwrite: Replace existing files.
    """
    from isoglot.core.progress import Progress, progress_line
    from isoglot.curation.language_model.outcome import Outcome
    from isoglot.curation.translation.filling import fill, missing
    from isoglot.data.rows import write_rows
    from isoglot.languages.codes import normal_code

    if not rows or not to:
        raise InputError("no rows given; name row files" if not rows else "--to: no languages; such as --to de,fr")
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: expected at least 1")
    refused = rejects or rejects_beside(output)
    if not dry_run:
        new_rows(output, overwrite, beside={"--rejects": refused})
        refuse_input(output, rows)
    to, pivot = tuple(dict.fromkeys(map(normal_code, to))), normal_code(pivot)
    notes: Counter[str] = Counter()
    tasks = missing(rows_in(rows), to, pivot, notes)[:limit]
    for what, number in notes.items():
        if number:
            progress_line(f"{number} {what}, only the first of each")
    if dry_run or not tasks:
        size = sum(len(f"{task.row.query}{task.row.passage}".encode()) for task in tasks)
        print(f"{len(tasks)} rows to translate, {size / 1000:.0f} kB of text")
        return
    outcome, started, asked = Outcome(), time.monotonic(), language_model or LanguageModel()
    translator, cost = _open_translator(with_, asked, device, beams)

    def made() -> Iterator[Row]:
        with Progress("translating", len(tasks)) as progress:
            done = 0
            for row in fill(tasks, translator, outcome):
                yield row
                progress.advance(outcome.rows + len(outcome.rejects) - done)
                done = outcome.rows + len(outcome.rejects)
        require_some(outcome, refused)
        write_rejects(outcome.rejects, refused)  # before the rows have their name: a killed run leaves none alone

    count = write_rows(made(), output)
    seconds = time.monotonic() - started
    print(f"{count} rows in {output}; {cost()}; {len(tasks) / max(seconds, 1e-9):.1f} rows a second")
    print_rejected(outcome)
    if outcome.rejects:
        print(f"{len(outcome.rejects)} rejects with their reasons in {refused}")
    asked.require_all(outcome, f"of {len(tasks)} rows were not sent")


def _open_translator(
    with_: str, language_model: LanguageModel, device: str | None, beams: int
) -> tuple[Translator, Callable[[], str]]:
    """Open an endpoint or a model; return the translator, and a function that describes its cost."""
    from isoglot.curation.translation.filling import ChatTranslator, ModelTranslator
    from isoglot.curation.translation.seq2seq import Seq2Seq

    if "://" in with_:
        chat = language_model.chat(with_)
        return ChatTranslator(chat), lambda: spent(chat)
    from isoglot.encoders.devices import require_device
    from isoglot.encoders.loading import quiet_libraries

    quiet_libraries()
    require_device(device)
    model = Seq2Seq(with_, language_model.store(with_), device=device, beams=beams)
    translator = ModelTranslator(model)

    def cost() -> str:
        alone = f", {translator.in_context} queries with their passage" if model.keeps_lines else ""
        return f"{model.translated} sentences translated{alone}, the others kept from before"

    return translator, cost
