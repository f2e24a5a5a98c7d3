"""`isoglot debias`: correct vectors for language bias, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from isoglot.cli.encoders import Reporting, open_encoder
from isoglot.cli.help_page import DEFAULTS, MODEL
from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json, Names, OutputFile, Paths, Switch, new_file
from isoglot.core.errors import InputError
from isoglot.data.opening import open_rows
from isoglot.encoders.options import ModelOptions
from isoglot.languages.codes import known_code

app = App(
    name="debias",
    help="Correct a model's language bias without training.",
    help_format="plaintext",
    default_parameter=DEFAULTS,
)


@app.command
def fit(
    *,
    output: OutputFile,
    method: Literal["center", "lir", "shift", "csls", "center+csls"] = "center",
    rows: Paths = (),
    texts: Names = (),
    vectors: Path | None = None,
    model: str = "embedded",
    langs: str | None = None,
    rank: int = 1,
    pivot: str = "en",
    strength: float | None = None,
    neighbours: int = 20,
    limit: int = 2000,
    seed: int = 0,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    devices: str | None = None,
    overwrite: Switch = False,
    as_json: Json = False,
) -> None:
    """Fit a correction on parallel rows, plain texts, or vectors; never on a benchmark's labels.

    Args:
        output: File to write (.npz).
        method: center (subtract each language's mean), lir (remove each language's first singular vectors), shift
            (move passages towards the pivot language), csls (penalize passages that are near to every query), or
            center+csls.
        rows: Row files, or a prepared folder.
        texts: LANG=FILE,...: one text a line (center and lir).
        vectors: What `isoglot encode` wrote, or a Parquet file (id, lang, role, vector); not for shift.
        model: The encoder: embedded, a folder, or a Hub id (id@revision).
        langs: Comma-separated languages of --rows to keep.
        rank: Number of singular vectors to remove (lir).
        pivot: Language whose passages are not moved (shift).
        strength: Share of the mean difference to remove (shift: .6), or of a passage's mean cosine with its nearest
            queries (csls: .5).
        neighbours: Nearest queries of each language that this mean is taken over (csls).
        limit: Most groups of rows, or lines of each text file, to fit on.
        seed: Seed of the random choice of these.
        options: How the model is opened.
        devices: Encode on several devices, one process each: 0,1 (CUDA devices), or cpu,cpu.
        overwrite: Replace an existing file.
        as_json: Print what was fitted as JSON.
    """
    from isoglot.encoders.debias_fits import fit as fit_method
    from isoglot.encoders.debias_samples import from_rows, from_texts, from_vectors

    if sum(map(bool, (rows, texts, vectors))) != 1:
        raise InputError("give one of --rows, --texts and --vectors to fit on")
    if limit < 1:
        raise InputError(f"--limit {limit}: expected at least 1")
    if seed < 0:
        raise InputError(f"--seed {seed}: expected at least 0")
    _refuse_what_does_not_go(method, texts, strength, neighbours)
    new_file(output, overwrite)
    files = _text_files(texts)
    if vectors is not None:
        samples = from_vectors(vectors)
    else:
        encoder = Reporting(open_encoder(model, options, devices))
        if rows:
            samples = from_rows(encoder, open_rows(rows, langs=langs), limit=limit, seed=seed)
        else:
            samples = from_texts(encoder, files, limit=limit, seed=seed)
    fitted = fit_method(
        method,
        samples,
        rank=rank,
        pivot=pivot,
        strength=strength,
        neighbours=neighbours,
        model="" if vectors is not None else model,
    )
    fitted.save(output)
    if as_json:
        record = {"method": method, "dimension": fitted.dimension, "model": fitted.model, "fitted": fitted.fitted}
        print(json_line({**record, "settings": fitted.settings}))
    else:
        print(f"{method} for {', '.join(fitted.languages)}, from {sum(fitted.fitted.values())} texts, in {output}")


@app.command
def apply(vectors: Path, /, *, debias: Path, output: OutputFile, overwrite: Switch = False) -> None:
    """Correct vectors and write them to one file.

    Args:
        vectors: What `isoglot encode` wrote, or a Parquet file (id, lang, role, vector).
        debias: A file that `isoglot debias fit` wrote.
        output: File to write (.parquet).
        overwrite: Replace an existing file.
    """
    from isoglot.encoders.debias import load_debias
    from isoglot.encoders.debias_samples import correct_vectors

    new_file(output, overwrite)
    count = correct_vectors(vectors, load_debias(debias), output)
    print(f"{count} corrected vectors in {output}")


def _refuse_what_does_not_go(method: str, texts: Names, strength: float | None, neighbours: int) -> None:
    """Check which flags go together, before any text is encoded."""
    if texts and method not in ("center", "lir"):
        raise InputError(f"--texts: only for center and lir; fit {method} on --rows")
    if strength is not None and method in ("center", "lir"):
        raise InputError(f"--strength: only for shift and csls; leave it out with {method}")
    if strength is not None and not 0 <= strength <= 1:
        raise InputError(f"--strength {strength}: expected 0 to 1")
    if neighbours < 1:
        raise InputError(f"--neighbours {neighbours}: expected at least 1")


def _text_files(entries: Names) -> dict[str, Path]:
    """Parse LANG=FILE entries into files by language code."""
    found: dict[str, Path] = {}
    for entry in entries:
        lang, equals, path = entry.partition("=")
        if not (lang and equals and path):
            raise InputError(f"--texts {entry!r}: expected LANG=FILE, such as de=news.de.txt")
        code = known_code(lang)
        if code is None:
            raise InputError(f"--texts {entry!r}: {lang!r} is not a language code; give one such as de")
        if code in found:
            raise InputError(f"--texts: {code} is given twice; put all of its texts in one file")
        found[code] = Path(path)
    return found
