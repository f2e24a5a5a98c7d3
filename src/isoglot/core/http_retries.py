"""One request to an OpenAI-compatible API: which failures are worth a retry, and how long to wait before it."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

from isoglot.core.errors import InputError, needs

if TYPE_CHECKING:
    import httpx

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # worth a retry
_LONGEST_WAIT = 60.0


class FaultError(Exception):
    """A failure that a retry may resolve; to be caught by the caller.

    Attributes:
        wait: seconds to wait, as requested by the server; None if it did not say.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


def post(client: httpx.Client, url: str, path: str, body: dict[str, Any], *, least: float = 0.0) -> httpx.Response:
    """Send one request.

    Args:
        client: with headers and timeout set.
        url: base of the API.
        path: of the request, below the base.
        body: sent as JSON; error messages name its `model`.
        least: minimum seconds to wait, where Retry-After states fewer.

    Returns:
        A successful response.

    Raises:
        FaultError: no response, or a status that may be temporary.
        InputError: an invalid address, or the server rejects the request (a wrong key, an unknown model).
    """
    package = require_httpx()
    try:
        answer: httpx.Response = client.post(f"{url.rstrip('/')}/{path}", json=body)
    except package.TimeoutException as error:
        raise FaultError(f"no answer in {client.timeout.read:g} s") from error
    except package.InvalidURL as error:
        raise InputError(f"{url}: no address ({error}); expected one such as http://HOST/v1") from error
    except package.RequestError as error:
        raise FaultError(f"connection failed ({error})") from error
    if answer.status_code in _PASSING:
        raise FaultError(f"status {answer.status_code}", retry_after(answer.headers.get("retry-after"), least))
    if not answer.is_success:
        said = " ".join(answer.text.split())[:200]
        raise InputError(
            f"{url}: refused with status {answer.status_code} ({said or 'no reason given'}); "
            f"check the address, the model {body['model']!r} and OPENAI_API_KEY"
        )
    return answer


def pause(attempt: int, wait: float | None) -> float:
    """Return the seconds to wait before a retry (the first is attempt 1): as requested by the server, or increasing."""
    # Jitter: clients that failed together do not retry together.
    backoff = random.uniform(0.5, 1) * 2**attempt
    return min(_LONGEST_WAIT, backoff if wait is None else wait)


def retry_after(header: str | None, least: float = 0.0) -> float | None:
    """Return the seconds of a Retry-After header, at least `least`; None if it is absent or a date."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return max(least, seconds) if math.isfinite(seconds) else None


def require_httpx() -> Any:
    """Import and return the package httpx.

    Raises:
        MissingPackageError: it is not installed.
    """
    with needs("endpoints need httpx", "llm"):
        import httpx
    return httpx
