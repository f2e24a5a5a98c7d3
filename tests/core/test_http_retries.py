"""How long a client of an API waits; what it asks again stands in the tests of the two that ask."""

import httpx
import pytest

from isoglot.core.errors import InputError
from isoglot.core.http_retries import FaultError, pause, post, retry_after


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


def test_answers_that_cannot_be_unpacked_may_pass_and_addresses_that_are_none_do_not():
    packed = httpx.MockTransport(lambda _: httpx.Response(200, headers={"content-encoding": "gzip"}, content=b"plain"))
    with httpx.Client(transport=packed) as client, pytest.raises(FaultError, match="connection failed"):
        post(client, "http://host/v1", "embeddings", {"model": "m"})
    with httpx.Client() as client, pytest.raises(InputError, match=r"http://host:port/v1: no address \(Invalid port"):
        post(client, "http://host:port/v1", "embeddings", {"model": "m"})
