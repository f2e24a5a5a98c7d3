"""Token counts of texts for an encoder, and the lengths to which training truncates them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from isoglot.core.arguments import check_kind, check_whole
from isoglot.encoders.embedder import Role
from isoglot.encoders.loading import load, prompt_of, quiet_libraries
from isoglot.encoders.model_names import EMBEDDED
from isoglot.encoders.options import LEAST, LoadOptions
from isoglot.encoders.presets import preset_named

Lengths = Callable[[list[str]], tuple[list[int], int]]
"""A function from texts to the token count of each and the number of unknown tokens in all of them."""


class Tokeniser(NamedTuple):
    """Counts an encoder's tokens: one function for each role, and the lengths to which training truncates.

    Attributes:
        queries: function from queries to the token count of each, including the prompt, and the number of unknown
            tokens in all of them.
        passages: the same for passages.
        query_length: queries are truncated to this many tokens.
        passage_length: passages are truncated to this many tokens.
    """

    queries: Lengths
    passages: Lengths
    query_length: int
    passage_length: int


def open_tokeniser(
    name: str = EMBEDDED,
    query_length: int | None = None,
    passage_length: int | None = None,
    options: LoadOptions | None = None,
) -> Tokeniser:
    """Load an encoder on the CPU to count its tokens.

    Args:
        name: `embedded`, a local folder, or a Hub id.
        query_length: training truncates queries to this many tokens; the model's preset when None.
        passage_length: training truncates passages to this many tokens; the model's preset when None.
        options: how to load the model.

    Raises:
        InputError: there is no such model, or an argument has the wrong type.

    Example:
        >>> from isoglot.curation import audit, open_tokeniser
        >>> tokeniser = open_tokeniser("embedded", passage_length=4)
        >>> rows = [
        ...     {"group": 1, "lang": "de", "query": "Wie hoch ist der Ararat?", "passage": "Er ist 5137 Meter hoch."},
        ...     {"group": 1, "lang": "en", "query": "How high is Mount Ararat?", "passage": "5,137 metres."},
        ... ]
        >>> facts = audit(rows, tokeniser=tokeniser, batch_size=1, batches=1)
        >>> facts["tokens"]["languages"]["de"]["cut_passages"]
        1
    """
    check_kind("name", name, str, "`embedded`, a folder, or a Hub id, as text")
    for argument, length in (("query_length", query_length), ("passage_length", passage_length)):
        if length is not None:
            check_whole(argument, length, LEAST, "tokens")
    if options is not None:
        check_kind("options", options, LoadOptions, "a LoadOptions of isoglot.encoders")
    quiet_libraries()
    model = load(name, device="cpu", **(options or LoadOptions()).arguments())
    preset = preset_named(name)
    unknown = getattr(model.tokenizer, "unk_token_id", None)

    def counter(role: Role) -> Lengths:
        prompt = prompt_of(model, role)

        def count(texts: list[str]) -> tuple[list[int], int]:
            lengths, missing = [], 0
            for start in range(0, len(texts), 1024):
                part: list[Any] = [prompt + text for text in texts[start : start + 1024]]
                for ids in model.tokenizer(part, verbose=False)["input_ids"]:
                    lengths.append(len(ids))
                    missing += ids.count(unknown)
            return lengths, missing

        return count

    return Tokeniser(
        counter("query"),
        counter("passage"),
        query_length or preset.query_length,
        passage_length or preset.passage_length,
    )
