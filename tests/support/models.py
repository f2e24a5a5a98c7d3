"""Tiny randomly initialised models in folders of a test's choice; nothing is downloaded."""

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    Gemma3TextConfig,
    Gemma3TextModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    XLMRobertaConfig,
    XLMRobertaModel,
)

WORDS = ("alpha beta gamma the of who what is was sky blue grass green", "eins zwei drei ένα δύο τρία")


def tokenizer(texts=(), max_length=512):
    """A WordPiece tokenizer with BERT's special tokens, trained on the given texts (and a few words)."""
    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=special)
    inner.train_from_iterator([*texts, *WORDS], trainer)
    ids = {token: inner.token_to_id(token) for token in special}
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        model_max_length=max_length,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _sizes(tokens):
    return {
        "vocab_size": len(tokens),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "pad_token_id": tokens.pad_token_id,
    }


def bert(folder, texts=(), *, max_length=512):
    """A plain transformers folder of BERT's architecture (with its pooler)."""
    tokens = tokenizer(texts, max_length)
    return _save(folder, tokens, BertModel, BertConfig(**_sizes(tokens)))


def xlm_roberta(folder, texts=(), *, max_length=512):
    """A plain transformers folder of XLM-R's architecture: positions start after the padding id."""
    tokens = tokenizer(texts, max_length)
    return _save(folder, tokens, XLMRobertaModel, XLMRobertaConfig(**_sizes(tokens), max_position_embeddings=514))


def cross_encoder(folder, texts=(), *, labels=1):
    """A BERT with `labels` outputs for a pair of texts."""
    tokens = tokenizer(texts)
    return _save(folder, tokens, BertForSequenceClassification, BertConfig(**_sizes(tokens), num_labels=labels))


def qwen3(folder, *, closes=False, bare=False):
    """A plain transformers folder of Qwen3's architecture (causal, grouped queries), over bytes, with a chat template.

    Its tokenizer pads on the left with `<|endoftext|>`. If `closes`, it also appends that token to texts, as
    Qwen3-Embedding's does; if `bare`, it has no padding token, as Llama's.
    """
    special = {"eos_token": "<|im_end|>", **({} if bare else {"pad_token": "<|endoftext|>"})}
    tokens = byte_tokenizer(special, padding_side="left")
    if closes:
        _enclose(tokens, "$A <|endoftext|>")
    tokens.chat_template = "{% for message in messages %}<|im_start|>{{ message['content'] }}{% endfor %}"
    config = Qwen3Config(
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=256,
    )
    return _save(folder, tokens, Qwen3Model, config)


def gemma3(folder, *, bidirectional=False):
    """A plain transformers folder of Gemma 3's architecture, with sliding windows of 8 tokens in one of two layers.

    Texts start with `<bos>`; `bidirectional` attention is that of EmbeddingGemma.
    """
    tokens = byte_tokenizer({"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"})
    _enclose(tokens, "<bos> $A")
    config = Gemma3TextConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        max_position_embeddings=256,
        use_bidirectional_attention=bidirectional,
        pad_token_id=tokens.pad_token_id,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
    )
    return _save(folder, tokens, Gemma3TextModel, config)


def byte_tokenizer(special, **more):
    """A byte tokenizer with some special tokens, which it does not add to texts, and a `model_max_length` of 256."""
    names = [*special.values(), *(["<|endoftext|>"] if "<|im_end|>" in special.values() else [])]
    pieces = [*dict.fromkeys(names), *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=256, extra_special_tokens=[*dict.fromkeys(names)], **special, **more
    )


def _enclose(tokens, template):
    special = [(name, tokens.convert_tokens_to_ids(name)) for name in template.split() if name != "$A"]
    tokens.backend_tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)


def _save(folder, tokens, kind, config):
    torch.manual_seed(0)
    model = kind(config).eval()
    # Wider than the usual 0.02, so that texts get clearly different vectors.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.2)
    model.save_pretrained(str(folder))
    tokens.save_pretrained(str(folder))
    return folder
