"""How a model is opened and used: the same settings for every verb and function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from isoglot.encoders.devices import Precision

Dtype = Literal["auto", "bfloat16", "float16", "float32"]


@dataclass(frozen=True)
class ModelOptions:
    """How a model is opened and used.

    Attributes:
        device: Such as cpu or cuda; chosen by torch when not given.
        devices: Several devices, comma-separated, one process each: 0,1 (of CUDA), or cpu,cpu.
        length: Tokens kept of a text, prompt and special ones included; the model's preset when not given.
        precision: bf16 or fp32; auto takes what the device does well.
        dtype: Of the weights, such as bfloat16; as the model's folder says when auto, float32 when not given.
        query_prompt: Put before queries, instead of the model's own.
        passage_prompt: Put before passages, instead of the model's own.
        revision: Of a Hub id: a commit, tag or branch.
        trust_remote_code: Run the code that comes with the model.
    """

    device: str | None = None
    devices: str | None = None
    length: int | None = None
    precision: Precision = "auto"
    dtype: Dtype | None = None
    query_prompt: str | None = None
    passage_prompt: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    @property
    def prompts(self) -> dict[str, str]:
        """The prompts that were given, by role."""
        given = {"query": self.query_prompt, "passage": self.passage_prompt}
        return {role: prompt for role, prompt in given.items() if prompt is not None}

    def record(self) -> dict[str, Any]:
        """What decides the vectors and is not the default, for the record of a run."""
        values = {
            "length": self.length,
            "precision": None if self.precision == "auto" else self.precision,
            "dtype": self.dtype,
            "prompts": self.prompts or None,
            "revision": self.revision,
        }
        return {key: value for key, value in values.items() if value is not None}
