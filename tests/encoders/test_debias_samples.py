import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isoglot import load
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.files import write_json
from isoglot.data.prepared import prepare
from isoglot.encoders.debias import load_debias
from isoglot.encoders.debias_fits import center
from isoglot.encoders.debias_samples import from_rows, from_texts, from_vectors
from isoglot.encoders.encoding import encode
from isoglot.encoders.vector_files import write_shard
from support.encoders import wide_encoder


@pytest.fixture(scope="module")
def model():
    return load(str(wide_encoder()), device="cpu")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    records = [
        {"group": f"g{n}", "lang": lang, "query": f"{lang} query {n}?", "passage": f"{lang} passage {n}."}
        for n in range(12)
        for lang in ("de", "en", "zh")
        if (lang, n) != ("zh", 3)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def vectors_file(path, *, half=False, rows=10):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(rows, 4)).astype(np.float16 if half else np.float32)
    table = {
        "id": [str(n) for n in range(rows)],
        "lang": ["de", "en"] * (rows // 2),
        "role": ["query"] * 4 + ["passage"] * (rows - 4),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 4),
    }
    pq.write_table(pa.table(table), path)
    return path, vectors.astype(np.float32)


def test_rows_are_drawn_by_group_and_encoded_by_role(rows, model, tmp_path):
    prepared = prepare([rows], tmp_path / "p", show_progress=False)
    queries, passages = from_rows(model, prepared, limit=5)
    assert (queries.role, passages.role) == ("query", "passage")
    assert len(set(passages.groups)) == 5
    assert set(passages.langs) == {"de", "en", "zh"}
    again = from_rows(model, prepared, limit=5)[1]
    np.testing.assert_array_equal(passages.vectors, again.vectors)
    everything = from_rows(model, prepared)[1]
    np.testing.assert_allclose(everything.vectors, encode(model, prepared.passages(), "passage").vectors, atol=1e-6)


def test_plain_texts(model, tmp_path):
    (tmp_path / "de.txt").write_text("Eins\n\nZwei\nDrei\n", encoding="utf-8")
    (sample,) = from_texts(model, {"de": tmp_path / "de.txt"}, limit=2)
    assert sample.vectors.shape == (2, 32)
    assert list(sample.langs) == ["de", "de"]
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "folder.txt").mkdir()
    faults = {"bad": "not UTF-8", "empty": "holds no text", "none": "no such file", "folder": "Is a directory"}
    for name, words in faults.items():
        with pytest.raises(InputError, match=words):
            from_texts(model, {"de": tmp_path / f"{name}.txt"})


@pytest.mark.parametrize("half", [False, True])
def test_vectors_in_and_out(tmp_path, half, capsys):
    path, vectors = vectors_file(tmp_path / "v.parquet", half=half)
    samples = from_vectors(path)
    assert [(sample.role, len(sample.vectors)) for sample in samples] == [("query", 4), ("passage", 6)]
    fitted, out = tmp_path / "d.npz", tmp_path / "out.parquet"
    assert run(["debias", "fit", "--vectors", str(path), "-o", str(fitted)]) == 0
    assert run(["debias", "apply", str(path), "--debias", str(fitted), "-o", str(out)]) == 0
    assert "10 corrected vectors" in capsys.readouterr().out
    before, after = pq.read_table(path), pq.read_table(out)
    assert after.schema.equals(before.schema)
    got = np.array(after["vector"].to_pylist(), np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(samples[1].vectors, unit[4:], atol=1e-6)
    expected = center(samples).apply(unit[4:], ["de", "en"] * 3, "passage")
    np.testing.assert_allclose(got[4:], expected, atol=2e-3 if half else 1e-6)


@pytest.mark.parametrize("method", ["center", "csls"])
def test_the_length_of_vectors_does_not_matter(tmp_path, method):
    path, vectors = vectors_file(tmp_path / "v.parquet")
    table = pq.read_table(path)
    longer = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel() * 1e6), 4)
    pq.write_table(table.set_column(table.schema.get_field_index("vector"), "vector", longer), tmp_path / "w.parquet")
    found = []
    for name in ("v", "w"):
        fitted = tmp_path / f"{name}.npz"
        given = str(tmp_path / f"{name}.parquet")
        assert run(["debias", "fit", "--method", method, "--vectors", given, "-o", str(fitted)]) == 0
        assert run(["debias", "apply", given, "--debias", str(fitted), "-o", str(tmp_path / f"{name}.out")]) == 0
        found.append(np.array(pq.read_table(tmp_path / f"{name}.out")["vector"].to_pylist(), np.float32))
    np.testing.assert_allclose(*found, atol=1e-3)
    write_shard(tmp_path / "z.parquet", ["q"], ["de"], ["query"], np.zeros((1, 4)))
    with pytest.raises(InputError, match="all zero"):
        from_vectors(tmp_path / "z.parquet")


def test_a_folder_of_shards_is_read_whole(tmp_path, capsys):
    folder, fitted, out = tmp_path / "shards", tmp_path / "d.npz", tmp_path / "out.parquet"
    folder.mkdir()
    for number in range(2):
        write_shard(
            folder / f"shard-{number}.parquet",
            [f"{number}q", f"{number}p"],
            ["de", "en"],
            ["query", "passage"],
            np.eye(2, 4),
        )
    write_json(folder / "complete.json", {"shards": 2, "vectors": 4})
    assert run(["debias", "fit", "--vectors", str(folder), "-o", str(fitted)]) == 0
    assert run(["debias", "apply", str(folder), "--debias", str(fitted), "-o", str(out)]) == 0
    assert pq.read_table(out)["id"].to_pylist() == ["0q", "0p", "1q", "1p"]


def test_the_command_fits_and_evaluate_applies(rows, tmp_path, capsys):
    name = str(wide_encoder())
    for method in ("center", "lir", "shift"):
        out = tmp_path / f"{method}.npz"
        assert (
            run(["debias", "fit", "--method", method, "--rows", str(rows), "--model", name, "-o", str(out), "--json"])
            == 0
        )
        told = json.loads(capsys.readouterr().out)
        assert told["method"] == method
        assert told["dimension"] == 32
        assert load_debias(out).model == name
    common = ["evaluate", "--benchmark", "rows", "--rows", str(rows), "--model", name, "--json"]
    assert run([*common, "-o", str(tmp_path / "a")]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert run([*common, "-o", str(tmp_path / "b"), "--debias", str(tmp_path / "center.npz")]) == 0
    corrected = json.loads(capsys.readouterr().out)
    assert corrected["multilingual"]["rank_distance"] != plain["multilingual"]["rank_distance"]


def test_bad_input(rows, tmp_path, capsys):
    path, _ = vectors_file(tmp_path / "v.parquet")
    out = str(tmp_path / "o.npz")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "odd.parquet")
    (tmp_path / "text.parquet").write_text("x", encoding="utf-8")
    for arguments, words in (
        (["debias", "fit", "-o", out], "one of --rows, --texts and --vectors"),
        (["debias", "fit", "--vectors", str(path), "--rows", str(rows), "-o", out], "one of"),
        (["debias", "fit", "--vectors", str(path), "--method", "shift", "-o", out], "fit it on parallel rows"),
        (["debias", "fit", "--texts", "de", "-o", out], "LANG=FILE"),
        (["debias", "fit", "--rows", str(rows), "--limit", "0", "-o", out], "--limit 0"),
        (["debias", "fit", "--vectors", str(tmp_path / "none"), "-o", out], "no such file"),
        (["debias", "fit", "--vectors", str(tmp_path / "odd.parquet"), "-o", out], "no column vector"),
        (["debias", "fit", "--vectors", str(tmp_path / "text.parquet"), "-o", out], "not a readable Parquet"),
        (["debias", "apply", str(path), "--debias", str(tmp_path / "none.npz"), "-o", out], "no such file"),
        (["debias", "fit", "--vectors", str(path), "-o", str(path)], "--overwrite"),
        (["debias", "fit", "--texts", "german=a.txt", "-o", out], "'german' is not a language code"),
        (["debias", "fit", "--texts", "de=a.txt,DE=b.txt", "-o", out], "de is given twice"),
        (["debias", "fit", "--texts", "de=a.txt", "--method", "csls", "-o", out], "only for center and lir"),
        (["debias", "fit", "--vectors", str(path), "--strength", ".5", "-o", out], "leave it out with center"),
        (["debias", "fit", "--rows", str(rows), "--method", "shift", "--strength", "inf", "-o", out], "0 to 1"),
        (["debias", "fit", "--vectors", str(path), "--neighbours", "0", "-o", out], "--neighbours 0"),
        (["debias", "fit", "--rows", str(rows), "--seed", "-1", "-o", out], "--seed -1"),
    ):
        assert run(arguments) == 2
        assert words in capsys.readouterr().err
