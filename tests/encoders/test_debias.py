import json

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.encoders.debias import Debias, Sample, load_debias
from isoglot.encoders.debias_fits import center, fit, lir, shift


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    langs = np.array(["de"] * 50 + ["en"] * 60 + ["zh"] * 40)
    offset = {"de": [3, 0, 0, 0, 0], "en": [0, 3, 0, 0, 0], "zh": [0, 0, 3, 0, 0]}
    return unit(rng.normal(size=(150, 5)) + np.array([offset[lang] for lang in langs])), langs


def test_center_by_hand():
    x = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    fitted = center([Sample(x, ["de", "de", "en"], "passage")])
    # de: the mean is (.5, .5, 0), so (1, 0, 0) becomes (.5, -.5, 0), normalised.
    moved = fitted.apply(x, ["de", "de", "en"])
    np.testing.assert_allclose(moved[0], [np.sqrt(0.5), -np.sqrt(0.5), 0], atol=1e-6)
    # en: nothing is left of its only vector, which therefore stays.
    np.testing.assert_array_equal(moved[2], x[2])


def test_languages_are_known_in_any_spelling_before_and_after_saving(tmp_path):
    x = np.eye(4, dtype=np.float32)
    fitted = center([Sample(x, ["DE", "DE", "en", "EN"], "passage")])
    assert fitted.languages == ("de", "en")
    fitted.save(tmp_path / "d.npz")
    again = load_debias(tmp_path / "d.npz")
    np.testing.assert_array_equal(fitted.apply(x, ["de"] * 4), again.apply(x, ["De"] * 4))
    assert again.fingerprint == fitted.fingerprint
    assert center([Sample(x, ["de", "en", "en", "en"], "passage")]).fingerprint != fitted.fingerprint


def test_a_correction_equals_itself_and_its_fingerprint_tells_the_content():
    first, again = (center([Sample(np.eye(4, dtype=np.float32), ["de", "en"] * 2, "passage")]) for _ in range(2))
    assert first == first
    assert first != again
    assert len({first, again, first}) == 2
    assert first.fingerprint == again.fingerprint


def test_centred_means_are_zero(clouds):
    x, langs = clouds
    fitted = center([Sample(x, langs, "passage")])
    for lang in ("de", "en", "zh"):
        np.testing.assert_allclose((x[langs == lang] - fitted.parts["passage", lang]).mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(fitted.apply(x, langs), axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2])
def test_lir_is_orthogonal_to_the_first_singular_vectors(clouds, rank):
    x, langs = clouds
    moved = lir([Sample(x, langs, "passage")], rank=rank).apply(x, langs)
    for lang in ("de", "en", "zh"):
        own = x[langs == lang].astype(float)
        v = np.linalg.svd(own)[2][:rank]
        np.testing.assert_allclose(moved[langs == lang] @ v.T, 0, atol=1e-5)
        expected = own - own @ v.T @ v
        np.testing.assert_allclose(moved[langs == lang], unit(expected), atol=1e-4)


def test_shift_by_hand():
    en = np.array([[1, 0], [0, 1]], np.float32)
    de = np.array([[0.6, 0.8], [-0.6, 0.8]], np.float32)
    x = np.concatenate([en, de, [[0.8, 0.6]]]).astype(np.float32)
    langs, groups = ["en", "en", "de", "de", "de"], ["a", "b", "a", "b", "alone"]
    fitted = shift([Sample(x, langs, "passage", groups)])
    # mean(de - en) = mean((-.4, .8), (-.6, -.2)) = (-.5, .3); the text without a translation does not count.
    np.testing.assert_allclose(fitted.parts["passage", "de"], [0.6 * -0.5, 0.6 * 0.3], atol=1e-6)
    moved = fitted.apply(x, langs)
    np.testing.assert_array_equal(moved[:2], en)
    np.testing.assert_allclose(moved[2], unit([[0.6 + 0.3, 0.8 - 0.18]])[0], atol=1e-6)
    assert fitted.fitted == {"passage:de": 2}
    np.testing.assert_array_equal(fitted.apply(x, langs, "query"), x)


def test_queries_and_passages_are_fitted_apart_and_stand_in_for_each_other(clouds):
    x, langs = clouds
    both = center([Sample(x, langs, "passage"), Sample(-x, langs, "query")])
    np.testing.assert_allclose(both.parts["query", "de"], -both.parts["passage", "de"])
    one = center([Sample(x, langs, "passage")])
    np.testing.assert_array_equal(one.apply(x, langs, "query"), one.apply(x, langs, "passage"))


def test_languages_not_fitted_are_treated_as_the_mix(clouds):
    x, langs = clouds
    fitted = center([Sample(x, langs, "passage")])
    np.testing.assert_allclose(fitted.apply(x[:1], ["sw"])[0], unit(x[:1] - x.mean(axis=0))[0], atol=1e-5)
    np.testing.assert_array_equal(fitted.apply(x[:1], ["de-AT"]), fitted.apply(x[:1], ["de"]))


@pytest.mark.parametrize("method", ["center", "lir", "shift"])
def test_saved_and_loaded(clouds, tmp_path, method):
    x, langs = clouds
    groups = [str(i % 40) for i in range(len(x))]
    fitted = fit(method, [Sample(x, langs, "passage", groups)], model="m", rank=2)
    fitted.save(tmp_path / "d.npz")
    again = load_debias(tmp_path / "d.npz")
    assert (again.method, again.model, again.settings, again.fitted, again.languages) == (
        fitted.method,
        "m",
        fitted.settings,
        fitted.fitted,
        fitted.languages,
    )
    np.testing.assert_array_equal(again.apply(x, langs), fitted.apply(x, langs))


def test_bad_input_says_what_to_do(clouds, tmp_path):
    x, langs = clouds
    fitted = center([Sample(x, langs, "passage")])
    with pytest.raises(InputError, match=r"4 dimensions.*fitted on 5"):
        fitted.apply(x[:, :4], langs)
    with pytest.raises(InputError, match="expected"):
        fitted.apply(x, langs[:3])
    with pytest.raises(InputError, match="rank 5"):
        lir([Sample(x, langs, "passage")], rank=5)
    with pytest.raises(InputError, match="translations"):
        shift([Sample(x, langs, "passage")])
    with pytest.raises(InputError, match="pivot fr"):
        shift([Sample(x, langs, "passage", ["a"] * len(x))], pivot="fr")
    for strength in (-1, 5, np.inf, np.nan):
        with pytest.raises(InputError, match="expected 0 to 1"):
            shift([Sample(x, langs, "passage", ["a"] * len(x))], pivot="de", strength=strength)
    fitted.parts["passage", "de"][0] = np.nan
    fitted.save(tmp_path / "nan.npz")
    with pytest.raises(InputError, match="NaN or infinity"):
        load_debias(tmp_path / "nan.npz")
    with pytest.raises(InputError, match="method 'whiten'"):
        fit("whiten", [])
    with pytest.raises(InputError, match="no vectors"):
        center([])
    with pytest.raises(InputError, match="no such file"):
        load_debias(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(InputError, match="not a saved correction"):
        load_debias(tmp_path / "text.npz")
    np.savez(tmp_path / "newer.npz", about=np.array(json.dumps({"isoglot_debias": 9})))
    with pytest.raises(InputError, match="format 9"):
        load_debias(tmp_path / "newer.npz")
    with pytest.raises(InputError, match="NaN"):
        Debias("center", {("passage", "de"): x[0]}).apply(x * np.nan, langs)


def test_files_that_called_passages_documents_are_read(tmp_path):
    """Format 1, as earlier versions wrote it."""
    about = {
        "isoglot_debias": 1,
        "method": "center",
        "model": "m",
        "settings": {},
        "fitted": {"document:de": 3, "query:de": 2},
        "parts": [["document", "de"], ["query", "de"]],
    }
    with (tmp_path / "old.npz").open("wb") as stream:
        np.savez(stream, about=np.array(json.dumps(about)), part0=np.array([0.5, 0.0]), part1=np.array([0.0, 0.5]))
    old = load_debias(tmp_path / "old.npz")
    assert old.fitted == {"passage:de": 3, "query:de": 2}
    assert {key: part.tolist() for key, part in old.parts.items()} == {
        ("passage", "de"): [0.5, 0.0],
        ("query", "de"): [0.0, 0.5],
    }
    old.save(tmp_path / "new.npz")
    assert load_debias(tmp_path / "new.npz").fitted == old.fitted


def test_other_roles_are_refused():
    with pytest.raises(InputError, match="role 'document': expected one of query, passage"):
        center([Sample(np.eye(2, dtype=np.float32), ["de", "en"], "document")])
