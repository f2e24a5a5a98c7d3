"""The `isoglot` command: parse arguments, run a verb, print, and turn errors into exit codes."""

from __future__ import annotations

import io
import os
import sys

from cyclopts import App, CycloptsError

from isoglot.cli import (
    auditing,
    averaging,
    bitext,
    comparing,
    converting,
    debias,
    documents_to_rows,
    encoding,
    evaluating,
    exporting,
    generating,
    indexing,
    keys,
    listing,
    mcp,
    mining,
    replicas,
    rows,
    search,
    serving,
    training,
    translating,
)
from isoglot.cli.flags import as_typed
from isoglot.cli.help_page import DEFAULTS, HelpPage
from isoglot.cli.recipe import read_recipe, require_whole
from isoglot.cli.termination import sigterm_interrupts
from isoglot.core.errors import IsoglotError
from isoglot.core.files import printable
from isoglot.core.passive_waiting import wait_asleep
from isoglot.core.streams import open_streams
from isoglot.core.version import __version__

app = App(
    name="isoglot",
    help="Train, measure and search with multilingual retrievers that serve every language alike.",
    version=__version__,
    help_format="plaintext",
    help_formatter=HelpPage(),
    default_parameter=DEFAULTS,
    # We handle it: the parser would exit without a message.
    suppress_keyboard_interrupt=False,
)
for verb in (
    converting.from_lareqa,
    documents_to_rows.from_docs,
    bitext.from_bitext,
    translating.translate,
    generating.generate,
    converting.from_miracl,
    converting.from_swim_ir,
    converting.from_hub,
    converting.from_mmarco,
    converting.from_pairs,
    converting.from_tevatron,
    converting.from_flagembedding,
    auditing.audit,
    mining.mine,
    mining.score,
):
    rows.app.command(verb)
rows.app.command(generating.filter_, name="filter")
app.command(rows.app)
app.command(training.train)
app.command(averaging.average)
app.command(evaluating.evaluate)
app.command(encoding.encode)
app.command(comparing.compare)
app.command(debias.app)
app.command(indexing.index)
app.command(search.search)
app.command(replicas.push)
app.command(replicas.pull)
app.command(exporting.export)
app.command(training.study)
app.command(training.quickstart)
app.command(serving.serve)
app.command(keys.app)
app.command(mcp.mcp)
app.command(listing.list_names, name="list")
app.register_install_completion_command()


def main(argv: list[str] | None = None) -> None:
    """Run one command and exit.

    Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 a gate was missed, 130 interrupted, 143 ended by SIGTERM.
    """
    wait_asleep()
    open_streams()
    for stream in (sys.stdout, sys.stderr):
        # Escape characters that the terminal cannot show, rather than fail on them.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    with sigterm_interrupts() as termination:
        code = _run(argv)
    return 143 if code == 130 and termination.came else code


def _run(argv: list[str]) -> int:
    tokens = argv
    try:
        tokens, recipe = _recipe(argv)
        app.config = [read_recipe(recipe, app), require_whole] if recipe else [require_whole]
        result = app(tokens, exit_on_error=False, print_error=True, result_action="return_value")
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except CycloptsError:
        return 2
    except FileNotFoundError as error:
        return _fail(f"{error.filename}: no such file", 2)
    except IsoglotError as error:
        return _fail(as_typed(str(error), app, tokens), error.exit_code)
    except KeyboardInterrupt as error:
        return _fail("; ".join(["interrupted", *map(str, error.args)]), 130)
    except BrokenPipeError:
        # The reader of our output is gone: silence what is still to be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("out of memory; give a smaller --batch-size or --chunk", 1)
    except PermissionError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}; change its rights, or name another place", 2)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", 1)
    finally:
        app.config = []  # a recipe applies to one call only


def _fail(message: str, code: int) -> int:
    lines = (printable(line) for line in message.split("\n"))
    print("isoglot: " + "\n".join(lines), file=sys.stderr)
    return code


def _recipe(argv: list[str]) -> tuple[list[str], str | None]:
    """Remove `--config FILE.toml` (or the recipe after `study`) from the arguments; return the rest and the path."""
    tokens = list(argv)
    recipe: str | None = None
    for index, token in enumerate(tokens):
        if token == "--config" and index + 1 < len(tokens):
            recipe = tokens[index + 1]
            del tokens[index : index + 2]
            break
        if token.startswith("--config="):
            recipe = token.partition("=")[2]
            del tokens[index]
            break
    if recipe is None and tokens[:1] == ["study"] and len(tokens) > 1 and tokens[1].endswith(".toml"):
        recipe = tokens.pop(1)
    return tokens, recipe
