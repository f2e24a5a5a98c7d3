"""Tiny randomly initialised translation models with real tokenizers, built where a test wants them."""

import json

import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
)

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
    """A Marian model; with `languages`, one of several targets (`>>de<<`)."""
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
