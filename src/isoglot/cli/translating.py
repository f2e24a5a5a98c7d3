"""`isoglot data translate`: rows in the languages that their groups lack."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from isoglot.cli.options import Names, OutputFile, Switch
from isoglot.cli.row_files import new_rows, refuse_input
from isoglot.core.errors import InputError, IsoglotError

if TYPE_CHECKING:
    from isoglot.curation.answers.chat import Chat
    from isoglot.curation.answers.store import AnswerStore
    from isoglot.curation.translation.filling import Translator
    from isoglot.data.rows import Row


def translate(
    *rows: Path,
    output: OutputFile,
    to: Names,
    with_: Annotated[str, Parameter(name="--with")],
    lm: str = "default",
    pivot: str = "en",
    rejects: Path | None = None,
    budget_tokens: int | None = None,
    concurrency: int = 8,
    tries: int = 5,
    timeout: float = 120.0,
    device: str | None = None,
    beams: int = 4,
    cache: Path | None = None,
    limit: int | None = None,
    dry_run: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Translate rows into the languages that their groups lack; the new rows go to a file of their own.

    Answers are kept by content: what was paid for is not asked again, also after a kill. What fails the checks
    (language, length, copies, loops) goes to the rejects.

    Args:
        rows: Row files, or one prepared folder.
        output: File of the new rows (.jsonl or .jsonl.gz).
        to: Comma-separated languages.
        with_: A sequence-to-sequence model (folder or Hub id: opus-mt, NLLB, M2M100, MADLAD), or the address of an
            OpenAI-compatible API (http://HOST/v1; key in OPENAI_API_KEY).
        lm: The model's name at the endpoint.
        pivot: Translate from this language where a group has it, else from its first.
        rejects: File of what failed, with reasons; by default the output's name with .rejects.
        budget_tokens: Stop before more tokens than this are paid for.
        concurrency: Requests at one time.
        tries: Requests for one row before it counts as failed.
        timeout: Seconds to wait for one answer.
        device: Device of a translation model, such as cpu or cuda.
        beams: Beam size of a translation model; 1 is greedy.
        cache: File that keeps the answers; in isoglot's cache folder by default.
        limit: Only the first so many rows.
        dry_run: Only count what would be translated.
        overwrite: Replace existing files.
    """
    from isoglot.core.progress import Progress
    from isoglot.curation.answers.chat import SPENT
    from isoglot.curation.translation.filling import Outcome, fill, missing
    from isoglot.data.rows import write_rows
    from isoglot.languages.codes import normal_code

    if not rows or not to:
        raise InputError("no rows given; name row files" if not rows else "--to: no languages; such as --to de,fr")
    if limit is not None and limit < 1:
        raise InputError(f"--limit {limit}: expected at least 1")
    refused = rejects or beside(output)
    if not dry_run:
        new_rows(output, overwrite, beside={"--rejects": refused})
        refuse_input(output, rows)
    to, pivot = tuple(dict.fromkeys(map(normal_code, to))), normal_code(pivot)
    tasks = missing(_rows(rows), to, pivot)[:limit]
    if dry_run or not tasks:
        size = sum(len(f"{task.row.query}{task.row.passage}".encode()) for task in tasks)
        print(f"{len(tasks)} rows to translate, {size / 1000:.0f} kB of text")
        return
    outcome, started = Outcome(), time.monotonic()
    translator, cost = open_translator(
        with_, lm, cache, budget_tokens=budget_tokens, concurrency=concurrency, tries=tries, timeout=timeout,
        device=device, beams=beams,
    )  # fmt: skip

    def made() -> Iterator[Row]:
        with Progress("translating", len(tasks)) as progress:
            done = 0
            for row in fill(tasks, translator, outcome):
                yield row
                progress.advance(outcome.rows + len(outcome.rejects) - done)
                done = outcome.rows + len(outcome.rejects)
        require_some(outcome.rows, outcome.rejects, outcome.reasons, refused)

    count = write_rows(made(), output)
    write_rejects(outcome.rejects, refused)
    seconds = time.monotonic() - started
    print(f"{count} rows in {output}; {cost()}; {len(tasks) / max(seconds, 1e-9):.1f} rows a second")
    for reason, number in outcome.reasons.most_common():
        print(f"rejected: {number} ({reason})")
    if outcome.rejects:
        print(f"{len(outcome.rejects)} rejects with their reasons in {refused}")
    unpaid = outcome.reasons[SPENT]
    if unpaid:
        raise IsoglotError(
            f"the budget of {budget_tokens} tokens is spent, {unpaid} of {len(tasks)} rows were not asked for; run "
            "again with a larger --budget-tokens (and --overwrite): what is kept is not paid again"
        )


def _rows(paths: Sequence[Path]) -> Iterator[Row]:
    from isoglot.curation.rewriting import rows_of
    from isoglot.data.prepared import open_prepared
    from isoglot.data.rows import read_rows

    if len(paths) == 1 and paths[0].is_dir():
        return rows_of(open_prepared(paths[0]))
    return (row for _, _, row in read_rows(paths))


def open_translator(with_: str, lm: str, cache: Path | None, **settings: Any) -> tuple[Translator, Callable[[], str]]:
    """Open an endpoint or a model; gives the translator and a function that says what it cost."""
    from isoglot.curation.answers.store import AnswerStore
    from isoglot.curation.translation.filling import ChatTranslator, ModelTranslator
    from isoglot.curation.translation.seq2seq import Seq2Seq

    store = AnswerStore(cache or cache_file(with_, lm))
    translator: Translator
    if "://" in with_:
        chat = open_chat(with_, lm, store, settings)
        translator = ChatTranslator(chat)
        return translator, lambda: spent(chat)
    from isoglot.encoders.devices import require_device
    from isoglot.encoders.loading import quiet_libraries

    quiet_libraries()
    require_device(settings["device"])
    model = Seq2Seq(with_, store, device=settings["device"], beams=settings["beams"])
    translator = own = ModelTranslator(model)

    def cost() -> str:
        alone = f", {own.in_context} queries with their passage" if model.keeps_lines else ""
        return f"{model.translated} sentences translated{alone}, the others kept from before"

    return translator, cost


def open_chat(url: str, lm: str, store: AnswerStore, settings: Mapping[str, Any]) -> Chat:
    """Open an endpoint with the settings of the command line."""
    from isoglot.curation.answers.budget import Budget
    from isoglot.curation.answers.chat import Chat, ChatSettings

    wanted = ("concurrency", "tries", "timeout")
    chat_settings = ChatSettings(url, lm, **{key: settings[key] for key in wanted})
    return Chat(chat_settings, store, Budget(settings["budget_tokens"]))


def spent(chat: Chat) -> str:
    """What an endpoint cost, in words."""
    return f"{chat.budget.spent} tokens paid for {chat.asked} answers, {chat.from_store} kept from before"


def cache_file(with_: str, lm: str) -> Path:
    """Where the answers of a model or an endpoint are kept."""
    import hashlib

    from isoglot.core.cache import cache_folder

    return cache_folder() / "answers" / f"{hashlib.sha256(f'{with_}#{lm}'.encode()).hexdigest()[:16]}.sqlite"


def require_some(rows: int, rejects: list[dict[str, object]], reasons: Counter[str], path: Path) -> None:
    """Write the rejects and stop where they are all there is: a file without rows would be of no use.

    Raises:
        IsoglotError: no row, and not for want of a budget.
    """
    from isoglot.curation.answers.chat import SPENT

    if rows or not rejects or reasons[SPENT]:
        return
    write_rejects(rejects, path)
    said = "; ".join(f"{number} {reason}" for reason, number in reasons.most_common(3))
    raise IsoglotError(
        f"nothing came of {len(rejects)} requests ({said}); no rows are written, the rejects stand in {path}. Where "
        "the endpoint was at fault, run the same command again (with --overwrite): what was answered is kept"
    )


def write_rejects(rejects: list[dict[str, object]], path: Path) -> None:
    """Write rejects as JSON lines; where there are none, those of an earlier run go."""
    from isoglot.core.files import write_text

    if rejects:
        write_text(path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in rejects))
    else:
        path.unlink(missing_ok=True)


def beside(output: Path) -> Path:
    """Where rejects stand by default."""
    name = output.name.removesuffix(".gz").removesuffix(".jsonl")
    return output.with_name(f"{name}.rejects.jsonl")
