import pytest

from isoglot.curation.translation.checks import translation_fault

EN = "The keeper of the sluice opens the gate at dawn, when the first barges arrive from the north."
DE = "Der Schleusenwärter öffnet das Tor bei Sonnenaufgang, wenn die ersten Kähne aus dem Norden kommen."
ZH = "船闸管理员在黎明时分打开闸门，那时第一批驳船从北方抵达。"


@pytest.mark.parametrize(
    ("source", "made", "target", "fault"),
    [
        (EN, DE, "de", None),
        (EN, ZH, "zh", None),
        ("Visual Studio Code", "Visual Studio Code", "de", None),  # names may stay
        ("FastAPI", "FastAPI", "zh", None),
        ("open the gate", "open the gate", "de", "the source, copied"),
        (EN, EN, "de", "the source, copied"),
        (EN, EN.replace("dawn", "noon"), "de", "the source, copied"),
        (EN, "…", "de", "no words"),
        (EN, "Tor", "de", "0.0 times as long as the source"),
        (EN, "Das Tor. " * 40, "de", "repeats itself"),
        (EN, ZH, "de", "not in the script of de"),
        (EN, DE, "fr", "not in fr"),
        (EN, "L'éclusier ouvre la porte à l'aube, quand les premières péniches arrivent du nord.", "fr", None),
    ],
)
def test_what_is_wrong_with_a_translation(source, made, target, fault):
    assert translation_fault(source, made, target) == fault
