import numpy as np
import pytest
import torch
from datasets import Dataset

import isoglot.encoders.tokens
from isoglot.core.errors import InputError
from isoglot.data.prepared import prepare
from isoglot.encoders.loading import load
from isoglot.encoders.tokens import Tokens, tokenize, tokenize_rows
from isoglot.training.collator import TokenCollator
from isoglot.training.own_trainer import FoldingCollator
from support.rows import parallel_rows, write_jsonl

TEXTS = ["Wie hoch?", "", "第3座山有多高？", "a " * 200, "पर्वत"]


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(str(tiny_model), device="cpu")


@pytest.mark.parametrize("prompt", [None, "query: "])
@pytest.mark.parametrize("length", [8, 64])
def test_tokens_are_what_the_model_makes_of_texts(model, prompt, length):
    tokens = tokenize(model, TEXTS, prompt=prompt, length=length)
    assert len(tokens) == len(TEXTS)
    for number, text in enumerate(TEXTS):
        own = model.tokenizer((prompt or "") + text, truncation=True, max_length=length)["input_ids"]
        assert tokens.ids[tokens.offsets[number] : tokens.offsets[number + 1]].tolist() == own
    chosen = [3, 0, 4]
    theirs = model.preprocess([TEXTS[number] for number in chosen], prompt=prompt, max_length=length)
    ours = tokens.batch(np.array(chosen), model.tokenizer.pad_token_id)
    for key in ("input_ids", "attention_mask"):
        assert torch.equal(ours[key], theirs[key])
        assert ours[key].dtype == torch.int64


def test_many_texts_come_in_order(model):
    texts = [f"text {number}" for number in range(2500)]
    tokens = tokenize(model, texts, prompt=None, length=32)
    assert len(tokens) == 2500
    for number in (0, 1023, 1024, 2499):
        ids = tokens.ids[tokens.offsets[number] : tokens.offsets[number + 1]].tolist()
        assert model.tokenizer.decode(ids, skip_special_tokens=True) == texts[number]


def test_no_texts(model):
    assert len(tokenize(model, [], prompt=None, length=8)) == 0


@pytest.mark.parametrize("side", ["query", "passage"])
def test_tokens_of_rows_are_those_of_their_texts_and_are_made_once(model, tmp_path, monkeypatch, side):
    rows = parallel_rows(400)
    rows[3]["title"] = "Berge"
    prepared = prepare([write_jsonl(tmp_path / "rows.jsonl", rows)], tmp_path / "prepared", show_progress=False)
    assert len(prepared) > 1024
    texts = prepared.column("query") if side == "query" else prepared.passages()
    plain = tokenize(model, texts, prompt="x: ", length=16)

    def read(numbers=None, length=16):
        return tokenize_rows(
            model, prepared, side, prompt="x: ", length=length, home=tmp_path / "tokens", numbers=numbers
        )

    tokens = read()
    assert isinstance(tokens.ids, np.memmap)
    assert np.array_equal(tokens.ids, plain.ids)
    assert np.array_equal(tokens.offsets, plain.offsets)
    assert tokens.used().tolist() == sorted(set(plain.ids.tolist()))
    chosen = np.array([3, 7, 1030, 1031])
    part = read(chosen)
    assert len(part) == 4
    asked = np.array([1031, 3, 3, -1])
    for key, value in part.batch(asked, 0).items():
        assert torch.equal(value, plain.batch(asked, 0)[key])
    # Another length is other tokens; the same again is read, not made.
    assert len(read(length=8).ids) < len(tokens.ids)
    monkeypatch.setattr(model, "preprocess", None)
    assert np.array_equal(read().ids, plain.ids)
    assert np.array_equal(read(chosen).ids, part.ids)


def test_tokens_that_another_process_made_meanwhile_stay(model, tmp_path, monkeypatch):
    """Its training reads them from these files until it ends."""
    prepared = prepare([write_jsonl(tmp_path / "rows.jsonl", parallel_rows(4))], tmp_path / "p", show_progress=False)

    def read():
        return tokenize_rows(model, prepared, "query", prompt=None, length=16, home=tmp_path / "tokens")

    made, pieces = [], isoglot.encoders.tokens._pieces

    def meanwhile(*args):
        monkeypatch.setattr("isoglot.encoders.tokens._pieces", pieces)
        made.append(read())
        made.extend(path.stat().st_ino for path in sorted((tmp_path / "tokens").glob("query-*/*")))
        return pieces(*args)

    monkeypatch.setattr("isoglot.encoders.tokens._pieces", meanwhile)
    assert np.array_equal(read().ids, made[0].ids)
    assert [path.stat().st_ino for path in sorted((tmp_path / "tokens").glob("*/*"))] == made[1:]


def test_a_model_without_tokens():
    class StaticEmbedding:
        pass

    class Model(list):
        def preprocess(self, texts, **kwargs):
            return {"input_ids": texts, "offsets": [0]}

    with pytest.raises(InputError, match=r"this model \(StaticEmbedding\) takes no token ids.*give the func"):
        tokenize(Model([StaticEmbedding()]), ["a"], prompt=None, length=8)


def tokens_of(*rows):
    return Tokens(np.array([token for row in rows for token in row], np.int32), np.cumsum([0, *map(len, rows)]))


def test_row_numbers_fold_into_pairs():
    queries, passages = tokens_of([1, 2], [3], [4, 5, 6]), tokens_of([7], [8, 9], [10])
    collator = TokenCollator(queries, passages, np.array([50, 51, 52]), pad=0)
    batch = collator([{"row": row} for row in (2, 0, 1, 2)])
    assert [{key: value.tolist() for key, value in column.items()} for column in batch["columns"]] == [
        {"input_ids": [[4, 5, 6], [1, 2, 0]], "attention_mask": [[1, 1, 1], [1, 1, 0]]},
        {"input_ids": [[8, 9], [10, 0]], "attention_mask": [[1, 1], [1, 0]]},
    ]
    assert (batch["label"].tolist(), batch["rows"].tolist()) == ([52, 50], [[2, 0], [1, 2]])
    assert (batch["parallel"], batch["teacher"]) == ([], None)
    assert batch["label"].dtype == torch.int64


def test_text_columns_fold_to_the_same_batch(model):
    texts = [(f"Frage {n}", f"Satz Nummer {n}") for n in range(6)]
    rows = Dataset.from_dict(
        {
            "group": [str(n) for n in range(6)],
            "query": [query for query, _ in texts],
            "passage": [passage for _, passage in texts],
            "label": [n + 10 for n in range(6)],
        }
    )
    chosen = [4, 1, 0, 3]
    prompts = {"query": "query: ", "passage": "passage: "}
    folded = FoldingCollator(preprocess_fn=model.preprocess, prompts=prompts)([rows[row] for row in chosen])
    ready = TokenCollator(
        tokenize(model, [query for query, _ in texts], prompt="query: ", length=64),
        tokenize(model, [passage for _, passage in texts], prompt="passage: ", length=64),
        np.arange(10, 16),
        model.tokenizer.pad_token_id,
    )([{"row": row} for row in chosen])
    assert torch.equal(folded["label"], ready["label"])
    for name, column in zip(("query", "passage"), ready["columns"], strict=True):
        for key, value in column.items():
            assert torch.equal(folded[f"{name}_{key}"], value), key
    assert not any(key.startswith("group") for key in folded)
