"""The models of an average: where their tensors are, and whether their architectures match."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open

from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.core.problems import Problems
from isoglot.encoders.model_names import locate
from isoglot.training.checkpoints import CHECKPOINTS

# Settings that the shapes of the weights do not reveal.
_CONFIG = ("model_type", "num_attention_heads", "num_key_value_heads", "hidden_act", "position_embedding_type")
Place = tuple[str, str]
"""Key of a tensor: the subfolder of its module (`.` for the encoder itself) and its name."""


class Member(NamedTuple):
    """One of the models.

    Attributes:
        name: its name, as given by the user.
        folder: its folder.
        share: its weight in the average.
        places: the file of each tensor.
    """

    name: str
    folder: Path
    share: float
    places: dict[Place, Path]


def open_member(name: str, share: float) -> Member:
    """Find a model's tensors without reading them.

    Raises:
        InputError: the model is not a folder, is an adapter, is quantised, or has no readable safetensors weights.
    """
    folder = Path(locate(name)[0])
    if not folder.is_dir():
        raise InputError(f"model {name}: not a folder here; averaging reads folders, so download it first")
    if (folder / "adapter_config.json").is_file():
        raise InputError(
            f"model {name}: is an adapter; averaging adapters' matrices does not average their effects. "
            "Merge each into its model first"
        )
    if "quantization_config" in _read(folder / "config.json"):
        raise InputError(f"model {name}: quantised weights, which have no mean; average the models before quantising")
    places: dict[Place, Path] = {}
    for path in sorted(folder.rglob("*.safetensors")):
        parent = path.parent.relative_to(folder)
        if CHECKPOINTS in parent.parts:
            continue
        try:
            with safe_open(path, framework="pt") as file:
                places |= {(parent.as_posix(), tensor): path for tensor in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path}: not a readable safetensors file ({error}); copy or train it again") from error
    if not places:
        raise InputError(f"model {name}: no .safetensors weights in the folder; save it with save_pretrained first")
    return Member(name, folder, share, places)


def require_alike(members: list[Member]) -> None:
    """Compare architecture, modules, vocabulary and all tensor shapes with those of the first model.

    Raises:
        InputError: they differ; the message lists every difference.
    """
    first, *others = members
    problems = Problems()
    facts, shapes = dict(_facts(first.folder)), _shapes(first)
    for other in others:
        for what, value in _facts(other.folder):
            if what in facts and facts[what] != value:
                problems.add(other.name, None, f"its {what} differs from that of {first.name}")
        theirs = _shapes(other)
        for place in sorted(shapes.keys() | theirs.keys()):
            if shapes.get(place) != theirs.get(place):
                here, there = (found.get(place, "missing") for found in (theirs, shapes))
                problems.add(other.name, None, f"{'/'.join(place)} is {here}, in {first.name} {there}")
    problems.raise_if_any("Averaging needs models of one architecture and tokenizer, trained from the same weights.")


def _shapes(member: Member) -> dict[Place, tuple[int, ...]]:
    found: dict[Place, tuple[int, ...]] = {}
    for path in set(member.places.values()):
        with safe_open(path, framework="pt") as file:
            for place in (place for place, where in member.places.items() if where == path):
                found[place] = tuple(file.get_slice(place[1]).get_shape())
    return found


def _facts(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield what must be equal, as (description, value), without details that differ between library versions."""
    modules = _read(folder / "modules.json")
    if modules:
        yield "list of modules", [(str(module["type"]).rpartition(".")[2], module["path"]) for module in modules]
        for path in (module["path"] for module in modules if module["path"]):
            yield f"{path}/config.json", _read(folder / path / "config.json")
    yield "structure of router_config.json", _read(folder / "router_config.json").get("structure")
    # Routers and static embeddings keep a tokenizer, or a whole encoder, in a folder of its own.
    for path in ("", *sorted(f"{entry.name}/" for entry in folder.iterdir() if entry.is_dir())):
        config = _read(folder / path / "config.json")
        yield from ((f"{key} in {path}config.json", config[key]) for key in _CONFIG if key in config)
        vocabulary = _read(folder / path / "tokenizer.json").get("model", {}).get("vocab")
        where = f" in {path}tokenizer.json" if path else ""
        if isinstance(vocabulary, dict):
            yield f"vocabulary{where}", vocabulary
        elif vocabulary is not None:
            yield f"vocabulary{where}", [piece for piece, _ in vocabulary]


def _read(path: Path) -> Any:
    return read_json(path) if path.is_file() else {}
