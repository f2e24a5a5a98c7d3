"""Open an encoder by name: the embedded one, a local folder, or a Hub id with an optional revision."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal, get_args

from isoglot.core.arguments import check_choice, check_kind, check_whole
from isoglot.core.errors import InputError, first_line
from isoglot.core.files import read_json
from isoglot.core.progress import progress_line
from isoglot.encoders.adapters import is_adapter, merge_adapter, read_adapter, weights_of
from isoglot.encoders.devices import require_device
from isoglot.encoders.embedder import Role
from isoglot.encoders.hub_access import HubSilentError, require_hub
from isoglot.encoders.missing_weights import noting_missing, require_weights
from isoglot.encoders.model_locks import OPENING
from isoglot.encoders.model_names import EMBEDDED, locate
from isoglot.encoders.options import LEAST, Dtype
from isoglot.encoders.pooling import let_pad, pooled
from isoglot.encoders.presets import Preset, preset_named

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

# The prompt names that Sentence Transformers' `encode_query` and `encode_document` look up.
PROMPT_NAMES: dict[Role, tuple[str, ...]] = {"query": ("query",), "passage": ("document", "passage", "corpus")}

_DTYPES = (*get_args(Dtype), "auto")


def load(
    name: str | Path = EMBEDDED,
    *,
    device: str | None = None,
    dtype: Dtype | Literal["auto"] | torch.dtype | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
    prompts: Mapping[str, str] | None = None,
    length: int | None = None,
) -> SentenceTransformer:
    """Load a Sentence Transformer and set its prompts for queries and passages.

    If the folder states its pooling (modules.json) or its prompts, these apply. For plain transformers weights of a
    known model, the preset sets pooling, normalisation and maximum length. Any other decoder (Qwen, Gemma, Llama, ...)
    is pooled at the last token, an end-of-text token, and normalised; any other encoder is left to Sentence
    Transformers' defaults.

    For a folder with a LoRA adapter, the base weights are looked up and the adapter is merged into them.

    Args:
        name: `embedded`, a local folder, or a Hub id (`id` or `id@revision`).
        device: such as `cpu` or `cuda`; chosen by torch when None.
        dtype: of the weights: `bfloat16`, `float16` or `float32`; as the folder says when None (or `auto`).
        trust_remote_code: run Python code that comes with the model.
        revision: of a Hub id: a commit, tag or branch.
        model_kwargs: further arguments of transformers' `from_pretrained`, such as `attn_implementation`.
        prompts: prepended to texts in place of the model's own, by role (`query`, `passage`).
        length: maximum tokens per text when measuring and searching; the preset's when None.

    Raises:
        InputError: no such folder or model, a folder without a model, an unavailable device, or an argument of the
            wrong type.

    Example:
        `encoder` is the folder of a tiny model; `embedded` has 384 dimensions.

        >>> from isoglot import load
        >>> model = load(encoder, device="cpu", prompts={"query": "question: "})
        >>> model.encode_query("Wie hoch ist der Ararat?").shape, model.prompts["query"]
        ((32,), 'question: ')
    """
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    from isoglot.encoders.packing import positions

    check_kind("model", name, (str, Path), "`embedded`, a folder, or a Hub id")
    name = str(name)
    check_kind("trust_remote_code", trust_remote_code, bool, "True or False")
    _check_opening(revision, model_kwargs, prompts, dtype, length)
    path, named = locate(name)
    if named and revision and named != revision:
        raise InputError(f"{name}: revision {revision!r} differs from the one in the name; give only one")
    revision = revision or named
    preset = preset_named(name)
    require_device(device)
    try:
        require_hub(path, revision)
        _require_one_vector(name, path, revision)
        with OPENING, retries_told_once(f"model {name}", path), weights_of(path) as place, noting_missing() as missing:
            model = SentenceTransformer(
                str(place),
                revision=revision,
                device=device,
                trust_remote_code=trust_remote_code,
                model_kwargs={**(model_kwargs or {}), **({"dtype": dtype} if dtype is not None else {})},
            )
        if is_adapter(path):
            if dtype in (None, "auto"):
                backbone_of(model).float()  # adding a float32 adapter to a lower-precision base would round it away
            read_adapter(backbone_of(model), Path(path))
            merge_adapter(backbone_of(model))
        let_pad(model.tokenizer)
        says_how = _says_how(path, revision)
        require_weights(name, missing, model[0], pooler=not says_how and preset.pooling == "pooler")
        if not says_how:
            model = pooled(model, backbone_of(model), preset, name)
    except (
        *(OSError, ValueError, TypeError, KeyError, ImportError, RuntimeError),
        SafetensorError,
        UnpicklingError,  # weights in a pickle that holds more than tensors
    ) as error:
        raise InputError(
            f"model {name}: cannot be loaded ({failure(error, path)}); give `embedded`, a folder, or a Hub id"
        ) from error
    known = positions(getattr(model[0], "auto_model", None))
    if known is not None and (model.max_seq_length or known) >= known:
        model.max_seq_length = known  # RoBERTa's table has unusable rows; some tokenizers state no maximum length
    set_prompts(model, preset, prompts or {})
    model.isoglot_name = name
    model.isoglot_preset = preset if length is None else replace(preset, encode_length=length)
    return model


def _check_opening(revision: Any, model_kwargs: Any, prompts: Any, dtype: Any, length: Any) -> None:
    """Check the types and values of `load`'s arguments."""
    for argument, value, kind, expected in (
        ("revision", revision, str, "a commit, tag or branch of a Hub id"),
        ("model_kwargs", model_kwargs, Mapping, "a dict of what transformers' from_pretrained takes"),
        ("prompts", prompts, Mapping, "texts by role, query and passage"),
    ):
        if value is not None:
            check_kind(argument, value, kind, expected)
    for role, prompt in (prompts or {}).items():
        if role not in PROMPT_NAMES:
            raise InputError(f"prompts: {role!r} is not a role; expected query or passage")
        check_kind(f"prompts: {role!r}", prompt, str, "a text")
    if isinstance(dtype, str):
        check_choice("dtype", dtype, _DTYPES)
    if length is not None:
        check_whole("length", length, LEAST, "tokens")


@contextmanager
def retries_told_once(what: str, path: str) -> Iterator[None]:
    """Within the block, replace the Hub client's warnings (two per try) by one line."""
    told = False

    def only_others(record: logging.LogRecord) -> bool:
        nonlocal told
        if not any(part in record.getMessage() for part in ("thrown while requesting", "Retrying in")):
            return True
        if not told:
            told = True
            folder = "" if Path(path).is_dir() else "no folder of this name here, and "
            progress_line(f"{what}: {folder}the Hub does not answer; trying again for a minute or so")
        return False

    client = logging.getLogger("huggingface_hub.utils._http")
    client.addFilter(only_others)
    try:
        yield
    finally:
        client.removeFilter(only_others)


def failure(error: Exception, path: str) -> str:
    """Return, in one line, why a folder or Hub id could not be loaded."""
    first = first_line(error)
    if isinstance(error, OSError) and not Path(path).is_dir():
        return f"no folder of this name here, and {first if isinstance(error, HubSilentError) else f'the Hub: {first}'}"
    return first


def set_prompts(model: SentenceTransformer, preset: Preset, given: Mapping[str, str]) -> None:
    """Set the given prompts; for other roles keep the model's own, or use the preset's if it has none for either."""
    own: dict[str, str] = {role: prompt_of(model, role) for role in PROMPT_NAMES}
    if not any(own.values()):
        own = {"query": preset.query_prompt, "passage": preset.passage_prompt}
    chosen = {**own, **given}
    model.prompts = {**model.prompts, "query": chosen["query"], "document": chosen["passage"]}


def prompt_of(model: SentenceTransformer, role: Role) -> str:
    """Return the text prepended for a role: the model's prompt for it, else its default prompt, else nothing."""
    named = next((name for name in PROMPT_NAMES[role] if name in model.prompts), model.default_prompt_name)
    return (model.prompts.get(named) if named else None) or ""


def preset_of(model: SentenceTransformer) -> Preset:
    """Return the preset that `load` stored on the model, or that of its base for a model opened elsewhere."""
    found = getattr(model, "isoglot_preset", None)
    return found if isinstance(found, Preset) else preset_named(str(model.model_card_data.base_model or ""))


def _require_one_vector(name: str, path: str, revision: str | None) -> None:
    """Reject other model types, from which Sentence Transformers would take the encoder inside and mean-pool it."""
    from sentence_transformers.util.file_io import load_file_path

    file = load_file_path(path, "config_sentence_transformers.json", revision=revision)
    kind = read_json(Path(file)).get("model_type", "SentenceTransformer") if file else "SentenceTransformer"
    if kind == "CrossEncoder":
        raise InputError(f"model {name}: is a cross-encoder, which returns no vectors; it can only re-rank or teach")
    if kind != "SentenceTransformer":
        raise InputError(
            f"model {name}: a {kind}, which does not give one vector per text; expected a SentenceTransformer"
        )


def _says_how(path: str, revision: str | None) -> bool:
    """Return whether a folder or Hub id holds modules.json."""
    if Path(path).is_dir():
        return (Path(path) / "modules.json").is_file()
    from sentence_transformers.util.file_io import is_sentence_transformer_model

    return bool(is_sentence_transformer_model(path, revision=revision))


def backbone_of(model: SentenceTransformer) -> torch.nn.Module:
    """Return the transformers encoder inside the model.

    Raises:
        InputError: the model does not begin with one.
    """
    inner = getattr(model[0], "auto_model", None)
    if inner is None:
        raise InputError(
            f"this model's first module is {type(model[0]).__name__}, not a transformers encoder; training and token "
            "vectors need one"
        )
    encoder: torch.nn.Module = inner
    return encoder


def quiet_libraries() -> None:
    """Hide the training stack's progress bars and notices (warnings and errors still show).

    Imports nothing: libraries that are not loaded yet read the environment variables when they are.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("transformers.utils.logging", "huggingface_hub.utils"):
        there = sys.modules.get(name)
        if there is not None:
            (there.disable_progress_bar if name.startswith("transformers") else there.disable_progress_bars)()
    for name in ("sentence_transformers", "transformers", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.WARNING)
