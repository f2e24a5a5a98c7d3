"""Tiny randomly initialised models, built where a test wants them; nothing is downloaded."""

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
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
    return _save(folder, texts, max_length, lambda sizes: BertModel(BertConfig(**sizes)))


def xlm_roberta(folder, texts=(), *, max_length=512):
    """A plain transformers folder of XLM-R's architecture: positions start behind the padding id."""
    return _save(
        folder, texts, max_length, lambda sizes: XLMRobertaModel(XLMRobertaConfig(**sizes, max_position_embeddings=514))
    )


def cross_encoder(folder, texts=(), *, labels=1):
    """A BERT with `labels` outputs for a pair of texts."""
    return _save(
        folder, texts, 512, lambda sizes: BertForSequenceClassification(BertConfig(**sizes, num_labels=labels))
    )


def _save(folder, texts, max_length, build):
    torch.manual_seed(0)
    tokens = tokenizer(texts, max_length)
    model = build(_sizes(tokens)).eval()
    # Wider than the usual 0.02, so that texts get clearly different vectors.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.2)
    model.save_pretrained(str(folder))
    tokens.save_pretrained(str(folder))
    return folder
