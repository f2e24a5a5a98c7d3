"""Average the weights of models: of several seeds or checkpoints, or interpolate between two models.

Runs that started from the same weights and were trained on the same kind of data often lie in one basin of the loss,
where the average is better than each of them and costs no more at search time than one (Wortsman et al., arXiv
2203.05482). Interpolating between an untrained and a trained model, or a monolingual and a cross-lingual run, trades
one quality for the other without further training (arXiv 2109.01903).
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from isoglot.core.arguments import check_kind, check_number
from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import sha256, write_text
from isoglot.core.output_folders import claimed_folder
from isoglot.core.run_record import read_run, write_run
from isoglot.training.checkpoints import CHECKPOINTS
from isoglot.training.members import Member, Place, open_member, require_alike


def average_models(
    models: Sequence[Path | str], output: Path | str, weights: Sequence[float] | None = None, *, overwrite: bool = False
) -> Path:
    """Write the weighted mean of several models' weights to a new model folder.

    Each tensor is read from one model at a time and summed in float32 (float64 for tensors of that type), so memory
    use is that of the result plus one tensor, however many models there are.

    Args:
        models: Sentence Transformers folders of one architecture and tokenizer, or `embedded`; at least two.
        output: the folder to write; configuration and tokenizer come from the first model.
        weights: one number per model, divided by their sum; equal shares when None. A negative number extrapolates
            beyond the line segment between two models.
        overwrite: replace the contents of the folder.

    Returns:
        The folder, with a `run.json` that lists models and shares.

    Raises:
        InputError: there are fewer than two models, the weights are not one finite number per model or add up to 0, a
            folder has no safetensors weights or is an adapter, or the models do not match (the message lists every
            difference).
        IsoglotError: the result cannot be written.

    Example:
        >>> average_models(["runs/seed0", "runs/seed1"], "runs/both")  # doctest: +SKIP
        PosixPath('runs/both')
    """
    started = time.perf_counter()
    check_kind("models", models, (list, tuple), "two or more folders")
    output, shares = Path(output), _shares(len(models), weights)
    members = [open_member(str(model), share) for model, share in zip(models, shares, strict=True)]
    for member in members:
        if member.folder.resolve() == output.resolve():
            raise InputError(f"{output}: is one of the models to average; give another output folder")
    require_alike(members)
    with claimed_folder(output, overwrite=overwrite) as folder:
        _copy_but_weights(members[0].folder, folder)
        files: dict[Path, list[Place]] = {}
        for place, path in members[0].places.items():
            files.setdefault(path.relative_to(members[0].folder), []).append(place)
        for file, places in sorted(files.items()):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            try:
                save_file(_mean(members, places), folder / file, metadata={"format": "pt"})
            except (SafetensorError, OSError) as error:
                raise IsoglotError(f"{folder / file}: cannot be written ({error}); is the disk full?") from error
        _describe(folder, members, time.perf_counter() - started)
    return folder


def _shares(count: int, weights: Sequence[float] | None) -> list[float]:
    if weights is not None:
        check_kind("weights", weights, (list, tuple), "a number for each model")
        for weight in weights:
            check_number("weights: one of them", weight, "a finite number", math.isfinite)
    if count < 2:
        raise InputError(f"{count} model{'' if count == 1 else 's'} given; expected two or more")
    given = list(weights) if weights is not None else [1.0] * count
    if len(given) != count:
        raise InputError(f"{len(given)} weights for {count} models; expected one for each")
    total = math.fsum(given)
    if not all(map(math.isfinite, given)) or abs(total) < 1e-9:
        raise InputError(f"weights {', '.join(map(str, given))}: expected finite numbers that do not add up to 0")
    return [weight / total for weight in given]


def _mean(members: list[Member], places: list[Place]) -> dict[str, Tensor]:
    """Return the averaged tensors of one file of the result, by name."""
    with ExitStack() as stack:
        files: dict[Path, Any] = {}

        def read(member: Member, place: Place) -> Tensor:
            path = member.places[place]
            if path not in files:
                files[path] = stack.enter_context(safe_open(path, framework="pt"))
            tensor: Tensor = files[path].get_tensor(place[1])
            return tensor

        return {place[1]: _weighted(members, partial(read, place=place)) for place in places}


def _weighted(members: list[Member], read: Callable[[Member], Tensor]) -> Tensor:
    """Return the weighted mean in the first model's dtype; integers such as position ids are taken from that model."""
    first = read(members[0])
    if not first.dtype.is_floating_point:
        return first
    total = first.to(torch.promote_types(first.dtype, torch.float32)) * members[0].share
    for member in members[1:]:
        total.add_(read(member).to(total.dtype), alpha=member.share)
    return total.to(first.dtype)


def _copy_but_weights(source: Path, folder: Path) -> None:
    own = {"run.json", "training.jsonl", "README.md", CHECKPOINTS, "isoglot-embedded.json"}

    def passed_over(place: str, names: list[str]) -> set[str]:
        top = own if Path(place) == source else set()
        return {name for name in names if name in top or name.endswith((".safetensors", ".bin")) or name[0] == "."}

    shutil.copytree(source, folder, ignore=passed_over, dirs_exist_ok=True)


def _describe(folder: Path, members: list[Member], seconds: float) -> None:
    """Write the model card and `run.json`; the languages trained on are the union over the models."""
    lines = "\n".join(f"| {member.name} | {member.share:.4g} |" for member in members)
    card = (
        "---\nlibrary_name: sentence-transformers\ntags:\n- sentence-transformers\n- sentence-similarity\n"
        "- multilingual\n- isoglot\n---\n\n# The average of several models\n\n"
        "Use the prompts `query` and `document`; compare with cosine similarity.\n\n"
        f"| model | share of its weights |\n|---|---|\n{lines}\n"
    )
    write_text(folder / "README.md", card)
    records = [read_run(member.folder) for member in members]
    languages = sorted({str(code) for record in records if record for code in record.get("languages") or ()})
    write_run(
        folder,
        "average",
        {"models": [member.name for member in members], "weights": [member.share for member in members]},
        data={member.name: _weights_checksum(member) for member in members},
        seed=None,
        device="cpu",
        seconds=seconds,
        **({"languages": languages} if languages else {}),
    )


def _weights_checksum(member: Member) -> str:
    files = sorted(set(member.places.values()))
    return ",".join(sha256(path) for path in files)
