"""What a newcomer sees who types the name of an answer: a few short lines, whatever it holds."""

import doctest

import numpy as np
import pytest

from isoglot import Benchmark, Searcher, build_index, evaluate, prepare
from isoglot.core import short_repr as module
from isoglot.curation.mining import MineSettings, mine
from isoglot.documents.document import Document
from isoglot.documents.sections import Section
from isoglot.encoders import encode
from isoglot.encoders.debias import Debias
from isoglot.measuring.comparing import stacked
from isoglot.studies.run import Run, Study
from isoglot.training.losses.batch import pair_batch
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.sampling.sampler import HybridBatchSampler

LANGUAGES = [f"{first}{second}" for first in "abcdefgh" for second in "abcdefghijklmnop"][:40]
GROUPS = 60


def embed(texts, role):
    return np.array([[len(text), text.count("1"), text.count("a"), 1.0] for text in texts])


@pytest.fixture(scope="module")
def benchmark():
    asked = [(code, group) for code in ("de", "el", "th") for group in range(GROUPS)]
    return Benchmark.from_dicts(
        queries={f"q-{code}-{group}": f"{code}: question {group} " * 20 for code, group in asked},
        passages={f"p-{code}-{group}": f"{code}: answer {group} " * 20 for code, group in asked},
        qrels={f"q-{code}-{group}": {f"p-{code}-{group}": 1} for code, group in asked},
        languages={f"{kind}-{code}-{group}": code for kind in "pq" for code, group in asked},
        groups={f"q-{code}-{group}": str(group) for code, group in asked},
        name="questions",
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    given = [
        {"group": n, "lang": lang, "query": f"{lang} question {n} " * 20, "passage": f"{lang} answer {n} " * 20}
        for n in range(GROUPS)
        for lang in ("de", "el", "th")
    ]
    return prepare(given, tmp_path_factory.mktemp("rows") / "rows", show_progress=False)


def is_short(printed):
    lines = printed.splitlines()
    return len(lines) <= 10 and sum(1 + len(line) // 120 for line in lines) <= 10


def test_a_benchmark(benchmark):
    assert repr(benchmark) == (
        "<Benchmark questions: 180 queries in 60 groups, 180 candidates, 180 relevant, languages de, el, th>"
    )
    assert is_short(repr(benchmark.queries))


def test_an_evaluation(benchmark):
    result = evaluate(embed, benchmark, name="letters")
    first, *settings = repr(result).splitlines()
    assert first == "<Evaluation of letters on questions: 60 question groups, 180 candidates, languages de, el, th"
    assert [line.split(":")[0].strip() for line in settings] == ["monolingual", "multilingual"]
    mean = result.macro("monolingual", "map")
    assert f"monolingual: map {mean:.3f}, ndcg@10 {result.macro('monolingual', 'ndcg@10'):.3f}" in settings[0]
    assert settings[-1].endswith(">")
    assert is_short(repr(result))
    assert is_short(repr(result.values["monolingual", "map"]))
    assert is_short(repr(stacked([("a", result), ("b", result)])[0]))
    assert is_short(repr(Run("hybrid", 0, result)))


def test_a_study(benchmark, tmp_path):
    result = evaluate(embed, benchmark)
    table = [[f"hybrid-{number}", *[".500 [.400, .600]"] * 4] for number in range(30)]
    printed = repr(Study([Run("base", None, result)] * 30, [], "# Report\n" * 500, table, tmp_path))
    assert printed.startswith(f"<Study in {tmp_path}: 30 runs\n")
    assert "hybrid-0 " in printed
    assert printed.endswith("... (30 regimes)>")
    assert is_short(printed)


def test_rows(rows):
    assert repr(rows).startswith("<Prepared: 180 rows, 60 groups, languages de, el, th, in ")
    assert is_short(repr(rows.table))


def test_many_languages_are_counted(tmp_path):
    from isoglot.languages.known_languages import listed

    codes = sorted(listed())[:40]
    given = [{"group": 1, "lang": code, "query": "?", "passage": f"{code}!"} for code in codes]
    printed = repr(prepare(given, tmp_path / "rows", show_progress=False))
    assert f"{', '.join(codes[:12])}, ... (40), in " in printed
    assert is_short(printed)


def test_mined_negatives(rows):
    found = mine(embed, rows, MineSettings(negatives=5))
    negatives, _, _ = found  # still a tuple
    assert len(negatives) == 180
    assert is_short(repr(found))


def test_vectors():
    found = encode(embed, ["a", "aa"] * 500, "query")
    assert repr(found).startswith("Encoded(vectors=<float32 1000x4>, texts=2, ")
    assert is_short(repr(found))
    correction = Debias("center", {("query", code): np.zeros(384, np.float32) for code in LANGUAGES}, "model")
    assert is_short(repr(correction))


def test_a_batch(rows):
    import torch

    batch = pair_batch([torch.ones(64, 384), torch.ones(64, 384)], torch.arange(64), 0.03)
    assert "queries=<float32 64x384>" in repr(batch)
    assert is_short(repr(batch))
    sampler = HybridBatchSampler(rows.table, Sampling(), 32, steps=1)
    assert is_short(repr(next(iter(sampler.batches()))))


def test_a_search(tmp_path):
    long = "Der Mond zieht das Meer an, und die Flut steigt. " * 40
    notes = [
        {"id": f"note-{code}", "lang": code, "text": f"{code}: {long}", "source": "x" * 300} for code in ("de", "el")
    ]
    built = build_index(notes, tmp_path / "index", embed, length=4000)
    assert is_short(repr(built))
    assert is_short(repr(built.problems))
    searcher = Searcher.open(tmp_path / "index", embed)
    assert repr(searcher) == "<Searcher: model function:embed, version 1 of the index>"
    hits = searcher.search("Mond")
    assert "id='note-de'" in repr(hits)
    assert is_short(repr(hits))
    assert is_short(repr(searcher.document("note-de")))


def test_documents():
    document = Document("one", "Ein Satz. " * 500, metadata={f"field{number}": "x" * 100 for number in range(50)})
    assert repr(document).startswith("Document(id='one', text='Ein Satz.")
    assert is_short(repr(document))
    assert is_short(repr(Section(1, "Titel", "", "Ein Satz. " * 500)))


def test_what_is_short_is_whole():
    assert repr(Section(2, "Berge", "b", "Der Ararat.")) == (
        "Section(level=2, title='Berge', ident='b', text='Der Ararat.')"
    )


def test_examples():
    assert doctest.testmod(module).failed == 0
