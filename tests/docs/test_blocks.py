"""Every Python block of the guides runs as it stands, on a tiny model and on files of the names that the pages take."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from isoglot import build_index, evaluate
from isoglot.training import TrainSettings
from support.rows import parallel_rows, write_jsonl

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# What the how-to pages show runs without anything (test_howto.py).
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
PAGES = [page for page in PAGES if BLOCK.search(page.read_text(encoding="utf-8"))]


def code(block, model):
    """A block with the tiny model in place of the embedded one, without a session's prompts and output."""
    lines = block.splitlines()
    if lines[0].startswith(">>> "):
        lines = [line[4:] for line in lines if line.startswith((">>> ", "... "))]
    text = "\n".join(lines)
    text = re.sub(r'load_benchmark\("xquad-r"[^)]*\)', 'load_benchmark("mini")', text)  # the published one is large
    text = re.sub(r'train\(("embedded", rows, "[\w-]+")\)', r"train(\1, TrainSettings(max_steps=2))", text)
    return text.replace('"embedded"', repr(str(model)))


@pytest.fixture(scope="module")
def readers_folder(tmp_path_factory, tiny_model, lareqa_folder):
    """What a reader has who has typed in the pages' commands: rows, a model, measured runs, indexes."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("rows-1", "mined", "mlqa-r"):
        write_jsonl(folder / f"{name}.jsonl", parallel_rows(80, ("de", "en", "zh")))
    shutil.copytree(lareqa_folder, folder / "mini")
    shutil.copytree(tiny_model, folder / "model")
    for name in ("base", "mine"):
        evaluate(str(tiny_model), str(lareqa_folder)).save(folder / "runs" / name)
    (folder / "my-documents").mkdir()
    (folder / "my-documents" / "ararat.md").write_text("# Ararat\n\nDer Ararat ist hoch.", encoding="utf-8")
    tides = "The moon pulls the ocean towards it. The water rises twice a day. "
    documents = [
        {"id": "tides", "lang": "en", "text": 3 * tides, "year": 2020, "tags": ["sea", "sky"]},
        {"id": "marée", "lang": "fr", "text": "La mer monte.", "year": 2022, "tags": ["sea", "draft"]},
        {"id": "gezeiten", "lang": "de", "text": "Die Flut steigt.", "year": 2024, "tags": ["sea"]},
    ]
    for name in ("my-index", "notes-index"):
        build_index(documents, folder / name, str(tiny_model))
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run(page, monkeypatch, tmp_path, readers_folder, tiny_model):
    shutil.copytree(readers_folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    vectors, langs = np.eye(4, dtype=np.float32), ["de", "de", "en", "en"]
    row = {"group": "a", "id": "ebbe", "lang": "de", "text": "Ebbe", "query": "Was?", "passage": "Ebbe"}
    names = {
        "__name__": page.stem,
        "TrainSettings": TrainSettings,
        "frame": pd.DataFrame([row, row | {"lang": "en", "id": "ebb"}]),
        "client": SimpleNamespace(embed=lambda texts, input_type: SimpleNamespace(embeddings=np.ones((len(texts), 2)))),
        **{"passages": vectors, "queries": vectors, "passage_langs": langs, "query_langs": langs},
    }
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(code(block, tiny_model), str(page), "exec"), names)
