"""Types of parameters that several verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from isoglot.core.errors import InputError
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import TrainSettings


def _commas(kind: Callable[[str], Any]) -> Parameter:
    """A parameter of values separated by commas."""

    def convert(type_: Any, tokens: Sequence[Token]) -> tuple[Any, ...]:
        return tuple(kind(part.strip()) for token in tokens for part in token.value.split(",") if part.strip())

    return Parameter(converter=convert, negative="")


Settings = TypeVar("Settings")
Names = Annotated[tuple[str, ...], _commas(str)]
Numbers = Annotated[tuple[int, ...], _commas(int)]
Fractions = Annotated[tuple[float, ...], _commas(float)]
Paths = Annotated[tuple[Path, ...], _commas(Path)]
OutputDir = Annotated[Path, Parameter(name=["--output-dir", "-o"])]
OutputFile = Annotated[Path, Parameter(name=["--output", "-o"])]
Length = Annotated[int, Parameter(validator=Number(gte=4))]
Switch = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(name="--json", negative="")]


def _with_inherited_hints(kind: type[Settings]) -> type[Settings]:
    """Resolve inherited annotations in the module that wrote them; the parser would look up their names in this one."""
    constructor: Any = vars(kind)["__init__"]
    hints = get_type_hints(vars(kind.__mro__[1])["__init__"], include_extras=True)
    constructor.__annotations__ = {**hints, **vars(kind)["__annotations__"]}
    return kind


@_with_inherited_hints
@dataclass(frozen=True)
class StudySampling(Sampling):
    """Sampling of a study, whose regimes and alphas are separate list flags."""

    regime: Annotated[str, Parameter(parse=False)] = "hybrid"
    alpha: Annotated[float, Parameter(parse=False)] = 0.5


@_with_inherited_hints
@dataclass(frozen=True)
class StudyTraining(TrainSettings):
    """Training of a study, whose seeds are a separate list flag."""

    sampling: Annotated[Sampling, Parameter(parse=False)] = field(default_factory=Sampling)
    seed: Annotated[int, Parameter(parse=False)] = 0


def new_file(path: Path, overwrite: bool) -> Path:
    """Return the path of a file to write, after checking that it can be created, or replaced with `overwrite`."""
    if path.exists() and (path.is_dir() or not overwrite):
        raise InputError(f"{path}: exists; give --overwrite to replace it or another --output")
    home = next(folder for folder in path.absolute().parents if folder.exists())
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        why = "Permission denied" if home.is_dir() else f"{home} is a file"
        raise InputError(f"{path}: cannot be written ({why}); choose another place")
    return path
