import json
import os
import shutil
import signal
import threading
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import write_json
from isoglot.data.benchmarks.benchmark import assemble
from isoglot.encoders import vector_files as module
from isoglot.encoders.to_disk import Entry, encode_shards, entries_of
from isoglot.encoders.vector_files import COMPLETE, gather, read_shards, write_shard
from support.dying import die
from support.rows import parallel_rows, write_jsonl
from support.warm import warm_context

IDS = [f"q{n}" for n in range(3)], [f"p{n}" for n in range(5)]


def some(rng=0):
    rng = np.random.default_rng(rng)
    return rng.standard_normal((3, 4)).astype(np.float32), rng.standard_normal((5, 4)).astype(np.float32)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_all(place, queries, passages, kind="float32"):
    ids, roles = [*IDS[0], *IDS[1]], ["query"] * 3 + ["passage"] * 5
    write_shard(place, ids, ["de"] * 8, roles, np.concatenate((queries, passages)).astype(kind))


@pytest.mark.parametrize(("kind", "error"), [("float32", 1e-6), ("float16", 2e-3)])
def test_parquet_in_any_order(tmp_path, kind, error):
    queries, passages = some()
    write_all(tmp_path / "v.parquet", queries, passages, kind)
    assert pq.read_schema(tmp_path / "v.parquet").names == ["id", "lang", "role", "vector"]
    q, p = gather(tmp_path / "v.parquet", IDS[0][::-1], IDS[1][1:])
    assert q.dtype == p.dtype == np.float32
    np.testing.assert_allclose(q, unit(queries)[::-1], atol=error)
    np.testing.assert_allclose(p, unit(passages)[1:], atol=error)


def test_numpy_with_ids(tmp_path):
    queries, passages = some()
    for name, vectors, ids in (("queries", queries, IDS[0]), ("passages", passages, IDS[1])):
        np.save(tmp_path / f"{name}.npy", vectors)
        (tmp_path / f"{name}.ids").write_text("\n".join(ids) + "\n")
    q, p = gather(tmp_path, *IDS)
    np.testing.assert_allclose(q, unit(queries), atol=1e-6)
    np.testing.assert_allclose(p, unit(passages), atol=1e-6)
    # one file for both, told apart by their ids
    np.save(tmp_path / "all.npy", np.concatenate((queries, passages)))
    (tmp_path / "all.ids").write_text("\n".join(IDS[0] + IDS[1]))
    np.testing.assert_array_equal(gather(tmp_path / "all.npy", *IDS)[1], p)
    with pytest.raises(InputError, match="a query's and a passage's id"):
        gather(tmp_path / "all.npy", IDS[0], [*IDS[1], "q1"])
    (tmp_path / "all.ids").write_text("one\n")
    with pytest.raises(InputError, match="1 ids for 8 vectors"):
        gather(tmp_path / "all.npy", *IDS)
    (tmp_path / "all.ids").unlink()
    with pytest.raises(InputError, match=r"give the ids of all\.npy"):
        gather(tmp_path / "all.npy", *IDS)
    np.save(tmp_path / "all.npy", np.zeros(3))
    with pytest.raises(InputError, match="expected floats"):
        gather(tmp_path / "all.npy", *IDS)


def test_vectors_of_lists_and_without_roles_are_read(tmp_path):
    queries, passages = some()
    rows = [{"id": key, "vector": v.tolist()} for key, v in zip(IDS[0] + IDS[1], [*queries, *passages], strict=True)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "v.parquet")
    np.testing.assert_allclose(gather(tmp_path, *IDS)[0], unit(queries), atol=1e-6)
    rows[2]["vector"] = [1.0]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "v.parquet")
    with pytest.raises(InputError, match="several dimensions"):
        gather(tmp_path, *IDS)


def test_large_files_are_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART", 3)
    queries, passages = some()
    write_all(tmp_path / "v.parquet", queries, passages)
    assert [len(part.ids) for part in read_shards(tmp_path / "v.parquet")] == [3, 3, 2]
    np.save(tmp_path / "all.npy", np.concatenate((queries, passages)))
    (tmp_path / "all.ids").write_text("\n".join(IDS[0] + IDS[1]), encoding="utf-8")
    for place in ("v.parquet", "all.npy"):
        q, p = gather(tmp_path / place, *IDS)
        np.testing.assert_array_equal(q, unit(queries))
        np.testing.assert_array_equal(p, unit(passages))


def test_files_without_a_role_are_passed_over(tmp_path):
    queries, passages = some()
    write_shard(tmp_path / "a.parquet", IDS[0], ["de"] * 3, ["query"] * 3, queries)
    write_shard(tmp_path / "b.parquet", IDS[1], ["de"] * 5, ["passage"] * 5, passages)
    write_all(tmp_path / "c.parquet", queries, passages)
    assert [shard.path.name for shard in read_shards(tmp_path, role="query")] == ["a.parquet", "c.parquet"]
    assert [shard.path.name for shard in read_shards(tmp_path, role="passage")] == ["b.parquet", "c.parquet"]


def test_what_is_wrong_is_named(tmp_path):
    queries, passages = some()
    place = tmp_path / "v.parquet"
    write_all(place, queries, passages)
    with pytest.raises(InputError, match=r"no vector for 1 of 4 query ids \('other'\)"):
        gather(place, [*IDS[0], "other"], IDS[1])
    with pytest.raises(InputError, match="no vector for 1 of 6 passage ids"):
        gather(place, IDS[0], [*IDS[1], "q0"])
    write_all(tmp_path / "w.parquet", queries, passages)
    with pytest.raises(InputError, match="query id 'q0' is given twice"):
        gather(tmp_path, *IDS)
    write_shard(tmp_path / "w.parquet", ["x"], ["de"], ["query"], np.ones((1, 3), np.float32))
    with pytest.raises(InputError, match="3 dimensions after others of 4"):
        gather(tmp_path, *IDS)
    for value in (np.nan, 0, 1e38):
        passages[2] = value
        write_all(place, queries, passages)
        with pytest.raises(InputError, match="'p2' holds NaN"):
            gather(place, *IDS)
    write_shard(place, ["x"], ["de"], ["document"], np.ones((1, 3), np.float32))
    with pytest.raises(InputError, match="role 'document'"):
        gather(place, *IDS)
    pq.write_table(pa.table({"id": ["a"]}), place)
    with pytest.raises(InputError, match="no column vector"):
        gather(place, *IDS)
    pq.write_table(pa.table({"id": ["a"], "vector": ["[1, 2]"]}), place)
    with pytest.raises(InputError, match="column vector is string; expected lists of float"):
        gather(place, *IDS)
    pq.write_table(pa.table({"id": ["a"], "vector": pa.array([[]], pa.list_(pa.float32()))}), place)
    with pytest.raises(InputError, match="empty vectors"):
        gather(place, *IDS)
    pq.write_table(pq.read_table(place).slice(0, 0), place)
    with pytest.raises(InputError, match="holds no vectors"):
        gather(place, *IDS)
    np.save(tmp_path / "all.npy", queries)
    (tmp_path / "all.ids").write_bytes(b"a\nb\n\xff\n")
    with pytest.raises(InputError, match=r"all\.ids: not UTF-8"):
        gather(tmp_path / "all.npy", *IDS)
    place.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="not a readable Parquet"):
        gather(place, *IDS)
    with pytest.raises(InputError, match="no such file or folder"):
        gather(tmp_path / "nowhere", *IDS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no \.parquet"):
        gather(tmp_path / "empty", *IDS)


def fake_vectors(texts, role):
    """Deterministic vectors of texts."""
    rows = [[len(text), sum(map(ord, text)) % 97, len(role), 1] for text in texts]
    return np.array(rows, np.float32)


def open_fake():
    return fake_vectors


def entries(number=20):
    for n in range(number):
        yield Entry(f"q{n}", "de", "query", f"question {n}")
    for n in range(2 * number):
        yield Entry(f"p{n}", "de" if n < number else "en", "passage", f"passage {n // 2}")


def stored(folder):
    found = {}
    for shard in read_shards(folder):
        for key, role, vector in zip(shard.ids, shard.roles, shard.vectors, strict=True):
            assert (role, key) not in found
            found[role, key] = vector
    return found


def test_shards_hold_every_text_in_one_role_each(tmp_path):
    calls = []

    def embed(texts, role):
        calls.append((role, texts))
        return fake_vectors(texts, role)

    done = encode_shards(entries(), tmp_path, lambda: embed, {"m": 1}, size=7)
    # queries: 7 7 6; passages: 40 in pairs of equal texts that no shard parts: 8 8 8 8 8, each asked for once
    assert [len(texts) for _, texts in calls] == [7, 7, 6, 4, 4, 4, 4, 4]
    assert done == 8
    found = stored(tmp_path)
    assert len(found) == 60
    for role, key, text in (("query", "q3", "question 3"), ("passage", "p39", "passage 19")):
        expected = fake_vectors([text], role)[0]
        np.testing.assert_array_equal(found[role, key], (expected / np.linalg.norm(expected)).astype(np.float16))
    assert encode_shards(entries(), tmp_path, pytest.fail, {"m": 1}, size=7) == 0
    with pytest.raises(InputError, match="other settings"):
        encode_shards(entries(), tmp_path, pytest.fail, {"m": 2}, size=7)
    with pytest.raises(InputError, match="other texts"):
        encode_shards(entries(19), tmp_path, pytest.fail, {"m": 1}, size=7)


def test_shards_are_not_completed_with_other_weights_under_the_same_name(tmp_path, tiny_model, capsys):
    model, vectors = tmp_path / "model", tmp_path / "vectors"
    shutil.copytree(tiny_model, model)
    write_jsonl(tmp_path / "rows.jsonl", parallel_rows(8))
    command = ["encode", "--model", str(model), "--benchmark", str(tmp_path / "rows.jsonl"), "-o", str(vectors)]
    assert run([*command, "--shard-size", "20", "--device", "cpu"]) == 0
    (vectors / "complete.json").unlink()
    sorted(vectors.glob("shard-*"))[-1].unlink()
    weights = model / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert run([*command, "--shard-size", "20", "--device", "cpu", "--resume"]) == 2
    assert "made with other settings: weights (checksum " in capsys.readouterr().err
    weights.write_bytes(before)
    record = vectors / "encode.json"
    begun = json.loads(record.read_text())
    record.write_text(json.dumps({key: value for key, value in begun.items() if key != "weights"}))  # by 0.1
    assert run([*command, "--shard-size", "20", "--device", "cpu", "--resume"]) == 0
    assert json.loads(record.read_text()) == begun


def test_equal_texts_of_a_benchmark_share_a_shard():
    queries = [("de:q", "de", "g", "?"), ("en:q", "en", "g", "?")]
    passages = [(f"{lang}:{n}", lang, f"text {n % 3}") for lang in ("de", "en") for n in range(6)]
    benchmark = assemble("b", queries, passages, {"g": ["de:0"]})
    found = list(entries_of(benchmark))
    assert [entry.text for entry in found if entry.role == "passage"] == [f"text {n // 4}" for n in range(12)]
    assert sorted(entry.id for entry in found) == sorted([*benchmark.queries.ids, *benchmark.candidates.ids])


def test_several_processes_write_the_same(tmp_path, warm_processes):
    for name, processes in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        encode_shards(entries(4), tmp_path / name, open_fake, {}, size=3, processes=processes)
    one, two = stored(tmp_path / "one"), stored(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[key], two[key]) for key in one)


def open_mortal():
    """An encoder whose process is killed in its third call."""
    calls = []

    def embed(texts, role):
        calls.append(role)
        if len(calls) == 3:
            die()
        return fake_vectors(texts, role)

    return embed


def test_after_kill_9_only_what_is_missing_is_encoded(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    run = partial(encode_shards, size=7)
    child = warm_context().Process(target=run, args=(list(entries()), folder, open_mortal, {"m": 1}))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert len(list(folder.glob("shard-*.parquet"))) == 2
    assert not (folder / COMPLETE).exists()
    with pytest.raises(InputError, match="did not finish"):
        gather(folder, ["q0"], ["p0"])
    (folder / ".shard-000002.parquet.abcdefgh.tmp").write_bytes(b"half")
    assert run(entries(), folder, open_fake, {"m": 1}) == 6
    assert not list(folder.glob(".*"))
    assert len(stored(folder)) == 60
    (folder / "shard-000003.parquet").unlink()
    with pytest.raises(InputError, match="7 shards, but 8 were written"):
        gather(folder, ["q0"], ["p0"])


LIVING = []


def open_noted(said):
    """An encoder that says its process id into a pipe, which stays open as long as the process, and never answers."""
    LIVING.append(said.open("w"))
    print(os.getpid(), file=LIVING[0], flush=True)
    return lambda texts, role: threading.Event().wait()


def started(opener, folder):
    """A process that encodes with two workers, and the pipe into which their encoders say their process ids."""
    out, said = folder / "out", folder / "said"
    out.mkdir()
    os.mkfifo(said)
    child = warm_context().Process(
        target=encode_shards,
        args=(list(entries(60)), out, partial(opener, said), {}),
        kwargs={"size": 7, "processes": 2},
    )
    child.start()
    return child, said


def test_workers_leave_with_a_killed_parent(tmp_path):
    child, said = started(open_noted, tmp_path)
    with said.open() as pipe:
        workers = {int(pipe.readline()) for _ in range(2)}
        assert len(workers - {child.pid}) == 2
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        # The pipe ends with the last process that holds it; where one stayed, this would wait for ever.
        assert pipe.read() == ""


def open_deaf(said):
    """The same, in a process that hears no Ctrl-C, as one does not that waits for a disk or a device."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return open_noted(said)


@pytest.mark.timeout(120)
def test_an_interrupt_does_not_wait_for_workers_that_hang(tmp_path):
    child, said = started(open_deaf, tmp_path)
    with said.open() as pipe:
        for _ in range(2):
            pipe.readline()
        os.kill(child.pid, signal.SIGINT)
        assert pipe.read() == ""  # the last worker is gone
        child.join()
    assert child.exitcode == 1  # KeyboardInterrupt


def test_broken_shards_and_encoders_are_reported(tmp_path):
    with pytest.raises(IsoglotError, match="NaN"):
        encode_shards(entries(), tmp_path, lambda: lambda texts, role: np.full((len(texts), 2), np.nan), {})
    (tmp_path / "shard-000000.parquet").write_bytes(b"half")
    with pytest.raises(InputError, match="not a readable shard"):
        encode_shards(entries(), tmp_path, open_fake, {})
    write_json(tmp_path / COMPLETE, {})
    with pytest.raises(InputError, match=r"complete\.json: does not give the number of shards"):
        gather(tmp_path, ["q0"], ["p0"])
    write_json(tmp_path / COMPLETE, {"shards": 1, "vectors": 1})
    with pytest.raises(InputError, match="not a readable Parquet"):
        gather(tmp_path, ["q0"], ["p0"])
