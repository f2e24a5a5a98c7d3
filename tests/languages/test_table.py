import doctest
import unicodedata

import pytest

from isoglot.core.errors import InputError
from isoglot.languages import table
from isoglot.languages.table import by_family, known, language, parse_codes
from isoglot.studies.settings import StudySettings
from isoglot.training.sampling import regimes
from isoglot.training.sampling.regimes import Sampling, parse_regime
from isoglot.training.settings import TrainSettings, flat_settings

ELEVEN = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")


def test_examples_in_docstrings():
    for module in (table, regimes):
        assert doctest.testmod(module).failed == 0


def test_the_table_is_well_formed():
    table = known()
    assert list(table) == sorted(table)
    assert len({entry.name for entry in table.values()}) == len(table)
    for code, entry in table.items():
        assert code == entry.code.lower()
        assert 2 <= len(code) <= 3
        assert entry.name
        assert entry.family
        assert entry.script
        assert unicodedata.is_normalized("NFC", "".join(entry))


def test_regions_scripts_and_case_do_not_matter():
    for code in ("zh", "zh-Hant", "zh_TW", "ZH"):
        assert language(code).script == "Han"
    assert language("he").right_to_left
    assert language("ar").right_to_left
    assert not language("hi").right_to_left


def test_an_unknown_code_is_described_and_grouped_as_unknown():
    assert language("xx") == ("xx", "xx", "unknown", "", "unknown")


def test_families():
    assert by_family(tuple(reversed(ELEVEN))) == {
        "Afro-Asiatic": ["ar"],
        "Austroasiatic": ["vi"],
        "Indo-European": ["de", "el", "en", "es", "hi", "ru"],
        "Kra-Dai": ["th"],
        "Sino-Tibetan": ["zh"],
        "Turkic": ["tr"],
    }


def test_lists_of_codes():
    assert parse_codes(None, ELEVEN) == ELEVEN
    assert parse_codes(" zh,de,,zh ", ELEVEN) == ("de", "zh")
    with pytest.raises(InputError, match="--only 'de,xx,yy': no xx, yy here; there are: ar, de"):
        parse_codes("de,xx,yy", ELEVEN, "--only")
    with pytest.raises(InputError, match="an empty list"):
        parse_codes(" , ", ELEVEN)


@pytest.mark.parametrize(
    ("text", "name", "alpha"),
    [
        ("hybrid", "hybrid-0.5", 0.5),
        ("hybrid-0.25", "hybrid-0.25", 0.25),
        ("hybrid-1", "hybrid-1", 1.0),
        ("x-x-mono", "x-x-mono", 0.5),
        ("x-y", "x-y", 0.5),
        ("x-x", "x-x", 0.5),
        ("en-en", "en-en", 0.5),
    ],
)
def test_regime_names(text, name, alpha):
    sampling = parse_regime(text, Sampling(xy="per-example"))
    assert (sampling.name, sampling.alpha, sampling.xy) == (name, alpha, "per-example")
    assert parse_regime(sampling.name, sampling) == sampling


@pytest.mark.parametrize("text", ["", "x-z", "hybrid-", "hybrid-a", "hybrid-2", "hybrid-nan", "Hybrid", "x-x-mono-0.5"])
def test_what_is_no_regime(text):
    with pytest.raises(InputError) as caught:
        parse_regime(text)
    assert "regime" in str(caught.value) or "--alpha" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("regime", "mono"),
        ("alpha", -0.1),
        ("alpha", float("nan")),
        ("xy", "both"),
        ("xy_draw", "same"),
        ("dataset_exponent", float("nan")),
        ("language_exponent", float("inf")),
    ],
)
def test_sampling_that_cannot_work(field, value):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')}"):
        Sampling(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0.0),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("lr", -1e-5),
        ("lr", float("inf")),
        ("clip", 0.0),
        ("weight_decay", -0.1),
        ("batch_size", 1),
        ("max_steps", 0),
        ("warmup_steps", -1),
        ("save_steps", -1),
        ("seed", -1),
        ("chunk", 0),
        ("query_length", 3),
        ("passage_length", -1),
        ("passage_length", 0),
        ("embeddings", "some"),
        ("precision", "fp16"),
    ],
)
def test_training_that_cannot_work(field, value):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')}"):
        TrainSettings(**{field: value})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"regimes": ()}, "--regimes ''"),
        ({"regimes": ("x-y", "x-y")}, "each once"),
        ({"regimes": ("x-y", "hybrid", "hybrid-0.5")}, "two of them are hybrid-0.5"),
        ({"regimes": ("x-y", "nonsense")}, "'nonsense'"),
        ({"seeds": ()}, "--seeds ''"),
        ({"seeds": (1, 1)}, "each once"),
        ({"seeds": (-1,)}, "--seeds"),
        ({"resamples": 1}, "--resamples 1"),
        ({"length": 0}, "--length 0"),
    ],
)
def test_studies_that_cannot_work(values, words):
    with pytest.raises(InputError) as caught:
        StudySettings(**values)
    assert words in str(caught.value)


def test_settings_in_one_flat_dict():
    flat = flat_settings(TrainSettings(sampling=Sampling("x-y", xy="per-example"), lr=1e-3))
    assert (flat["regime"], flat["xy"], flat["lr"], flat["max_steps"]) == ("x-y", "per-example", 1e-3, 300)
    assert "sampling" not in flat
