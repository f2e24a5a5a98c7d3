"""Where a build starts from: nothing, a published version, or where a killed build stopped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write, read_json, sha256, shown, write_json
from isoglot.documents.roots import Root, extend_roots, move_root, to_roots
from isoglot.encoders.debias import load_debias
from isoglot.encoders.embedder import Model, Vectors
from isoglot.encoders.in_context import with_contexts
from isoglot.encoders.token_vectors import with_tokens
from isoglot.search.index.build_arguments import IndexSettings
from isoglot.search.index.encoder_check import probe, refuse_other
from isoglot.search.index.ledger import Ledger
from isoglot.search.index.manifest import BUILDING, FILE, Manifest, read_manifest
from isoglot.search.index.passage_lengths import passage_encoder, passage_length
from isoglot.search.index.store import LOCK, Store, stored
from isoglot.search.index.stored_vectors import vector_type

DEBIAS = "debias.npz"


def go_on_from(
    folder: Path,
    model: Model,
    name: str,
    settings: IndexSettings,
    *,
    update: bool,
) -> Manifest:
    """Return the manifest that a build starts from; one without versions if the index is new.

    Raises:
        InputError: the settings are not those of the existing index, or the model does not support them.
    """
    vectors = probe(model, settings.precision)
    if update or (folder / FILE).is_file():
        manifest = read_manifest(folder)
        refuse_other(vectors, manifest.probe, name, manifest.model)
        _refuse_other_settings(folder, manifest, model, settings)
        return manifest
    return _new_manifest(folder, model, name, vectors, settings)


def _refuse_other_settings(folder: Path, manifest: Manifest, model: Model, settings: IndexSettings) -> None:
    length, debias, numbers = settings.length, settings.debias, settings.numbers
    if length is not None and passage_length(model, length) != manifest.length:
        raise InputError(f"length {length}: the index has passages of {manifest.length} tokens; leave it out")
    if debias is not None and not (manifest.debias and sha256(debias) == sha256(folder / DEBIAS)):
        raise InputError(f"debias {debias}: not the correction that the index was made with; index again")
    if numbers is not None and numbers != manifest.numbers:
        raise InputError(f"numbers {numbers}: the index keeps its vectors in {manifest.numbers}; index again")
    if settings.in_context and not manifest.in_context:
        raise InputError("in_context: the passages of the index were encoded without context; index again")
    if settings.tokens and not manifest.tokens:
        raise InputError("tokens: the index stores no tokens of its passages; index again")


def _new_manifest(folder: Path, model: Model, name: str, vectors: Vectors, settings: IndexSettings) -> Manifest:
    """Make a manifest without versions, and copy the correction into the folder; `vectors` are those of `probe`."""
    length = passage_length(model, settings.length)
    encoder = passage_encoder(model, length, settings.precision)
    if settings.in_context:
        with_contexts(encoder)
    token_dimension = 0
    if settings.tokens:
        token_dimension = with_tokens(encoder).encoded_tokens(["a"], "passage").vectors.shape[1]
    numbers, dimension, debias = settings.numbers or "float32", int(vectors.shape[1]), settings.debias
    if debias is not None:
        fitted = load_debias(debias)
        if fitted.dimension != dimension:
            raise InputError(
                f"debias {debias}: fitted on {fitted.dimension} dimensions, {name} gives {dimension}; "
                "fit it with this model"
            )
        dimension = fitted.width
    dimension += settings.in_context
    vector_type(dimension, numbers)
    if debias is not None:
        with atomic_write(folder / DEBIAS) as temporary:
            shutil.copyfile(debias, temporary)
    return Manifest(
        model=name,
        dimension=dimension,
        length=length,
        probe=vectors.round(6).tolist(),
        debias=debias is not None,
        options=settings.options.record(),
        numbers=numbers,
        in_context=settings.in_context,
        tokens=token_dimension,
    )


def deciding(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Return everything that determines the rows of a document in an index."""
    given = {
        "model": manifest.model,
        "length": manifest.length,
        "debias": sha256(folder / DEBIAS) if manifest.debias else None,
        "options": manifest.options,
    }
    return given | {name: True for name in ("in_context", "tokens", "beginnings", "signs") if getattr(manifest, name)}


def open_store(
    folder: Path, manifest: Manifest, inputs: Sequence[Path], moved_from: Path | None = None
) -> tuple[Store, list[Root]]:
    """Open the tables as they were before the build, without what a killed build has stored in them.

    Returns:
        The store, and the roots that documents' ids are made from.
    """
    given = deciding(folder, manifest)
    kept = ("model", "length", "debias", "in_context", "tokens", "beginnings", "signs")
    settings = {**{key: given[key] for key in kept if key in given}, "from": manifest.current}
    record = _begun(folder, manifest, settings, inputs)
    described: dict[str, Any] = {
        "settings": settings,
        "inputs": [shown(path) for path in inputs],
        "probe": manifest.probe,
        "roots": [],
    }
    if not manifest.versions and record is not None:
        shutil.rmtree(folder / "lance", ignore_errors=True)
    if not manifest.versions and record is None:  # shows from the start that isoglot made what is in the folder
        write_json(folder / BUILDING, described)
    store = Store(folder, manifest.dimension, manifest.numbers, tokens=bool(manifest.tokens))
    if manifest.versions:
        store.restore(manifest.version.passages_at, manifest.version.folded_at)
    store.read_state()
    known: Sequence[Root] = manifest.roots if record is None else to_roots(record["roots"])
    if moved_from is not None and inputs:
        known = move_root(known, moved_from, inputs[0])
    roots = extend_roots(inputs, known, store.hash_of)
    # Written before anything is stored, so that a resumed build gives the same files the same names.
    write_json(folder / BUILDING, {**described, "roots": roots})
    return store, roots


def _begun(
    folder: Path, manifest: Manifest, settings: Mapping[str, Any], inputs: Sequence[Path]
) -> dict[str, Any] | None:
    """Return the record of the build that this one continues; None if there is none.

    Raises:
        InputError: a new index was begun with other settings, inputs or weights.
    """
    state = folder / BUILDING
    if not state.is_file():
        return None
    record: dict[str, Any] = read_json(state)
    if manifest.versions:
        return record if record["settings"] == settings else None
    if record["settings"] != settings:
        raise InputError(
            f"{folder}: begun with other settings, or by an older isoglot; give those of the first run with `resume`, "
            "or `overwrite`"
        )
    if not _are_alike(record["inputs"], inputs):
        raise InputError(
            f"{folder}: begun with other inputs ({', '.join(record['inputs']) or 'documents in memory'}); give those "
            "with `resume`, or `overwrite`"
        )
    if "probe" in record:
        # Finished shards are known by the model's name only, and its weights may have been replaced since.
        refuse_other(np.asarray(manifest.probe, np.float32), record["probe"], manifest.model, manifest.model)
    return record


def _are_alike(before: Sequence[str], inputs: Sequence[Path]) -> bool:
    """Return whether the inputs are the same as before, whatever the working directory."""
    now = [shown(path) for path in inputs]
    return before == now or [Path(path).resolve() for path in before] == [Path(path).resolve() for path in now]


@contextmanager
def nothing_left_of_nothing(folder: Path) -> Iterator[None]:
    """If building a new index fails on its input before anything is stored, empty the folder for the next try."""
    try:
        yield
    except InputError:
        if not (folder / FILE).is_file() and not stored(folder) and Ledger(folder).empty():
            Ledger(folder).forget()
            shutil.rmtree(folder / "lance", ignore_errors=True)
            for name in (BUILDING, DEBIAS, LOCK):
                (folder / name).unlink(missing_ok=True)
        raise


@contextmanager
def nothing_begun(folder: Path) -> Iterator[None]:
    """If an update fails before anything is stored, remove its state file, unless an earlier killed build left it."""
    begun = (folder / BUILDING).is_file()
    try:
        yield
    except InputError:
        if not begun and (folder / FILE).is_file():
            (folder / BUILDING).unlink(missing_ok=True)
        raise


def is_published(store: Store, manifest: Manifest) -> bool:
    """Return whether the tables hold exactly the current version (a killed build may have left more)."""
    if not manifest.versions:
        return False
    version = manifest.version
    return (store.passages.version, store.folded.version) == (version.passages_at, version.folded_at)
