"""Send many questions to an OpenAI-compatible chat endpoint: concurrently, with retries, a budget and a cache."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

from isoglot.core.chat_completions import complete
from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.http_retries import FaultError, pause, require_httpx
from isoglot.curation.language_model.answer_cache import AnswerStore, key_of
from isoglot.curation.language_model.budget import Budget

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

SPENT = "the budget of tokens is spent"
"""The fault of a question that was not sent because the budget is spent."""

_CUT = "an answer cut off at its greatest length; for a model that reasons first, raise `reasoning_tokens`"
_BYTES_A_TOKEN = 2  # lower bound for any language: estimates the cost of a request before its answer reports it
_GIVE_UP = 8  # questions failing in a row: after that the endpoint counts as down


class Question(NamedTuple, Generic[T]):
    """A prompt, and how to parse the answer.

    `read` raises ValueError for an answer that is worth another try; `subject` is returned with the answer.
    """

    subject: Any
    prompt: str
    read: Callable[[str], T]
    most_tokens: int


class Answered(NamedTuple, Generic[T]):
    """A question's subject with the parsed answer, or the fault if there is none."""

    subject: Any
    value: T | None
    fault: str | None


@dataclass(frozen=True)
class ChatSettings:
    """Settings of a chat endpoint and of requests to it.

    Attributes:
        url: base URL of the API, such as `http://127.0.0.1:11434/v1`.
        model: name of the model at the endpoint.
        key: API key, sent as a bearer token; the environment variable OPENAI_API_KEY when None.
        concurrency: number of concurrent requests.
        tries: requests for one question before it counts as failed.
        timeout: seconds to wait for an answer.
        temperature: temperature of the first try; retries use at least .3, so that the answer can differ.
        reasoning_tokens: tokens that an answer may be longer, for models that reason before they answer.
    """

    url: str
    model: str = "default"
    key: str | None = None
    concurrency: int = 8
    tries: int = 5
    timeout: float = 120.0
    temperature: float = 0.0
    reasoning_tokens: int = 0


class Chat:
    """Sends questions to an endpoint and caches the answers.

    Args:
        settings: settings of the endpoint.
        store: cache for every answer that could be parsed.
        budget: token budget; no limit when None.
        sleep: called with the seconds to wait between tries; by default a wait that stopping interrupts.

    Raises:
        InputError: the URL is not http(s) or contains a user name or password, or a setting is out of range.
        MissingPackageError: httpx is not installed.
    """

    def __init__(
        self,
        settings: ChatSettings,
        store: AnswerStore,
        budget: Budget | None = None,
        *,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        parts = urlsplit(settings.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{settings.url}: expected the address of an OpenAI-compatible API (http://HOST/v1)")
        if parts.username or parts.password:
            raise InputError("the address holds a name or password; put the key in OPENAI_API_KEY")
        if settings.concurrency < 1 or settings.tries < 1:
            raise InputError("expected at least one request at a time, and one try")
        if not settings.timeout > 0:
            raise InputError(f"timeout {settings.timeout:g}: expected more than 0 seconds")
        if settings.reasoning_tokens < 0:
            raise InputError(f"reasoning_tokens {settings.reasoning_tokens}: expected 0 or more")
        self._httpx = require_httpx()
        self.settings, self.budget = settings, budget or Budget()
        self.asked = self.from_store = 0
        self._store = store
        self._stopped = threading.Event()
        # Waiting ends at once when the run is stopped.
        self._sleep = sleep or self._stopped.wait
        self._failures = 0
        self._lock = threading.Lock()

    def ask_all(self, questions: Iterable[Question[T]]) -> Iterator[Answered[T]]:
        """Yield the answers in the order of the questions, which are consumed lazily.

        Once the budget is spent, the remaining questions get a fault unless their answers are cached.

        Raises:
            InputError: the endpoint rejects requests (a wrong key, an unknown model).
            IsoglotError: requests keep failing; answers received so far are cached.
        """
        key = self.settings.key or os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        window = 4 * self.settings.concurrency
        self._stopped.clear()
        with (
            self._httpx.Client(headers=headers, timeout=self.settings.timeout) as client,
            ThreadPoolExecutor(self.settings.concurrency) as pool,
        ):
            waiting: list[Future[Answered[T]]] = []
            try:
                for question in questions:
                    waiting.append(pool.submit(self._answer, client, question))
                    if len(waiting) >= window:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            finally:
                # Wait for running requests: they are paid for, and their answers go to the cache.
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, client: httpx.Client, question: Question[T]) -> Answered[T]:
        warmth = self.settings.temperature
        key = key_of(self.settings.url, self.settings.model, question.prompt, *([f"{warmth:g}"] if warmth else []))
        kept = self._store.get(key)
        if kept is not None:
            try:
                value = question.read(kept)
            except ValueError:
                pass  # cached by another version, which accepted more
            else:
                with self._lock:
                    self.from_store += 1
                return Answered(question.subject, value, None)
        fault = FaultError("")
        for attempt in range(self.settings.tries):
            if self._stopped.is_set():
                return Answered(question.subject, None, "stopped")
            if attempt:
                self._sleep(pause(attempt, fault.wait))
            longest = question.most_tokens + self.settings.reasoning_tokens
            most = len(question.prompt.encode()) // _BYTES_A_TOKEN + longest
            if not self.budget.reserve(most):
                return Answered(question.subject, None, SPENT)
            paid, cut = 0, False
            try:
                text, paid, cut = self._post(client, question, attempt, longest)
                value = question.read(text)
            except FaultError as error:
                fault = error
                continue
            except ValueError as error:
                fault = FaultError(_CUT if cut else str(error), 0.0)
                continue
            finally:
                self.budget.settle(most, paid)
            self._store.put([(key, text)])
            with self._lock:
                self.asked += 1
                self._failures = 0
            return Answered(question.subject, value, None)
        self._count_failure(fault)
        return Answered(question.subject, None, f"{fault} ({self.settings.tries} tries)")

    def _count_failure(self, fault: FaultError) -> None:
        with self._lock:
            # An answer that cannot be parsed still shows that the endpoint is up.
            self._failures = 0 if fault.wait == 0.0 else self._failures + 1
            if self._failures >= _GIVE_UP:
                self._stopped.set()
                raise IsoglotError(
                    f"{self.settings.url}: {self._failures} requests failed in a row, the last with: "
                    f"{fault}; received answers are kept in {self._store.path}, so run the same command again"
                )

    def _post(self, client: httpx.Client, question: Question[T], attempt: int, longest: int) -> tuple[str, int, bool]:
        """Send one request; return the text of its answer, the tokens it cost, and whether the answer was cut off."""
        temperature = self.settings.temperature if not attempt else max(0.3, self.settings.temperature)
        text, tokens, cut = complete(
            client,
            self.settings.url,
            self.settings.model,
            question.prompt,
            temperature=temperature,
            most_tokens=longest,
            least=0.01,  # a wait of 0 marks an answer that could not be parsed
        )
        guess = len((question.prompt + text).encode()) // _BYTES_A_TOKEN
        return text, guess if tokens is None else tokens, cut
