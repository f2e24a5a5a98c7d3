"""Fixtures that many tests share: a tiny encoder, tiny rows, a tiny LAReQA folder, and the real files if present."""

import atexit
import builtins
import errno
import io
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# Before any library reads them: no hub, no fork warnings, no window.
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", MPLBACKEND="agg")

from isoglot.data.benchmarks.named import BENCHMARKS
from isoglot.languages.table import temporary_languages
from isoglot.search.stores.named import STORES
from isoglot.training.sampling.regimes import REGIMES
from support.encoders import tiny_encoder
from support.lareqa import lareqa_file, lareqa_paragraph
from support.rows import TEMPLATES, parallel_rows, write_jsonl
from support.warm import warm_context

# A cache of the run's own, which its workers share and whoever runs the tests never meets again.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["ISOGLOT_CACHE"] = tempfile.mkdtemp(prefix="isoglot-tests-")
    atexit.register(shutil.rmtree, os.environ["ISOGLOT_CACHE"], ignore_errors=True)
# Tiny models gain nothing from threads, and busy machines lose much.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("isoglot", deadline=None, max_examples=40, derandomize=True, database=None)
settings.load_profile("isoglot")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    """Names and languages that a test registers are gone after it."""
    # Not above: that imports the training stack, which the process that hands out the tests has no use for.
    from isoglot.training.losses.named import LOSSES

    with BENCHMARKS.temporary(), LOSSES.temporary(), REGIMES.temporary(), STORES.temporary(), temporary_languages():
        yield


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
    """Folder of the tiny encoder: at most 64 tokens, without dropout."""
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


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


@pytest.fixture
def warm_processes(monkeypatch):
    """What is spawned has everything imported already; other tests spawn in earnest, and wait for that."""
    warm = warm_context()
    monkeypatch.setattr("multiprocessing.get_context", lambda method: warm)


@pytest.fixture
def lock(monkeypatch):
    """Take a file's read permission away, for this process also where it is root's."""
    locked = set()
    opened = io.open

    def refuse(file, *args, **kwargs):
        if str(file) in locked:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        return opened(file, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", refuse)
    monkeypatch.setattr(io, "open", refuse)
    return lambda path: locked.add(str(path))
