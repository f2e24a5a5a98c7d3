"""Settings for opening and running a model, shared by all commands and functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, get_args

from cyclopts import Parameter
from cyclopts.validators import Number

from isoglot.core.arguments import check_choice, check_kind, check_whole, settle
from isoglot.core.errors import InputError
from isoglot.encoders.devices import Precision

Dtype = Literal["bfloat16", "float16", "float32"]
LEAST = 4  # tokens per text: the special ones and at least one other
# Arguments of transformers' from_pretrained that an index may record for others. Most others could run code that comes
# with a model or with a repository of kernels (`trust_remote_code`, for one), or write files.
_HARMLESS = frozenset({"attn_implementation", "device_map", "dtype", "subfolder", "torch_dtype", "use_safetensors"})


@dataclass(frozen=True)
class LoadOptions:
    """Settings for opening a model.

    Attributes:
        dtype: Data type of the weights; as the model's folder says when not given.
        query_prompt: Text prepended to each query, in place of the model's own prompt.
        passage_prompt: Text prepended to each passage, in place of the model's own prompt.
        revision: Revision of a Hub id: a commit, tag or branch.
        trust_remote_code: Run Python code that comes with the model.
        model_kwargs: Further arguments of transformers' from_pretrained, as JSON: {"attn_implementation": "eager"}.
    """

    dtype: Dtype | None = None
    query_prompt: str | None = None
    passage_prompt: str | None = None
    revision: str | None = None
    trust_remote_code: Annotated[bool, Parameter(negative="")] = False
    model_kwargs: str | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: one of the wrong type.
        """
        settle(self)
        if self.model_kwargs is not None:
            expected = 'JSON as one text, such as \'{"attn_implementation": "eager"}\''
            check_kind("model_kwargs", self.model_kwargs, str, expected)

    @property
    def prompts(self) -> dict[str, str]:
        """The given prompts, by role."""
        given = {"query": self.query_prompt, "passage": self.passage_prompt}
        return {role: prompt for role, prompt in given.items() if prompt is not None}

    def filled(self, record: Mapping[str, Any]) -> Self:
        """Return a copy in which settings that were not given come from `record`.

        Args:
            record: of an index, which may be a stranger's.

        Raises:
            InputError: its `model_kwargs` have more than what chooses the weights and how they are computed with.
        """
        prompts = record.get("prompts", {})
        return replace(
            self,
            dtype=self.dtype or record.get("dtype"),
            query_prompt=prompts.get("query") if self.query_prompt is None else self.query_prompt,
            passage_prompt=prompts.get("passage") if self.passage_prompt is None else self.passage_prompt,
            revision=self.revision or record.get("revision"),
            model_kwargs=self.model_kwargs or _harmless(record.get("model_kwargs")),
        )

    def arguments(self) -> dict[str, Any]:
        """Return the settings as keyword arguments of `load`.

        Raises:
            InputError: `model_kwargs` is not a JSON object.
        """
        return {
            "dtype": self.dtype,
            "revision": self.revision,
            "trust_remote_code": self.trust_remote_code,
            "prompts": self.prompts,
            "model_kwargs": self._keywords(),
        }

    def _keywords(self) -> dict[str, Any]:
        try:
            found = json.loads(self.model_kwargs or "{}")
        except ValueError as error:
            raise InputError(f"model_kwargs {self.model_kwargs}: not JSON ({error})") from error
        if not isinstance(found, dict):
            raise InputError(f"model_kwargs {self.model_kwargs}: expected an object, such as " + '{"name": "value"}')
        if "token" in found:
            raise InputError("model_kwargs: a token would be recorded in every output; put it in HF_TOKEN")
        return found

    def record(self) -> dict[str, Any]:
        """Return the given settings that affect the vectors, for the run record."""
        given = {
            "dtype": self.dtype,
            "prompts": self.prompts or None,
            "revision": self.revision,
            "model_kwargs": self.model_kwargs,
        }
        return {key: value for key, value in given.items() if value is not None}


def _harmless(recorded: str | None) -> str | None:
    """Return recorded `model_kwargs` after checking them."""
    if recorded is None:
        return None
    given = LoadOptions(model_kwargs=recorded)._keywords()
    # Names with a slash are Hub repositories of kernels, whose code is run.
    odd = [key for key in given if key not in _HARMLESS or (key == "attn_implementation" and "/" in str(given[key]))]
    if odd:
        raise InputError(
            f"the index records model_kwargs {recorded[:200]}, and {odd[0]!r} may run code of others; if you trust it, "
            "give these `model_kwargs` yourself"
        )
    return recorded


@dataclass(frozen=True)
class ModelOptions(LoadOptions):
    """Settings for opening a model and encoding with it.

    Attributes:
        length: Maximum tokens per text, including prompt and special tokens; the model's preset when not given.
        precision: Precision of the computation: auto chooses bf16 or fp32 by the device; int8 is faster on CPUs with
            VNNI.
        device: Device, such as cpu or cuda; chosen by torch when not given.
    """

    length: Annotated[int | None, Parameter(validator=Number(gte=LEAST))] = None
    precision: Precision = "auto"
    device: str | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: one of the wrong type, a length under 4 tokens, or an unknown precision.
        """
        super().__post_init__()
        if self.length is not None:
            check_whole("length", self.length, LEAST, "tokens")
        check_choice("precision", self.precision, get_args(Precision))
