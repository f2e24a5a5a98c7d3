"""What verbs that ask a language model share: flags, rejects, and the check of a spent budget."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoglot.core.errors import IsoglotError

if TYPE_CHECKING:
    from isoglot.curation.language_model.answer_cache import AnswerStore
    from isoglot.curation.language_model.chat import Chat
    from isoglot.curation.language_model.outcome import Outcome


@dataclass(frozen=True)
class LanguageModel:
    """How a language model is asked.

    Attributes:
        lm: The model's name at the endpoint.
        budget_tokens: Stop before more tokens than this are paid for.
        concurrency: Requests at one time.
        tries: Requests for one answer before it counts as failed.
        timeout: Seconds to wait for one answer.
        reasoning_tokens: Tokens that an answer may be longer, for a model that reasons before it answers, such as 4096.
        cache: File in which answers are cached; in isoglot's cache folder by default.
    """

    lm: str = "default"
    budget_tokens: int | None = None
    concurrency: int = 8
    tries: int = 5
    timeout: float = 120.0
    reasoning_tokens: int = 0
    cache: Path | None = None

    def store(self, model: str) -> AnswerStore:
        """Return the store of cached answers of a model or an endpoint."""
        import hashlib

        from isoglot.core.cache import cache_folder
        from isoglot.curation.language_model.answer_cache import AnswerStore

        name = hashlib.sha256(f"{model}#{self.lm}".encode()).hexdigest()[:16]
        return AnswerStore(self.cache or cache_folder() / "answers" / f"{name}.sqlite")

    def chat(self, url: str) -> Chat:
        """Open the API at a URL."""
        from isoglot.curation.language_model.budget import Budget
        from isoglot.curation.language_model.chat import Chat, ChatSettings

        settings = ChatSettings(
            url,
            self.lm,
            concurrency=self.concurrency,
            tries=self.tries,
            timeout=self.timeout,
            reasoning_tokens=self.reasoning_tokens,
        )
        return Chat(settings, self.store(url), Budget(self.budget_tokens))

    def require_all(self, outcome: Outcome, of_what: str) -> None:
        """Check that the budget was large enough for all requests.

        Args:
            outcome: result of the run.
            of_what: text of the error message after the number of requests not made.

        Raises:
            IsoglotError: some requests were not made.
        """
        unpaid = unpaid_of(outcome)
        if unpaid:
            raise IsoglotError(
                f"the budget of {self.budget_tokens} tokens is spent, {unpaid} {of_what}; run again with a larger "
                "--budget-tokens (and --overwrite): received answers are kept and not paid again"
            )


def unpaid_of(outcome: Outcome) -> int:
    """Return the number of requests that were not made because the budget was spent."""
    from isoglot.curation.language_model.chat import SPENT

    return outcome.reasons[SPENT]


def spent(chat: Chat) -> str:
    """Describe what an API cost."""
    return f"{chat.budget.spent} tokens paid for {chat.asked} answers, {chat.from_store} kept from before"


def print_rejected(outcome: Outcome) -> None:
    """Print the number of rejects, by reason."""
    for reason, number in outcome.reasons.most_common():
        print(f"rejected: {number} ({reason})")


def require_some(outcome: Outcome, path: Path) -> None:
    """If there are only rejects, write them and raise, rather than write a file without rows.

    Raises:
        IsoglotError: there is no row, and not because the budget was too small.
    """
    if outcome.rows or not outcome.rejects or unpaid_of(outcome):
        return
    write_rejects(outcome.rejects, path)
    said = "; ".join(f"{number} {reason}" for reason, number in outcome.reasons.most_common(3))
    raise IsoglotError(
        f"none of {len(outcome.rejects)} requests gave a row ({said}); no rows are written, the rejects are in {path}. "
        "If the endpoint was at fault, run the same command again (with --overwrite): received answers are kept"
    )


def write_rejects(rejects: list[dict[str, Any]], path: Path) -> None:
    """Write rejects as JSON lines; if there are none, delete the file of an earlier run."""
    from isoglot.core.files import write_text

    if rejects:
        write_text(path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in rejects))
    else:
        path.unlink(missing_ok=True)


def rejects_beside(output: Path) -> Path:
    """Return the default path of the rejects."""
    name = output.name.removesuffix(".gz").removesuffix(".jsonl")
    return output.with_name(f"{name}.rejects.jsonl")
