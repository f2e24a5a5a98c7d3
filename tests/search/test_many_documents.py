"""What is known of each document goes to disk where there are many: the index is the same, and memory does not grow."""

import gc
import tracemalloc
from dataclasses import asdict

import pytest

from isoglot import build_index
from isoglot.core import files as files_module
from isoglot.core import hash_runs, large_dict, large_list
from isoglot.core.errors import InputError
from isoglot.search.index import publishing, shards
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.lance_tables import connect
from isoglot.search.index.manifest import read_manifest
from support.rows import write_jsonl as write
from support.serving import embed


def everything(folder):
    """Passages in their order with their vectors, folded documents, samples, and the manifest without its times."""
    index, manifest = LanceIndex(folder), asdict(read_manifest(folder))
    for version in manifest["versions"]:
        del version["created"]
    manifest["roots"] = [root[1] for root in manifest["roots"]]
    folded = connect(folder).open_table("folded").to_arrow().to_pylist()
    samples = {lang: index.sample(lang).tolist() for lang in index.languages()}
    return [(passages, vectors.tolist()) for passages, vectors in index.batches()], folded, samples, manifest


def told(built):
    """What a build says, without its times and places."""
    facts = {name: getattr(built, name) for name in ("added", "replaced", "deleted", "unchanged", "folded", "unknown")}
    return facts, built.shards, built.kept, [said.split("/")[-1] for said in built.problems.shown]


def rows(numbers, said="Text"):
    """Records of which every third says what another one says."""
    return [
        {"id": f"d{n}", "text": f"{said} Nummer {n if n % 3 else n // 2}", "lang": "en" if n % 5 else "de", "year": n}
        for n in numbers
    ]


def history(home, monkeypatch):
    """An index that is made, interrupted and gone on with, updated, and brought to a folder; what was said, and is."""
    home.mkdir()
    seen, folder = [], home / "i"

    def stop(*_, **__):
        raise KeyboardInterrupt

    twice = [*rows(range(90)), *rows(range(3)), {"id": "d4", "text": "Ein anderer"}]
    files = [write(home / "a.jsonl", twice), write(home / "b.jsonl", rows(range(100, 140)))]
    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.building.publish", stop)
        with pytest.raises(KeyboardInterrupt):
            build_index(files, folder, embed)
    seen.append((told(build_index(files, folder, embed, resume=True)), everything(folder)))
    with pytest.raises(InputError) as refused:
        build_index([write(home / "c.jsonl", rows(range(20, 60), "Neu"))], folder, embed, update=True)
    seen.append(str(refused.value).replace(str(home), ""))
    how = {"update": True, "by_id": True, "delete": [f"d{n}" for n in range(0, 50, 4)] + ["none"]}
    seen.append((told(build_index([home / "c.jsonl"], folder, embed, **how)), everything(folder)))
    docs = home / "docs"
    docs.mkdir()
    for n in range(30):
        (docs / f"{n}.txt").write_text(f"Text Nummer {n % 7}", encoding="utf-8")
    write(docs / "rows.jsonl", rows(range(200, 230)))
    seen.append((told(build_index([docs], folder, embed, sync=True)), everything(folder)))
    for n in range(0, 30, 2):
        (docs / f"{n}.txt").unlink()
    write(docs / "rows.jsonl", rows(range(205, 240, 2)))
    (docs / "other.txt").write_text("Text Nummer 0", encoding="utf-8")
    seen.append((told(build_index([docs], folder, embed, sync=True, most_deleted=0.9)), everything(folder)))
    return seen


def test_on_disk_the_index_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "CHUNK", 16)
    in_memory = history(tmp_path / "memory", monkeypatch)
    (first, _), refusal, (update, _), *_ = in_memory
    different = len({(row["lang"], row["text"]) for row in [*rows(range(90)), *rows(range(100, 140))]})
    assert (first[0]["added"], first[0]["folded"], first[2]) == (130, 130 - different, -(-different // 16))
    assert first[3][0] == "a.jsonl:91: the id 'd0' was there before; the first one is kept"
    assert "c.jsonl:1: the id 'd20' is that of another text in the index, of another file" in refusal
    assert (update[0]["replaced"], update[0]["unknown"]) == (32, ("none",))
    monkeypatch.setattr(large_dict, "MOST", 4)
    monkeypatch.setattr(large_list, "BYTES", 500)
    for one, other in zip(history(tmp_path / "disk", monkeypatch), in_memory, strict=True):
        assert one == other


class Planned:
    """An executor that has every shard planned and none encoded, and notes the most memory that Python took."""

    workers = threads = 1

    def run(self, opener, tasks):
        gc.collect()
        tracemalloc.start()
        try:
            self.documents = sum(len(shard.documents) for shard in tasks)
            self.peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        raise KeyboardInterrupt
        yield


def planned(home, number, **how):
    home.mkdir(exist_ok=True)
    docs = ({"id": f"document {n}", "text": f"Text {n if n % 4 else n // 2}"} for n in range(number))
    planned = Planned()
    with pytest.raises(KeyboardInterrupt):
        build_index(docs, home / f"i{number}", embed, executor=planned, **how)
    return planned


def test_memory_does_not_grow_with_the_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(large_dict, "MOST", 500)
    monkeypatch.setattr(large_list, "BYTES", 50_000)
    monkeypatch.setattr(hash_runs, "MERGED", 500)
    monkeypatch.setattr(shards, "CHUNK", 100)
    fewer, more = planned(tmp_path, 4000), planned(tmp_path, 24_000)
    assert more.documents - fewer.documents > 15_000
    assert more.peak - fewer.peak < 10 * 20_000  # bytes: the plan itself takes two a document with shards so small


def test_in_memory_it_would_grow(tmp_path):
    fewer, more = planned(tmp_path, 4000), planned(tmp_path, 24_000)
    assert more.peak - fewer.peak > 150 * 20_000


def test_a_publication_flushes_what_was_written_since_the_last_one(tmp_path, monkeypatch):
    folder, flushed = tmp_path / "i", []

    def noting(files):
        flushed.append([path for path in files if path.is_file()])
        files_module.put_on_disk(flushed[-1])

    def stop(*_, **__):
        raise KeyboardInterrupt

    def files():
        return {path for path in (folder / "lance").rglob("*") if path.is_file()}

    monkeypatch.setattr(publishing, "put_on_disk", noting)
    build_index(rows(range(90)), folder, embed)
    first = {path for path in files() if path.suffix == ".lance"}
    assert files() == set(flushed[0])
    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.building.publish", stop)
        with pytest.raises(KeyboardInterrupt):
            build_index(rows(range(200, 240)), folder, embed, update=True)
    stored = files() - first
    build_index(rows(range(200, 240)), folder, embed, update=True)
    later = set().union(*flushed[1:])
    assert first
    assert not first & later
    assert stored <= set(flushed[0]) | later  # also what the interrupted update had stored
    assert files() <= set(flushed[0]) | later


def test_many_documents_are_deleted_in_few_commits(tmp_path):
    folder = tmp_path / "i"
    build_index([{"id": f"d{n}", "text": f"Nummer {n}", "lang": "de"} for n in range(3000)], folder, embed)
    table = connect(folder).open_table("passages")
    before = table.version
    built = build_index([], folder, embed, update=True, delete=[f"d{n}" for n in range(0, 3000, 2)])
    assert (built.deleted, built.version.passages) == (1500, 1500)
    table.checkout(before + 1)
    assert table.count_rows() == 1500
