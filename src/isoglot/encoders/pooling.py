"""Pooling of token vectors into a text's vector, for folders of plain transformers weights that do not specify it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isoglot.core.errors import InputError
from isoglot.encoders.presets import Preset

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer


def pooled(model: SentenceTransformer, inner: torch.nn.Module, preset: Preset, name: str) -> SentenceTransformer:
    """Return the same encoder with the preset's pooling and normalisation instead of the library's mean pooling.

    Without a preset, a causal decoder is pooled at its last token, the only one that attends to the whole text, after
    appending an end-of-text token; other models are unchanged.

    Args:
        model: as Sentence Transformers opens plain weights.
        inner: the transformers encoder inside.
        preset: of its family.
        name: for messages.

    Raises:
        InputError: the preset requires the encoder's own pooler, and it has none.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

    kind = preset.pooling or ("last" if is_causal(inner.config) else None)
    if kind is None:
        return model
    encoder = model[0]
    width = encoder.get_embedding_dimension()
    modes = {"mean": "mean", "last": "lasttoken", "cls": "cls", "pooler": "cls"}
    modules = [encoder, Pooling(width, modes[kind])]
    # With a chat model's tokenizer, Sentence Transformers would format texts as messages, and prompts as system ones.
    encoder.modality_config = {"text": encoder.modality_config["text"]}
    if kind == "last":
        end_texts(model.tokenizer)
    if kind == "pooler":
        pooler = getattr(inner, "pooler", None)
        if pooler is None:
            raise InputError(f"model {name}: its encoder has no pooler, which LaBSE's vectors need")
        dense = pooler.dense
        modules.append(
            Dense(
                dense.in_features,
                dense.out_features,
                activation_function=torch.nn.Tanh(),
                init_weight=dense.weight.detach().clone(),
                init_bias=dense.bias.detach().clone(),
            )
        )
    made = SentenceTransformer(modules=[*modules, Normalize()], device=str(model.device))
    if preset.max_length is not None:
        made.max_seq_length = min(made.max_seq_length or preset.max_length, preset.max_length)
    return made


def is_causal(config: Any) -> bool:
    """Return whether a model uses causal attention: a decoder (Qwen, Gemma, Llama, ...) not made bidirectional.

    Transformers lists BERT and its relatives as decoders too, since they can be used so, but also as masked models.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES as MASKED

    kind = config.model_type
    opened_up = getattr(config, "use_bidirectional_attention", False) or getattr(config, "is_causal", None) is False
    return kind in CAUSAL and kind not in MASKED and not opened_up


def let_pad(tokenizer: Any) -> None:
    """Set a missing padding token to an existing token, as Llama's tokenizer needs; the attention mask hides it."""
    if getattr(tokenizer, "pad_token", "") is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token


def end_texts(tokenizer: Any) -> None:
    """Make a tokenizer append its end-of-text token to every text, if it has one and does not do so already.

    Raises:
        InputError: there is such a token, but the tokenizer cannot be configured.
    """
    from tokenizers import processors

    end = tokenizer.eos_token
    ids = tokenizer("a")["input_ids"]
    closing = {tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.sep_token_id} - {None}
    if end is None or (ids and ids[-1] in closing):
        return  # Qwen's embedders end texts with their padding token
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(f"{type(tokenizer).__name__}: cannot be made to end texts with {end!r}; use a tokenizer.json")
    closes = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A $B {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    before = backend.post_processor
    backend.post_processor = closes if before is None else processors.Sequence([before, closes])
