"""Open an encoder quickly, for a few texts: only its weights, its tokenizer and torch, without the training stack.

Importing Sentence Transformers and building its model takes longer than a search. This module opens folders whose files
say that only BERT layers, mean (or first-token) pooling and a tokenizer are needed; all others are left to
`isoglot.encoders.loading`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.files import read_json
from isoglot.encoders.adapters import is_adapter
from isoglot.encoders.devices import resolve_precision
from isoglot.encoders.embedder import Encoded, Role, Vectors, check_asked, readable
from isoglot.encoders.encoding import encode_distinct
from isoglot.encoders.loading import prompt_of, set_prompts
from isoglot.encoders.model_names import locate
from isoglot.encoders.options import ModelOptions
from isoglot.encoders.presets import preset_named

if TYPE_CHECKING:
    from torch import Tensor

    from isoglot.encoders.token_vectors import TokenVectors, Vocabulary
    from isoglot.encoders.tokens import Tokens

_MODULES = (("Transformer", "Pooling"), ("Transformer", "Pooling", "Normalize"))  # vectors are normalised anyway
# Tokenizer classes that add nothing to their tokenizer.json.
_TOKENIZERS = ("PreTrainedTokenizerFast", "TokenizersBackend")
_TEXT = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}


class _Folder(NamedTuple):
    """The settings in a model folder, if all of them are supported here."""

    path: Path
    config: Mapping[str, Any]
    pooling: Literal["mean", "cls"]
    prompts: dict[str, str]
    default_prompt_name: str | None
    longest: int


class _Prompts:
    """Prompts, with the attributes of a Sentence Transformer."""

    def __init__(self, folder: _Folder) -> None:
        self.prompts, self.default_prompt_name = folder.prompts, folder.default_prompt_name


def open_light(name: str, options: ModelOptions) -> LightEmbedder | None:
    """Open a model on the CPU, or return None if that takes Sentence Transformers.

    Args:
        name: as in `isoglot.load`.
        options: only length, precision and prompts (and device `cpu`) are supported; with any other, returns None.

    Raises:
        InputError: no such model.
    """
    import torch

    others = (options.dtype, options.revision, options.model_kwargs, options.trust_remote_code or None)
    on_cpu = options.device == "cpu" or (options.device is None and not torch.accelerator.is_available())
    if not on_cpu or any(given is not None for given in others):
        return None
    path, _ = locate(name)
    folder = _read(Path(path))
    return None if folder is None or not _is_whole(folder) else LightEmbedder(folder, name, options)


def _read(path: Path) -> _Folder | None:
    """Read a folder's settings; None if any of them is not supported here."""
    names = ("config", "modules", "tokenizer_config", "sentence_bert_config", "config_sentence_transformers")
    if is_adapter(path) or not all((path / f"{file}.json").is_file() for file in (*names, "tokenizer")):
        return None
    try:
        config, modules, tokenizer, text, whole = (read_json(path / f"{file}.json") for file in names)
        kinds = tuple(module["type"].rpartition(".")[2] for module in modules)
        pooling = read_json(path / modules[1]["path"] / "config.json") if kinds in _MODULES else {}
        longest = [size for size in (text.pop("max_seq_length", None), tokenizer.get("model_max_length")) if size]
    except (InputError, KeyError, TypeError, AttributeError):
        return None
    known = (
        kinds in _MODULES
        and modules[0]["path"] == ""
        and text == _TEXT
        and pooling.get("pooling_mode") in ("mean", "cls")
        and pooling.get("include_prompt", True) is True
        and tokenizer.get("tokenizer_class") in _TOKENIZERS
        and "right" == tokenizer.get("padding_side", "right") == tokenizer.get("truncation_side", "right")
        and config.get("model_type") in ("bert", "camembert", "roberta", "xlm-roberta")
        and config.get("hidden_act") == "gelu"
        and not config.get("is_decoder")
        and config.get("position_embedding_type", "absolute") == "absolute"
        and whole.get("model_type", "SentenceTransformer") == "SentenceTransformer"
        and not whole.get("truncate_dim")
        and bool(longest)
    )
    if not known:
        return None
    longest.append(config["max_position_embeddings"] - _first_position(config))
    prompts = {role: prompt or "" for role, prompt in (whole.get("prompts") or {}).items()}
    return _Folder(path, config, pooling["pooling_mode"], prompts, whole.get("default_prompt_name"), int(min(longest)))


def _first_position(config: Mapping[str, Any]) -> int:
    """Return the position id of a text's first token: RoBERTa's positions start after the padding id."""
    return 0 if config["model_type"] == "bert" else int(config["pad_token_id"]) + 1


def _is_whole(folder: _Folder) -> bool:
    """Return whether a single file holds all weights, in float32 and under the expected names."""
    from safetensors import SafetensorError, safe_open

    path = folder.path / "model.safetensors"
    try:
        with safe_open(str(path), "pt") as weights:
            names = set(weights.keys())
            last = f"encoder.layer.{folder.config['num_hidden_layers'] - 1}.output.dense.weight"
            kinds = {weights.get_slice(name).get_dtype() for name in names}
    except (OSError, SafetensorError):
        return False
    return {"embeddings.word_embeddings.weight", last} <= names and kinds <= {"F32", "I64"}


class LightEmbedder:
    """An encoder on the CPU, built from its folder's files by `open_light`. Threads may share one.

    Args:
        folder: its settings.
        name: shown in reports.
        options: length, precision and prompts.

    Attributes:
        config: contents of the folder's `config.json`.
        tokenizer: the folder's, without padding or prompts.
    """

    device = "cpu"

    def __init__(self, folder: _Folder, name: str, options: ModelOptions) -> None:
        from safetensors import safe_open
        from tokenizers import Tokenizer

        from isoglot.encoders.int8 import layers_in
        from isoglot.encoders.layers import Shape

        self.name, preset = name, preset_named(name)
        self.config = config = folder.config
        self.length = min(options.length or preset.encode_length, folder.longest)
        self._usual_length = min(preset.encode_length, folder.longest)
        prompted: Any = _Prompts(folder)
        set_prompts(prompted, preset, options.prompts)
        self._prompts: dict[Role, str] = {role: prompt_of(prompted, role) for role in ("query", "passage")}
        self.tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.length)
        # Mapped, not read: of the embedding table, only the rows that the texts use are ever loaded.
        with safe_open(str(folder.path / "model.safetensors"), "pt") as file:
            weights = {key.removeprefix("encoder."): file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        self._tables = {key.removeprefix("embeddings."): weights[key] for key in weights if key.startswith("emb")}
        self._first, self._epsilon = _first_position(config), config["layer_norm_eps"]
        shape = Shape(config["num_hidden_layers"], config["num_attention_heads"], self._epsilon)
        self._layers = layers_in(resolve_precision(options.precision, "cpu"), weights, shape, self._known)
        self._mean = folder.pooling == "mean"
        self._vocabulary: Vocabulary | None = None

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Return unit vectors, float32 (n, d)."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Return unit vectors with their statistics.

        Raises:
            InputError: not a list of texts, or an unknown role.
        """
        check_asked(texts, role)
        return encode_distinct(
            texts,
            self._tokens(self._prompts[role], self.length),
            self._vectors,
            what=what or role,
            device=self.device,
            length=self.length,
            dimension=self.config["hidden_size"],
        )

    def _tokens(self, prompt: str, length: int) -> Callable[[list[str]], Tokens]:
        from isoglot.encoders.tokens import CHARACTERS_A_TOKEN, Tokens

        most = length * CHARACTERS_A_TOKEN

        def tokens_of(texts: list[str]) -> Tokens:
            found = self.tokenizer.encode_batch([prompt + text[:most] for text in texts])
            cut = [bool(one.overflowing) or len(text) > most for one, text in zip(found, texts, strict=True)]
            lengths = np.array([0, *(len(one.ids) for one in found)], np.int64)
            ids = np.array([number for one in found for number in one.ids], np.int32)
            return Tokens(ids, np.cumsum(lengths), cut=np.array(cut, np.bool_))

        return tokens_of

    def encoded_tokens(self, texts: list[str], role: Role, *, what: str | None = None) -> TokenVectors:
        """Return the vectors of the texts' tokens, as late interaction needs them."""
        from isoglot.encoders.token_vectors import encode_tokens

        tokens, head, vocabulary = self._laid_out(texts, role)
        return encode_tokens(tokens, head, self._hidden, vocabulary, what=what or role, device=self.device)

    def encoded_with_tokens(
        self, texts: list[str], role: Role, *, what: str | None = None
    ) -> tuple[Vectors, TokenVectors]:
        """Return the texts' unit vectors (n, d) and token vectors (with truncation flags), from one forward pass."""
        from isoglot.encoders.token_vectors import encode_both

        def both(tokens: Tokens, texts: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
            hidden = self._hidden(tokens, texts)
            return hidden, self._pooled(hidden, tokens, texts)

        tokens, head, vocabulary = self._laid_out(texts, role)
        return encode_both(tokens, head, both, vocabulary, what=what or role, device=self.device)

    def _laid_out(self, texts: list[str], role: Role) -> tuple[Tokens, list[int], Vocabulary]:
        """Return the texts' tokens, the ids that all texts begin with (the prompt), and the tokenizer's vocabulary."""
        from isoglot.encoders.token_vectors import Vocabulary

        check_asked(texts, role)
        if self._vocabulary is None:
            self._vocabulary = Vocabulary(self.tokenizer)
        prompt = self._prompts[role]
        tokens = self._tokens(prompt, self.length)([readable(text) for text in texts])
        return tokens, self.tokenizer.encode(prompt.rstrip()).ids if prompt.strip() else [], self._vocabulary

    def _vectors(self, tokens: Tokens, texts: NDArray[np.int64]) -> Tensor:
        return self._pooled(self._hidden(tokens, texts), tokens, texts)

    def _pooled(self, hidden: Tensor, tokens: Tokens, texts: NDArray[np.int64]) -> Tensor:
        import torch

        own = torch.from_numpy(tokens.offsets[texts + 1] - tokens.offsets[texts])
        if not self._mean:
            return hidden[torch.cumsum(own, 0) - own]
        rows = torch.repeat_interleave(torch.arange(len(texts)), own)
        sums = torch.zeros(len(texts), hidden.shape[1]).index_add_(0, rows, hidden)
        return sums / own[:, None]

    def _hidden(self, tokens: Tokens, texts: NDArray[np.int64]) -> Tensor:
        """Return the last layer's output for texts sorted longest first: float32 (tokens, d), concatenated."""
        embedded, lengths = self._embedded(tokens, texts)
        return self._layers(embedded, lengths).float()

    def _known(self) -> tuple[Tensor, NDArray[np.int64]]:
        """Return the embeddings of the calibration passages, as `layers_in` takes them."""
        from isoglot.encoders.int8 import known_passages

        # At the usual length, whatever was requested: a few tokens, all of the prompt, would not show the ranges.
        self.tokenizer.enable_truncation(self._usual_length)
        tokens = self._tokens(self._prompts["passage"], self._usual_length)(known_passages())
        self.tokenizer.enable_truncation(self.length)
        return self._embedded(tokens, np.argsort(-np.diff(tokens.offsets), kind="stable"))

    def _embedded(self, tokens: Tokens, texts: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
        """Return the input of the first layer, float32 (tokens, d), and the number of tokens of each text."""
        import torch
        from torch.nn import functional

        starts, ends = tokens.offsets[texts], tokens.offsets[texts + 1]
        lengths = ends - starts
        ids = torch.from_numpy(np.concatenate([tokens.ids[a:b] for a, b in zip(starts, ends, strict=True)])).long()
        columns = torch.from_numpy(np.concatenate([np.arange(length) for length in lengths]))
        table = self._tables
        embedded = functional.embedding(ids, table["word_embeddings.weight"])
        embedded += functional.embedding(columns + self._first, table["position_embeddings.weight"])
        embedded += table["token_type_embeddings.weight"][0]
        norm = table["LayerNorm.weight"], table["LayerNorm.bias"]
        return functional.layer_norm(embedded, embedded.shape[-1:], *norm, self._epsilon), lengths
