"""Fixtures that many tests share: a tiny encoder, tiny rows, a tiny LAReQA folder, and the real files if present."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import settings

from support.lareqa import lareqa_file, lareqa_paragraph
from support.rows import TEMPLATES, parallel_rows, write_jsonl

# Before any library reads them: no hub, no fork warnings, no window.
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", MPLBACKEND="agg")
# Tiny models gain nothing from threads, and busy machines lose much.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("isoglot", deadline=None, max_examples=40, derandomize=True, database=None)
settings.load_profile("isoglot")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory):
    """40 groups in two data sets: `wiki` (24: de en hi zh, every fifth group without hi) and `web` (16: ar de en).

    wiki-0 and wiki-1 have the same German passage (one component); web-100 has English only.
    """
    rows = [row for row in parallel_rows() if row["lang"] != "hi" or int(row["group"].split("-")[1]) % 5]
    rows[[row["group"] + row["lang"] for row in rows].index("wiki-1de")]["passage"] = rows[0]["passage"]
    rows += parallel_rows(15, ("ar", "de", "en"), "web", 101)
    rows += parallel_rows(1, ("en",), "web", 100)
    return write_jsonl(tmp_path_factory.mktemp("rows") / "rows.jsonl", rows)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Folder of a Sentence Transformer: 2-layer BertModel (hidden 32), byte-level tokens, so any script works.

    Mean pooling, unit vectors, prompts `query: ` and `passage: `, at most 64 tokens; seeded, without dropout.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    home = tmp_path_factory.mktemp("tiny")
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=inner,
        model_max_length=64,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    ).save_pretrained(home / "backbone")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
            type_vocab_size=1,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            # Wider than usual: random vectors of different texts are then clearly different.
            initializer_range=0.2,
        )
        BertModel(config).save_pretrained(home / "backbone")
    encoder = Transformer(str(home / "backbone"), max_seq_length=64)
    model = SentenceTransformer(
        modules=[encoder, Pooling(32, "mean"), Normalize()],
        prompts={"query": "query: ", "document": "passage: "},
        similarity_fn_name="cosine",
        device="cpu",
    )
    model.save_pretrained(str(home / "model"), create_model_card=False)
    return home / "model"


@pytest.fixture(scope="session")
def lareqa_folder(tmp_path_factory):
    """Folder `mini` with de, en and zh: 12 questions on 4 paragraphs of 4 sentences; q11 is missing in zh."""
    folder = tmp_path_factory.mktemp("lareqa") / "mini"
    folder.mkdir()
    for lang in ("de", "en", "zh"):
        ask, tell = TEMPLATES[lang]
        paragraphs = []
        for p in range(4):
            numbers = range(4 * p, 4 * p + 4)
            sentences = [tell.format(n=n, m=100 + 37 * n) for n in numbers]
            asked = [(f"q{3 * p + s}", ask.format(n=numbers[s]), s, s) for s in range(3)]
            asked = [entry for entry in asked if (lang, entry[0]) != ("zh", "q11")]
            paragraphs.append(lareqa_paragraph(sentences, asked, "" if lang == "zh" else " "))
        text = json.dumps(lareqa_file("Berge", paragraphs), ensure_ascii=False)
        (folder / f"{lang}.json").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def shared_data():
    """Folder with `xquad-r` and `mlqa-r`; skips where the published files are not at hand."""
    if not (SHARED / "xquad-r").is_dir():
        pytest.skip("needs the published files beside the repository (../shared/data)")
    return SHARED
