"""The tiny encoder that most tests use."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp


def tiny_encoder(folder: Path, *, dropout: float = 0.0, length: int = 64, spread: float = 0.2) -> Path:
    """Make the folder of a Sentence Transformer: 2-layer BertModel (hidden 32), byte-level tokens for any script.

    Mean pooling, unit vectors, E5's prompts; the weights are seeded.

    Args:
        folder: where `backbone` (plain transformers) and `model` (the folder that is returned) are made.
        dropout: of the layers.
        length: maximum number of tokens of a text.
        spread: of the initial weights; wider than usual, so that different texts get clearly different vectors.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>"}
    PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=length, unk_token="<unk>", mask_token="<mask>", **names
    ).save_pretrained(folder / "backbone")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=length,
            type_vocab_size=1,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            initializer_range=spread,
        )
        BertModel(config).save_pretrained(folder / "backbone")
    model = SentenceTransformer(
        modules=[Transformer(str(folder / "backbone"), max_seq_length=length), Pooling(32, "mean"), Normalize()],
        prompts={"query": "query: ", "document": "passage: "},
        similarity_fn_name="cosine",
        device="cpu",
    )
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"


@cache
def wide_encoder() -> Path:
    """A tiny encoder of 128 tokens, so that a sentence in any script is one passage; made once per process."""
    folder = mkdtemp(prefix="isoglot-tiny-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return tiny_encoder(Path(folder), length=128, spread=0.3)
