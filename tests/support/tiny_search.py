"""A tiny encoder that takes 128 tokens, so that a sentence in any script is one passage."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp


@cache
def tiny_folder() -> Path:
    """Folder of a Sentence Transformer: BertModel (hidden 32), mean pooling, E5's prompts, at most 128 tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    home = Path(mkdtemp(prefix="isoglot-tiny-"))
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=inner,
        model_max_length=128,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
    ).save_pretrained(home / "backbone")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=128,
            type_vocab_size=1,
            pad_token_id=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.3,
        )
        BertModel(config).save_pretrained(home / "backbone")
    model = SentenceTransformer(
        modules=[Transformer(str(home / "backbone"), max_seq_length=128), Pooling(32, "mean"), Normalize()],
        prompts={"query": "query: ", "document": "passage: "},
        similarity_fn_name="cosine",
        device="cpu",
    )
    model.save_pretrained(str(home / "model"), create_model_card=False)
    return home / "model"
