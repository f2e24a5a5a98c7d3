"""Passages that are near to every question are found less often, by as much as the formula says."""

import json

import numpy as np
import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.encoders.debias import Sample, load_debias
from isoglot.encoders.debias_fits import center, csls, fit
from isoglot.encoders.hubness import LEAST, MOST, hubs
from isoglot.encoders.vector_files import write_shard


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def drawn(seed, count, dimension=12):
    return unit(np.random.default_rng(seed).standard_normal((count, dimension)) + 0.4)


@pytest.fixture
def samples():
    langs = ["de"] * 30 + ["en"] * 25
    return [Sample(drawn(0, 55), langs, "query"), Sample(drawn(1, 55), langs, "passage")]


def nearness(passage, samples, neighbours):
    """Worked one passage at a time."""
    queries, langs = samples[0].vectors.astype(np.float16).astype(np.float64), np.array(samples[0].langs)
    cosines = {lang: sorted(queries[langs == lang] @ passage.astype(np.float64)) for lang in ("de", "en")}
    return sum(sum(own[-neighbours:]) / neighbours for own in cosines.values()) / 2


def test_cosines_are_those_of_the_formula(samples, monkeypatch):
    monkeypatch.setattr("isoglot.encoders.hubness._BLOCK", 4)  # three blocks of passages
    fitted = csls(samples, neighbours=3, strength=0.6)
    questions, passages = drawn(2, 7), drawn(3, 9)
    assert (fitted.dimension, fitted.width, fitted.languages) == (12, 14, ("de", "en"))
    wide = fitted.apply(questions, ["fr"] * 7, "query"), fitted.apply(passages, ["en"] * 9, "passage")
    for rows in wide:
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    usual = np.mean([nearness(passage, samples, 3) for passage in samples[1].vectors])
    taken = np.array([0.6 * (nearness(passage, samples, 3) - usual) for passage in passages])
    assert 0.005 < abs(taken).max() < 0.125
    scale = np.sqrt(1.25 * 1.0625)
    np.testing.assert_allclose(wide[0] @ wide[1].T, (questions @ passages.T - taken) / scale, atol=1e-5)


def test_a_hub_no_longer_wins():
    # The first passage is near to all questions; each other one answers one of them, and says something else besides.
    axes = np.eye(8, dtype=np.float32)
    questions = unit(axes[:4] + 0.42 * axes[:4].sum(axis=0))
    passages = unit(np.concatenate([axes[:4].sum(axis=0, keepdims=True), axes[:4] + 0.7 * axes[4:]]))
    plain = (questions @ passages.T).argmax(axis=1)
    fitted = csls([Sample(questions, ["de"] * 4, "query"), Sample(passages[1:], ["de"] * 4, "passage")], strength=1.0)
    corrected = fitted.apply(questions, ["de"] * 4, "query") @ fitted.apply(passages, ["de"] * 5, "passage").T
    assert plain.tolist() == [0, 0, 0, 0]
    assert corrected.argmax(axis=1).tolist() == [1, 2, 3, 4]


def test_what_is_taken_has_a_limit():
    questions = np.tile(np.float32([[1, 0]]), (5, 1))
    fitted = csls([Sample(questions, ["de"] * 5, "query")], strength=1.0)  # all as near as can be: usual is 1
    passages = np.float32([[1, 0], [-1, 0]])
    found = fitted.apply(questions[:1], ["de"], "query") @ fitted.apply(passages, ["de", "de"], "passage").T
    np.testing.assert_allclose(found[0], np.float32([1, -1 + 0.125]) / np.sqrt(1.25 * 1.0625), atol=1e-6)


def test_centred_first_and_then_measured_in_the_centred_space(samples):
    both, first = fit("center+csls", samples, neighbours=4), center(samples)
    moved = [one._replace(vectors=first.apply(one.vectors, one.langs, one.role)) for one in samples]
    after = fit("csls", moved, neighbours=4)
    new, langs = drawn(5, 6), ["en"] * 3 + ["de"] * 3
    for role in ("query", "passage"):
        expected = after.apply(first.apply(new, langs, role), langs, role)
        np.testing.assert_allclose(both.apply(new, langs, role), expected, atol=1e-6)
    assert both.settings == {"neighbours": 4, "strength": 0.5}


@pytest.mark.parametrize("method", ["csls", "center+csls"])
def test_saved_and_loaded(samples, tmp_path, method):
    fitted = fit(method, samples, model="m")
    fitted.save(tmp_path / "d.npz")
    again = load_debias(tmp_path / "d.npz")
    assert (again.method, again.model, again.settings, again.fitted) == (method, "m", fitted.settings, fitted.fitted)
    for role in ("query", "passage"):
        np.testing.assert_array_equal(
            again.apply(drawn(6, 4), ["de"] * 4, role), fitted.apply(drawn(6, 4), ["de"] * 4, role)
        )


def test_what_is_kept_for_queries_alone_is_small_and_takes_no_passages(samples, tmp_path):
    fitted = fit("center+csls", samples)
    fitted.for_queries().save(tmp_path / "q.npz")
    again = load_debias(tmp_path / "q.npz")
    assert (again.dimension, again.width, again.languages) == (12, 14, ("de", "en"))
    asked = ["de"] * 4
    np.testing.assert_array_equal(again.apply(drawn(6, 4), asked, "query"), fitted.apply(drawn(6, 4), asked, "query"))
    with pytest.raises(InputError, match="for queries only"):
        again.apply(drawn(6, 4), asked, "passage")
    assert center(samples).for_queries().parts.keys() == center(samples).parts.keys()


def test_questions_are_kept_evenly():
    many = {lang: drawn(number, 1000) for number, lang in enumerate(["ar", "de", "en", "zh"])}
    kept = hubs(many, None).bank
    assert [len(rows) for rows in kept.values()] == [MOST // 4] * 4
    np.testing.assert_array_equal(kept["de"][[0, -1]], many["de"][[0, -1]].astype(np.float16))
    few = hubs({f"l{number}": drawn(number, 40) for number in range(100)}, None).bank
    assert {len(rows) for rows in few.values()} == {LEAST}


def test_what_cannot_be_fitted_says_why(samples):
    with pytest.raises(InputError, match="questions of known languages, but there are none"):
        csls(samples[1:])
    with pytest.raises(InputError, match="neighbours 0"):
        csls(samples, neighbours=0)
    with pytest.raises(InputError, match=r"strength 1\.5: expected 0 to 1"):
        csls(samples, strength=1.5)


def test_the_command_fits_and_corrects_vectors(samples, tmp_path, capsys):
    ids, langs = [f"v{n}" for n in range(110)], [*samples[0].langs] * 2
    roles = ["query"] * 55 + ["passage"] * 55
    write_shard(tmp_path / "v.parquet", ids, langs, roles, np.concatenate([one.vectors for one in samples]))
    fitting = ["debias", "fit", "--vectors", str(tmp_path / "v.parquet"), "--method", "csls", "--neighbours", "5"]
    assert run([*fitting, "-o", str(tmp_path / "d.npz"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["dimension"], told["settings"]) == (12, {"neighbours": 5, "strength": 0.5})
    correcting = ["debias", "apply", str(tmp_path / "v.parquet"), "--debias", str(tmp_path / "d.npz")]
    assert run([*correcting, "-o", str(tmp_path / "c.parquet")]) == 0
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "c.parquet")
    rows = np.stack(table["vector"].to_numpy())
    expected = load_debias(tmp_path / "d.npz").apply(samples[1].vectors, samples[1].langs, "passage")
    np.testing.assert_allclose(rows[np.array(table["role"].to_pylist()) == "passage"], expected, atol=1e-6)
    assert run([*fitting[:4], "--method", "shift", "-o", str(tmp_path / "s.npz")]) == 2
