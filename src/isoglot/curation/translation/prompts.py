"""Prompts that translate a row's query and passage in one request, so that each is the context of the other."""

from __future__ import annotations

import json
from collections.abc import Callable

from isoglot.core.chat_completions import json_object
from isoglot.curation.language_model.chat import Question
from isoglot.data.rows import Row
from isoglot.languages.table import language

_ASK = """Translate a question and the passage that answers it from {source} into {target}.
Translate the question as somebody who speaks {target} would ask it, in the sense that the passage gives it.
Keep names, numbers, code and addresses as they are. Add nothing and leave nothing out.

{given}

Answer with one JSON object only, with the keys {keys}, whose values are the translations into {target}."""
_ANSWER_TOKENS = 64  # for braces and keys
_TOKENS_A_BYTE = 1.0  # upper bound for a translation: some scripts take more tokens than the source's


def translation_question(row: Row, target: str) -> Question[dict[str, str]]:
    """Return the request to translate a row; its subject is (row, target)."""
    given = {"query": row.query, "passage": row.passage} | ({"title": row.title} if row.title else {})
    names = [f"{language(code).name} ({code})" for code in (row.lang, target)]
    prompt = _ASK.format(
        source=names[0],
        target=names[1],
        given=json.dumps(given, ensure_ascii=False, indent=1),
        keys=", ".join(f'"{key}"' for key in given),
    )
    size = sum(len(text.encode()) for text in given.values())
    return Question((row, target), prompt, _reader(list(given)), int(size * _TOKENS_A_BYTE) + _ANSWER_TOKENS)


def _reader(keys: list[str]) -> Callable[[str], dict[str, str]]:
    def read(answer: str) -> dict[str, str]:
        record = json_object(answer, keys)
        texts = {key: record[key] for key in keys}
        wrong = [key for key, value in texts.items() if not isinstance(value, str) or not value.strip()]
        if wrong:
            raise ValueError(f"an answer whose {', '.join(wrong)} is not a text")
        return {key: " ".join(value.split()) if key != "passage" else value.strip() for key, value in texts.items()}

    return read
