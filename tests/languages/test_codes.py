"""One spelling for every language code. Right values are by hand, after BCP 47 and the IANA registry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.languages import language, normal_code, register_language
from isoglot.languages.codes import known_code
from isoglot.languages.known_languages import listed
from isoglot.languages.table import parse_codes, temporary_languages


@pytest.mark.parametrize(
    ("normal", "spellings"),
    [
        ("de", "de DE deu ger de-DE de_AT de-1996 deu_Latn de-Latn-CH de-DE-u-co-phonebk de_DE.UTF-8"),
        ("zh", "zh ZH zho chi cmn zh-CN zh_CN zh-Hans zh_SG zh-Hani zho_Hans zh-cmn zh-Hans-CN"),
        ("zh-Hant", "zh-Hant zh-TW zh_HK zh-MO ZHO_HANT zh-hant-tw cmn-Hant"),
        ("yue", "yue zh-yue yue-Hant yue-HK"),
        ("yue-Hans", "yue-Hans yue-CN"),
        ("ar", "ar ara arb ar-EG arb_Arab"),
        ("arz", "arz arz-EG arz_Arab ar-arz"),
        ("he", "he iw heb iw-IL he-Hebr"),
        ("id", "id in ind"),
        ("yi", "yi ji ydd"),
        ("no", "no nb nor nob nb-NO no_NO"),
        ("nn", "nn nno nn-NO"),
        ("sr", "sr srp sr-Cyrl sr-RS srp_Cyrl"),
        ("sr-Latn", "sr-Latn sh sr_latn sr-Latn-RS sr-ME sr_RS.UTF-8@latin sr@Latn sr@ijekavianlatin"),
        ("pt", "pt por pt-BR pt_PT"),
        ("pa-Arab", "pa-Arab pa-PK pan-Arab"),
        ("fa", "fa fas per pes prs fa-AF"),
        ("tl", "tl fil tgl fil-PH"),
        ("ko", "ko kor ko-KR ko-Kore ko-Hang"),
        ("ur", "ur urd ur-PK ur-Aran"),
        ("vi-Hani", "vi-Hani"),
        ("hyw", "hyw hy-arevmda"),
        ("ms", "ms zsm msa may"),
        ("und", "und UND und-Latn"),
    ],
)
def test_spellings_of_one_language(normal, spellings):
    assert [spelling for spelling in spellings.split() if normal_code(spelling) != normal] == []


@pytest.mark.parametrize(
    ("text", "hint"),
    [("jp", "'ja'"), ("cz", "'cs'"), ("German", "'de'"), ("vietnamese", "'vi'"), ("xx", ""), ("German!", ""), ("", "")]
    + [(text, "") for text in ("en_US.bytes", "de.md", "is.numeric", "de@")]
    + [(text, "") for text in ("c", "??", "x-mine", "de--AT", "de-", "12", "dé", "en fr", "a" * 300)],
)
def test_what_is_no_code(text, hint):
    with pytest.raises(InputError, match="is not a language code such as 'de'") as caught:
        normal_code(text)
    assert ("did you mean" in str(caught.value)) is bool(hint)
    assert hint in str(caught.value)
    assert known_code(text) is None


@given(st.sampled_from(sorted(listed())), st.sampled_from(["", "-Latn", "_Cyrl", "-Hant", "-XK", "-tw", "-419"]))
def test_normal_codes_are_their_own_normal_form(base, rest):
    once = normal_code(base + rest)
    assert normal_code(once) == once == normal_code((base + rest).swapcase())
    assert language(once).code == once


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_any_text_is_a_code_or_refused(text):
    once = known_code(text)
    assert once is None or known_code(once) == once


def test_a_language_of_ones_own():
    assert register_language("tlh-x", name="Court Klingon", family="Klingonic", script="Latn").script == "Latin"
    assert normal_code("TLH_X") == "tlh-x"
    assert language("tlh-x") == ("tlh-x", "Court Klingon", "Klingonic", "Latin", False)
    register_language("elfin", name="Elfin", right_to_left=True)
    assert normal_code("elfin-Latn") == "elfin"
    assert language("Elfin") == ("elfin", "Elfin", "elfin", "unknown", True)
    assert parse_codes("ELFIN", ("de", "elfin")) == ("elfin",)


def test_a_known_language_described_otherwise():
    register_language("KUR", name="Kurmanji", script="Arab")
    assert language("ku") == ("ku", "Kurmanji", "Indo-European", "Arabic", True)
    assert language("kmr") == language("ku") == language("ku-Arab")
    assert language("ku_Latn") == ("ku-Latn", "Kurmanji (Latin)", "Indo-European", "Latin", False)


def test_a_language_may_be_registered_for_a_while():
    before = language("ku")
    with temporary_languages():
        register_language("elfin", name="Elfin")
        register_language("ku", name="Kurmanji")
        assert (known_code("ELFIN"), language("ku").name) == ("elfin", "Kurmanji")
    assert (known_code("elfin"), language("ku")) == (None, before)


@pytest.mark.parametrize(("code", "name"), [("German!", "x"), ("a", "x"), ("tlh", " ")])
def test_registrations_that_cannot_be(code, name):
    with pytest.raises(InputError):
        register_language(code, name=name)
    assert known_code(code) is None or language(code).name != name


def test_a_registered_language_is_detected_by_a_script_of_its_own():
    from isoglot.languages.detection import detect

    text = "\U00016f00\U00016f02\U00016f04"  # Miao
    assert detect(text) == "und"
    register_language("hmd", name="A-Hmao", family="Hmong-Mien", script="Miao")
    assert detect(text) == "hmd"


def test_rows_and_their_flags_have_one_spelling(tmp_path):
    import json

    from isoglot.data.prepared import prepare

    spellings = ["zh-CN", "zh_CN", "zh-Hans", "zho", "ZH", "cmn", "zh-TW"]
    rows = [{"group": f"g{n}", "lang": code, "query": f"q{n}", "passage": f"p{n}"} for n, code in enumerate(spellings)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert prepare([path], tmp_path / "all", show_progress=False).table.languages == ("zh", "zh-Hant")
    assert len(prepare([path], tmp_path / "some", langs=("zh_CN",), show_progress=False)) == 6
    path.write_text(json.dumps(rows[0] | {"lang": "jp"}) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"rows.jsonl:1.*'lang': 'jp' is not a language code.*did you mean 'ja'"):
        prepare([path], tmp_path / "none", show_progress=False)
