import pytest

from isoglot.core.errors import GateMissedError, InputError
from isoglot.measuring.gates import check_gates, parse_gate

RECORD = {
    "multilingual": {"map": 0.5},
    "pairs": {"de>en": {"map": 0.4}},
    "intervals": {"multilingual.map": {"all": {"low": 0.45}}, "multilingual": {"map": 1}},
    "depth": None,
}


@pytest.mark.parametrize(
    "met", ["multilingual.map>=0.5", "pairs.de>en.map <= .4", "intervals.multilingual.map.all.low>=4.5e-1"]
)
def test_any_figure_can_be_named_though_its_key_holds_dots(met):
    check_gates([parse_gate(met)], RECORD)


def test_what_is_missed_or_missing_is_said():
    with pytest.raises(GateMissedError, match=r"all.low is 0.45, wanted >= 0.46"):
        check_gates([parse_gate("intervals.multilingual.map.all.low>=0.46")], RECORD)
    for path, said in (
        ("intervals.multilingual.map.th.low", "no 'th' in metrics.json; there is: all"),
        ("multilingual.maps", "no 'maps' in metrics.json; there is: map"),
        ("multilingual.map.all", "no 'all' in metrics.json; there is: a single number"),
        ("multilingual", "expected a number"),
        ("depth", "found None"),
    ):
        with pytest.raises(InputError, match=said):
            check_gates([parse_gate(f"{path}>=1")], RECORD)
