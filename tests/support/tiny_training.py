"""A tiny encoder with dropout and rows in four languages, for tests of training."""

import json

TEMPLATES = {
    "de": ("Wie hoch ist der Berg Nummer {n}?", "Der Berg Nummer {n} ist {m} Meter hoch."),
    "en": ("How high is mountain {n}?", "Mountain number {n} is {m} metres high, which is a lot."),
    "hi": ("पर्वत संख्या {n}?", "पर्वत संख्या {n} की ऊँचाई {m} मीटर है।"),
    "zh": ("第{n}座山有多高？", "第{n}座山高{m}米。"),
}


def tiny_rows(path, groups=24, langs=tuple(TEMPLATES), **more):
    """Rows file with every group in every language; `more` are further fields, functions of (n, lang)."""
    rows = [
        {
            "group": f"g{n}",
            "lang": lang,
            "query": TEMPLATES[lang][0].format(n=n),
            "passage": TEMPLATES[lang][1].format(n=n, m=100 + 37 * n),
            **{key: make(n, lang) for key, make in more.items()},
        }
        for n in range(groups)
        for lang in langs
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def tiny_encoder(folder, dropout=0.1):
    """Folder of a 2-layer BertModel (hidden 32) over bytes, mean pooling, unit vectors; weights are seeded."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=96, unk_token="<unk>", mask_token="<mask>", **names
    )
    tokenizer.save_pretrained(folder / "backbone")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=96,
            type_vocab_size=1,
            pad_token_id=1,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            initializer_range=0.2,
        )
        BertModel(config).save_pretrained(folder / "backbone")
    encoder = Transformer(str(folder / "backbone"), max_seq_length=96)
    model = SentenceTransformer(
        modules=[encoder, Pooling(32, "mean"), Normalize()],
        prompts={"query": "query: ", "document": "passage: "},
        device="cpu",
    )
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"
