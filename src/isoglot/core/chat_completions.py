"""One response of a chat model behind an OpenAI-compatible API, and the JSON object in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from isoglot.core.http_retries import FaultError, post

if TYPE_CHECKING:
    import httpx


class Completion(NamedTuple):
    """A response.

    Attributes:
        text: the response; empty if it was cut before the model had finished its reasoning.
        tokens: number of tokens of prompt and response; None if the endpoint does not state it.
        cut: whether it ended at the maximum length.
    """

    text: str
    tokens: int | None
    cut: bool


def complete(
    client: httpx.Client, url: str, model: str, prompt: str, *, temperature: float, most_tokens: int, least: float = 0.0
) -> Completion:
    """Send one request.

    Args:
        client: with headers and timeout set.
        url: base of the API.
        model: the endpoint's name for it.
        prompt: the user's message.
        temperature: of sampling.
        most_tokens: maximum length of the response.
        least: minimum seconds to wait, where Retry-After states fewer.

    Raises:
        FaultError: no response, or one that is not a chat completion.
        InputError: the endpoint rejects the request (a wrong key, an unknown model).
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": temperature,
        "max_tokens": most_tokens,
    }
    answer = post(client, url, "chat/completions", body, least=least)
    try:
        record = answer.json()
        choice = record["choices"][0]
        text, cut = choice["message"]["content"], choice.get("finish_reason") == "length"
        tokens = (record.get("usage") or {}).get("total_tokens")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise FaultError("an answer that is not a chat completion (broken or truncated JSON)") from error
    if not isinstance(text, str) and not cut:
        raise FaultError("an answer without text")
    return Completion(text or "", tokens if isinstance(tokens, int) and tokens >= 0 else None, cut)


def without_thoughts(text: str) -> str:
    """Return a response without the model's reasoning, whose first tag is part of the prompt of some models.

    >>> without_thoughts("<think>hm</think>yes"), without_thoughts("hm</think>yes"), without_thoughts("<think>hm")
    ('yes', 'yes', '')
    """
    return re.sub(r"\A((?!<think>).)*?</think>|<think>.*?(</think>|\Z)", "", text, flags=re.DOTALL)


def json_object(text: str, keys: Iterable[str] = ()) -> dict[str, Any]:
    """Return the JSON object in a response, ignoring reasoning and code fences around it.

    Raises:
        ValueError: none, or one that lacks any of these keys.
    """
    bare = without_thoughts(text)
    start = bare.find("{")
    if start < 0:
        raise ValueError("an answer without a JSON object")
    try:
        record, _ = json.JSONDecoder(strict=False).raw_decode(bare[start:])
    except (ValueError, RecursionError) as error:
        raise ValueError("an answer whose JSON is broken or cut off") from error
    missing = [key for key in keys if key not in record]
    if missing:
        raise ValueError(f"an answer without {', '.join(missing)}")
    return dict(record)
