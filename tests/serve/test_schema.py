"""The API keeps to its own OpenAPI document, whatever is thrown at it."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from isoglot.serve.app import create_app
from isoglot.serve.settings import ServeSettings
from support.serving import embed, searcher

app = create_app(
    {"first": searcher(), "second": searcher(turned=True)},
    ServeSettings(hosts=("*",), inputs=4, input_characters=200),
    embed={"first": embed},
)
# Filters that cannot be are for tests of their own: here they are what the index can answer.
schemathesis.openapi.format(
    "isoglot-filter",
    st.sampled_from(["lang = 'de'", "url IS NULL", "NOT (url LIKE 'https%' OR title = 'x')", "source IN ('a', 'b')"]),
)
schema = schemathesis.openapi.from_asgi("/openapi.json", app)


@schema.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """OpenAPI cannot say that two parameters exclude each other."""
    return case.query.get("mode") != "lexical" or case.query.get("feedback") not in (True, "true")


@schema.parametrize()
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_api_conforms(case: schemathesis.Case) -> None:
    case.call_and_validate()
