"""Many questions to an OpenAI-compatible chat endpoint: at one time, tried again, within a budget, each paid once."""

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
from isoglot.curation.answers.budget import Budget
from isoglot.curation.answers.store import AnswerStore, key_of

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

SPENT = "the budget of tokens is spent"
"""The fault of a question that was not asked for want of a budget."""

_BYTES_A_TOKEN = 2  # at least, in any language: what a request may cost, before its answer says
_GIVE_UP = 8  # requests that fail one after the other: then the endpoint is down, not the request bad


class Question(NamedTuple, Generic[T]):
    """What to ask, and how to read the answer.

    `read` raises ValueError for an answer that another try may mend; `subject` comes back with the answer.
    """

    subject: Any
    prompt: str
    read: Callable[[str], T]
    most_tokens: int


class Answered(NamedTuple, Generic[T]):
    """A question's subject with what was read from its answer, or why there is none."""

    subject: Any
    value: T | None
    fault: str | None


@dataclass(frozen=True)
class ChatSettings:
    """Where and how to ask.

    Attributes:
        url: base of the API, such as `http://127.0.0.1:11434/v1`.
        model: as the endpoint names it.
        key: sent as a bearer token; OPENAI_API_KEY of the environment when None.
        concurrency: requests at one time.
        tries: requests for one question before it counts as failed.
        timeout: seconds to wait for one answer.
        temperature: of the first try; later ones are a little warmer, since the same answer would come again.
    """

    url: str
    model: str = "default"
    key: str | None = None
    concurrency: int = 8
    tries: int = 5
    timeout: float = 120.0
    temperature: float = 0.0


class Chat:
    """Asks questions and keeps the answers.

    Args:
        settings: where and how.
        store: keeps every answer that could be read.
        budget: of tokens.
        sleep: how to wait between tries; None waits.

    Raises:
        InputError: no http(s) address, a name or password in it, or settings out of range.
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
        self._httpx = require_httpx()
        self.settings, self.budget = settings, budget or Budget()
        self.asked = self.from_store = 0
        self._store = store
        self._stopped = threading.Event()
        # Waiting ends at once where the run is stopped.
        self._sleep = sleep or self._stopped.wait
        self._failures = 0
        self._lock = threading.Lock()

    def ask_all(self, questions: Iterable[Question[T]]) -> Iterator[Answered[T]]:
        """Answers in the order of the questions, which are taken as they are needed.

        Where the budget is spent, the remaining questions come back with a fault, unless their answers are kept.

        Raises:
            InputError: the endpoint refuses (a wrong key, an unknown model).
            IsoglotError: it keeps failing; what was answered is kept.
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
                # Requests under way are waited for: they are paid, and their answers are kept.
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, client: httpx.Client, question: Question[T]) -> Answered[T]:
        key = key_of(self.settings.url, self.settings.model, question.prompt)
        kept = self._store.get(key)
        if kept is not None:
            try:
                value = question.read(kept)
            except ValueError:
                pass  # kept by another version, which read more
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
            most = len(question.prompt.encode()) // _BYTES_A_TOKEN + question.most_tokens
            if not self.budget.reserve(most):
                return Answered(question.subject, None, SPENT)
            paid = 0
            try:
                text, paid = self._post(client, question, attempt)
                value = question.read(text)
            except FaultError as error:
                fault = error
                continue
            except ValueError as error:
                fault = FaultError(str(error), 0.0)
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
            # An answer that cannot be read says that the endpoint is there.
            self._failures = 0 if fault.wait == 0.0 else self._failures + 1
            if self._failures >= _GIVE_UP:
                self._stopped.set()
                raise IsoglotError(
                    f"{self.settings.url}: {self._failures} questions failed one after the other, the last with: "
                    f"{fault}; what was answered is kept in {self._store.path}, so run the same command again"
                )

    def _post(self, client: httpx.Client, question: Question[T], attempt: int) -> tuple[str, int]:
        """One request: the answer's text and the tokens it cost."""
        temperature = self.settings.temperature if not attempt else max(0.3, self.settings.temperature)
        text, tokens = complete(
            client,
            self.settings.url,
            self.settings.model,
            question.prompt,
            temperature=temperature,
            most_tokens=question.most_tokens,
            least=0.01,  # zero would say that the endpoint had answered
        )
        return text, len((question.prompt + text).encode()) // _BYTES_A_TOKEN if tokens is None else tokens
