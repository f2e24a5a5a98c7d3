"""How long a client of an API waits; what it asks again stands in the tests of the two that ask."""

import pytest

from isoglot.core.http_retries import pause, retry_after


@pytest.mark.parametrize(
    ("header", "least", "expected"),
    [
        ("7", 0.0, 7.0),
        ("-3", 0.0, 0.0),
        ("0", 0.01, 0.01),
        (None, 0.01, None),
        ("nan", 0.0, None),
        ("inf", 0.0, None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0, None),
    ],
)
def test_what_a_server_asks_for(header, least, expected):
    assert retry_after(header, least) == expected


def test_pauses_grow_up_to_a_minute():
    for attempt in range(1, 12):
        longest = min(60.0, 2.0**attempt)
        assert longest / 2 <= pause(attempt, None) <= longest
    assert pause(3, 0.0) == 0.0
    assert pause(1, 7.0) == 7.0
    assert pause(1, 3600.0) == 60.0
