import doctest
import unicodedata

import pytest

from isoglot.core.errors import InputError
from isoglot.languages import codes, iso_codes, scripts
from isoglot.languages.known_languages import listed
from isoglot.languages.scripts import NAMES
from isoglot.languages.table import by_family, given_codes, language, parse_codes, register_language, slices
from isoglot.studies.settings import StudySettings
from isoglot.training.sampling import regimes
from isoglot.training.sampling.regimes import Sampling, parse_regime
from isoglot.training.settings import TrainSettings, flat_settings

ELEVEN = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")


def test_examples_in_docstrings():
    for module in (codes, iso_codes, scripts, regimes):
        assert doctest.testmod(module).failed == 0


def test_the_table_is_well_formed():
    entries = listed()
    assert list(entries) == sorted(entries)
    assert len({entry.name for entry in entries.values()}) == len(entries)
    for code, entry in entries.items():
        assert codes.normal_code(code) == code == entry.code
        assert entry.name
        assert entry.family
        assert entry.script in NAMES.values()
        assert unicodedata.is_normalized("NFC", entry.name)


def test_scripts_of_the_table_are_those_of_unicode():
    """Except where Unicode's likely subtags know nothing (and say Latin), or name an older script."""
    import langcodes

    differing = {
        code for code, entry in listed().items() if NAMES.get(langcodes.get(code).maximize().script) != entry.script
    }
    assert differing == {"acm", "afb", "crh", "grc", "hbo", "hyw", "uzs", "xal"}


def test_regions_scripts_and_case_do_not_matter():
    for code in ("zh", "zh-Hant", "zh_TW", "ZH"):
        assert language(code).script == "Han"
    for code in ("he", "ar", "arz", "iw", "fa-AF", "ckb", "dv", "yi", "pa-PK"):
        assert language(code).right_to_left
    for code in ("hi", "pa", "sr-Latn", "nb", "ku"):
        assert not language(code).right_to_left


def test_names_tell_writings_apart():
    assert language("zh").name == "Chinese"
    assert language("zh-HK").name == "Chinese (Traditional)"
    assert language("sr-Latn") == ("sr-Latn", "Serbian (Latin)", "Indo-European", "Latin", False)
    assert language("az-Arab").right_to_left


def test_what_the_table_lacks_has_the_family_and_script_of_its_macrolanguage():
    assert language("aec") == ("aec", "aec", "Afro-Asiatic", "Arabic", True)  # Saidi Arabic
    assert language("cdo")[2:4] == ("Sino-Tibetan", "Han")


def test_what_nobody_knows_is_its_own_family():
    assert language("xx") == ("xx", "xx", "xx", "unknown", False)
    assert by_family(("xx", "yy", "de")) == {"Indo-European": ["de"], "xx": ["xx"], "yy": ["yy"]}
    assert language("gil").family == "gil"
    assert language("und")[2:] == ("und", "unknown", False)
    assert "family:xx" in slices(("xx", "yy"))


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
    assert parse_codes("zho_Hans,DEU,en-GB", ELEVEN) == ("de", "en", "zh")
    assert parse_codes("he", ("ar", "iw")) == ("iw",)
    with pytest.raises(InputError, match="only 'de,xx,yy': no xx, yy here; there are: ar, de"):
        parse_codes("de,xx,yy", ELEVEN, "only")
    with pytest.raises(InputError, match="an empty list"):
        parse_codes(" , ", ELEVEN)
    assert parse_codes(["zho_Hans", " DEU"], ELEVEN) == parse_codes(iter(("zh", "de")), ELEVEN) == ("de", "zh")
    with pytest.raises(InputError, match="langs 'de,XX': no XX here; there are: ar, de"):
        parse_codes(["de", "XX"], ELEVEN)
    with pytest.raises(InputError, match="langs '': an empty list"):
        parse_codes([], ELEVEN)
    for wrong, said in ((5, "only: given as int; expected codes"), (["de", 5], "only: holds 5; expected codes")):
        with pytest.raises(InputError, match=said):
            parse_codes(wrong, ELEVEN, "only")


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
    assert "regime" in str(caught.value) or "alpha" in str(caught.value)


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
    with pytest.raises(InputError, match=f"^{field} "):
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
    with pytest.raises(InputError, match=f"^{field} "):
        TrainSettings(**{field: value})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"regimes": ()}, "regimes ''"),
        ({"regimes": ("x-y", "x-y")}, "each once"),
        ({"regimes": ("x-y", "hybrid", "hybrid-0.5")}, "two of them are hybrid-0.5"),
        ({"regimes": ("x-y", "nonsense")}, "'nonsense'"),
        ({"seeds": ()}, "seeds ''"),
        ({"seeds": (1, 1)}, "each once"),
        ({"seeds": (-1,)}, "seeds -1"),
        ({"resamples": 1}, "resamples 1"),
        ({"length": 0}, "length 0"),
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


@pytest.mark.parametrize("code", [5, None, ["de"], b"de"])
def test_codes_that_are_no_text(code):
    for ask in (language, codes.normal_code, lambda code: register_language(code, name="Deutsch")):
        with pytest.raises(InputError, match=r"language.*: given as (int|None|NoneType|list|bytes); expected"):
            ask(code)
    assert codes.known_code(code) is None


def test_a_language_registered_with_something_else_than_texts():
    with pytest.raises(InputError, match="name: given as int; expected a text"):
        register_language("qya", name=5)
    with pytest.raises(InputError, match="family: given as int; expected a text"):
        register_language("qya", name="Quenya", family=5)


def test_codes_as_arguments_give_them():
    assert given_codes(None) is None
    assert given_codes("zh_CN, DE,") == given_codes(["zh", "de"]) == ("zh", "de")
    with pytest.raises(InputError, match=r"langs: given as int; expected codes such as \['de', 'en'\]"):
        given_codes(5)
    with pytest.raises(InputError, match=r"langs: holds 5; expected codes"):
        given_codes(["de", 5])
