"""Tiny randomly initialised translation models with real tokenizers, in folders of a test's choice."""

import json

import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    NllbTokenizer,
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
)
from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES as NLLB_CODES

_TEXTS = ["the gate opens at dawn and the keeper sleeps", "das tor öffnet am morgen und der wärter schläft"] * 20
_SIZES = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}


def _pieces(folder, name):
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    prefix = folder / name
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXTS), model_prefix=str(prefix), vocab_size=60, model_type="bpe", minloglevel=2
    )
    model = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    return f"{prefix}.model", [model.id_to_piece(number) for number in range(model.get_piece_size())]


def marian(folder, languages=()):
    """A Marian model; with `languages`, one with several target languages (`>>de<<`)."""
    model, pieces = _pieces(folder, "pieces")
    own = [piece for piece in pieces if piece not in ("<unk>", "<s>", "</s>")]
    tokens = ["</s>", "<unk>", *(f">>{code}<<" for code in languages), *own, "<pad>"]
    vocabulary = folder / "words.json"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}), encoding="utf-8")
    tokenizer = MarianTokenizer(source_spm=model, target_spm=model, vocab=str(vocabulary))
    pad = tokens.index("<pad>")
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(tokens), pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad,
        forced_eos_token_id=0, max_position_embeddings=128, **_SIZES,
    )  # fmt: skip
    MarianMTModel(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def m2m100(folder):
    """An M2M100 model with the languages of its tokenizer."""
    model, pieces = _pieces(folder, "pieces")
    own = [piece for piece in pieces if piece not in ("<unk>", "<s>", "</s>")]
    vocabulary = folder / "words.json"
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *own]
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}), encoding="utf-8")
    tokenizer = M2M100Tokenizer(str(vocabulary), model)
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=len(tokens) + 128, pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2,
        max_position_embeddings=128, **_SIZES,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def nllb(folder):
    """An NLLB model: M2M100's architecture, and a tokenizer whose languages are special tokens."""
    _pieces(folder, "sentencepiece.bpe")
    tokenizer = NllbTokenizer.from_pretrained(folder, additional_special_tokens=NLLB_CODES)
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=2, decoder_start_token_id=2, max_position_embeddings=128, **_SIZES,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def madlad(folder, languages=("de", "en", "zh", "zh_Hant", "ceb"), *, lines=False):
    """A MADLAD model: T5 with the target language as a token before the text; with `lines`, it has line breaks."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    symbols = [f"<2{code}>" for code in languages] + (["\n"] if lines else [])
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXTS), model_prefix=str(folder / "spiece"), vocab_size=35 + len(symbols),
        model_type="unigram", user_defined_symbols=symbols, unk_id=0, pad_id=1, eos_id=2, bos_id=-1, minloglevel=2,
        **({"remove_extra_whitespaces": False, "normalization_rule_name": "identity"} if lines else {}),
    )  # fmt: skip
    tokenizer = T5Tokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2, pad_token_id=1,
        eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    T5ForConditionalGeneration(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
