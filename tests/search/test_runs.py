import gzip
import json

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.runs import read_queries, search_to_run
from isoglot.search.searcher import Searcher

WORDS = ("ararat", "sevan", "kura", "rhine")


def vectors(texts, role="passage"):
    """How often each word is in a text, and a constant, as unit vectors; so that many cosines are equal."""
    counts = np.array([[text.split().count(word) for word in WORDS] + [0.5] for text in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def searcher(texts, langs=("en", "de")):
    passages = [Passage(f"p{n}", f"p{n}", text, langs[n % len(langs)]) for n, text in enumerate(texts)]
    return Searcher(MemoryIndex(passages, vectors(texts)), vectors, model_name="words")


def lines(path):
    return [line.split(" ") for line in path.read_text().splitlines()]


@given(
    texts=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join), min_size=1, max_size=20),
    asked=st.lists(st.sampled_from([*WORDS, "nowhere"]), min_size=1, max_size=5),
    mode=st.sampled_from(["dense", "lexical", "hybrid"]),
    fair=st.sampled_from(["none", "balanced"]),
    batch=st.integers(1, 3),
)
def test_sorting_a_run_by_score_gives_the_order_of_the_search(tmp_path_factory, texts, asked, mode, fair, batch):
    index = searcher(texts, langs=("en",) if len(texts) == 1 else ("en", "de"))
    queries = {f"q{n}": text for n, text in enumerate(asked)}
    out = tmp_path_factory.mktemp("run") / "out.trec"
    written = search_to_run(index, queries, out, k=7, batch=batch, mode=mode, fair=fair, name="my run")
    found = {id: [hit.id for hit in index.search(text, k=7, mode=mode, fair=fair)] for id, text in queries.items()}
    assert written == (len(queries), sum(map(len, found.values())), tuple(id for id in found if not found[id]))
    for id, ids in found.items():
        mine = [line for line in lines(out) if line[0] == id]
        assert [int(line[3]) for line in mine] == list(range(1, len(ids) + 1))
        assert {(line[1], line[5]) for line in mine} <= {("Q0", "my_run")}
        scores = [np.float32(line[4]) for line in mine]
        assert len(set(scores)) == len(scores)
        assert [line[2] for line in sorted(mine, key=lambda line: -np.float32(line[4]))] == ids


def test_trec_eval_agrees_with_values_by_hand(tmp_path):
    index = searcher(["ararat", "sevan", "ararat sevan", "rhine"])
    out = tmp_path / "out.trec"
    search_to_run(index, {"a": "ararat", "s": "sevan"}, out)
    # "ararat": p0 is the very vector, p2 shares the word; "sevan": p1, then p2.
    qrels = [ir_measures.Qrel("a", "p0", 1), ir_measures.Qrel("s", "p2", 1)]
    found = list(ir_measures.read_trec_run(str(out)))
    assert ir_measures.calc_aggregate([ir_measures.RR], qrels, found) == {
        ir_measures.RR: pytest.approx((1 + 1 / 2) / 2)
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "1\tkura\n2\tGroßer Ararat\n"),
        ("t.tsv", "qid\tquery\n1\tkura\n2\tGroßer Ararat\n"),
        ("t.tsv", "\ufeff1\tkura\r\n2\tGroßer Ararat\r\n"),
        ("queries.jsonl", '{"_id": "1", "text": "kura", "metadata": {}}\n{"_id": 2, "text": "Großer Ararat"}\n'),
        ("t.csv", "id,query\n1,kura\n2,Großer Ararat\n"),
        ("t.tsv.gz", "1\tkura\n2\tGroßer Ararat\n"),
    ],
)
def test_files_of_queries(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert list(read_queries(path).items()) == [("1", "kura"), ("2", "Großer Ararat")]


def test_all_problems_of_a_file_of_queries_are_named(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("1\tkura\n1\tagain\na b\tspace\n3\t \n4\t" + "x" * 8193 + "\n5\n")
    with pytest.raises(InputError) as caught:
        read_queries(path)
    message = str(caught.value)
    for line, what in ((2, "twice"), (3, "white space"), (4, "0 characters"), (5, "8193"), (6, "1 tab-separated")):
        assert any(f"{path}:{line}" in shown and what in shown for shown in message.splitlines()), (line, message)
    broken = tmp_path / "t.jsonl"
    broken.write_text('{"_id": "1", "text": "kura"}\n{"_id": "2"}\n[1]\n{"_id": "3", "te\n')
    with pytest.raises(InputError, match="3 problems"):
        read_queries(broken)
    broken.write_text("\n")
    with pytest.raises(InputError, match="no queries"):
        read_queries(broken)


def test_a_run_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "out.trec"
    passages = [Passage("my file", "my file", "ararat", "en")]
    index = Searcher(MemoryIndex(passages, vectors(["ararat"])), vectors, model_name="words")
    with pytest.raises(InputError, match="'my file' holds white space"):
        search_to_run(index, {"1": "ararat"}, out)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_a_run(tmp_path, capsys):
    def call(*argv):
        code = run([str(part) for part in argv])
        return code, *capsys.readouterr()

    (tmp_path / "docs.jsonl").write_text(
        "".join(json.dumps({"id": f"d{n}", "text": text, "lang": "en"}) + "\n" for n, text in enumerate(WORDS))
    )
    index, topics, out = tmp_path / "index", tmp_path / "topics.tsv", tmp_path / "out.trec"
    topics.write_text("a\tararat\nb\tnowhere\n")
    assert call("index", tmp_path / "docs.jsonl", "--output-dir", index)[0] == 0
    how = ("search", index, "--queries", topics, "--run", out, "--mode", "lexical")
    code, printed, _ = call(*how, "--json")
    assert code == 0
    assert json.loads(printed) == {"run": str(out), "queries": 2, "lines": 1, "empty": ["b"]}
    assert [line[:4] for line in lines(out)] == [["a", "Q0", "d0", "1"]]
    code, _, said = call(*how)
    assert code == 2
    assert "--overwrite" in said
    code, printed, said = call(*how, "--overwrite")
    assert code == 0
    assert "1 lines for 2 queries" in printed
    assert "'b'" in said
    for wrong in ((index,), (index, "ararat", "--queries", topics, "--run", out), (index, "--queries", topics)):
        code, _, said = call("search", *wrong)
        assert code == 2
        assert "--queries" in said
