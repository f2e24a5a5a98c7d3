"""Training settings: flag, recipe key and Python argument share one name."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, get_args

from cyclopts import Group, Parameter

from isoglot.core.arguments import check_choice, check_kind, check_number, check_whole, settle
from isoglot.core.errors import InputError
from isoglot.encoders.devices import TrainPrecision
from isoglot.training.sampling.regimes import Sampling

Embeddings = Literal["used", "all", "freeze"]
Wire = Literal["fp32", "bf16"]
# Losses with a dedicated weight setting, `loss_NAME`.
# Groups of `--help`, between training's other flags and those that open the model (`isoglot.cli.help_page`).
BATCHES = Group("Batches", sort_key=4)
LORA = Group("LoRA", sort_key=5)
_OWN = ("info_nce", "symmetric", "jsd", "kl", "distill")
_LEAST = {
    "batch_size": 2,
    "max_steps": 1,
    "warmup_steps": 0,
    "save_steps": 0,
    "seed": 0,
    "chunk": 1,
    "grad_cache": 1,
    "negatives": 0,
    "eval_steps": 1,
    "patience": 0,
    "log_steps": 1,
    "query_length": 4,
    "passage_length": 4,
}
_OPTIONAL = ("chunk", "grad_cache", "query_length", "passage_length")


@dataclass(frozen=True)
class LoraSettings:
    """Train low-rank adapters instead of the weights (LoRA, arXiv 2106.09685), with `peft`.

    Attributes:
        rank: Train LoRA adapters of this rank instead of the full weights.
        alpha: LoRA alpha (adapters are scaled by alpha / rank); twice the rank when not given.
        targets: Comma-separated names of the linear layers to adapt, such as q_proj,v_proj; all when not given.
        dropout: Dropout before the LoRA adapters.
        merge: Merge the LoRA adapter into the weights at the end; the result is a plain model folder.
    """

    rank: Annotated[int, Parameter(name="--lora-rank")]
    alpha: Annotated[float | None, Parameter(name="--lora-alpha")] = None
    targets: Annotated[str | tuple[str, ...] | None, Parameter(name="--lora-targets", negative="")] = None
    dropout: Annotated[float, Parameter(name="--lora-dropout")] = 0.0
    merge: Annotated[bool, Parameter(name="--merge", negative="")] = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is invalid; the message names it.
        """
        settle(self, "lora.")
        check_whole("lora.rank", self.rank, 1)
        if self.alpha is not None:
            check_number("lora.alpha", self.alpha, "a positive number", lambda alpha: alpha > 0)
        check_number("lora.dropout", self.dropout, "a share from 0 to below 1", lambda share: 0 <= share < 1)
        if self.targets is not None:
            check_kind("lora.targets", self.targets, (str, list, tuple), "names of layers, such as 'q_proj,v_proj'")
        if self.targets is not None and not self.target_names:
            raise InputError(f"lora.targets {self.targets!r}: expected names of layers, such as q_proj,v_proj")

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the layers to adapt; empty for all."""
        given = self.targets.split(",") if isinstance(self.targets, str) else self.targets or ()
        return tuple(name.strip() for name in given if name.strip())


@dataclass(frozen=True)
class TrainSettings:
    """How to train; the defaults are those recommended in `docs/training.md`.

    Attributes:
        sampling: The regime.
        temperature: Temperature of InfoNCE: cosines are divided by it.
        batch_size: Pairs per step and process.
        lr: Peak learning rate of AdamW; after the warm-up it falls linearly to zero.
        weight_decay: Weight decay of AdamW.
        warmup_steps: Steps over which the learning rate rises.
        clip: Clip gradients to this norm.
        max_steps: Number of optimiser steps.
        seed: Seed of batches and dropout.
        query_length: Truncate queries to this many tokens; the model's preset when not given.
        passage_length: Truncate passages to this many tokens; the model's preset when not given.
        embeddings: Which rows of the token embeddings to train: used (those whose tokens occur in the training data),
            all, or freeze (none). By default used, with LoRA freeze.
        lora: Train adapters instead of the weights.
        precision: bf16 is autocast over float32 weights; auto uses it where the device supports it in hardware.
        chunk: Texts encoded at a time, sorted by length; chosen by device when not given.
        grad_cache: GradCache: encode this many texts at a time, twice, so that memory does not grow with the batch
            size; off when not given.
        gradient_wire: Data type of the gradients that processes exchange; bf16 halves the bytes and rounds to 8 bits.
        negatives: Hard negatives per pair, taken from the row of its passage.
        loss_info_nce: Weight of InfoNCE: find a query's passage among the passages of the batch.
        loss_symmetric: Weight of InfoNCE in the other direction: find a passage's query among the queries of the batch.
        loss_jsd: Weight of the Jensen-Shannon divergence between the score distributions of parallel passages.
        loss_kl: Weight of the KL divergence between the score distributions of parallel queries.
        loss_distill: Weight of the distillation of teacher scores in the rows.
        align_teacher: Teacher of the losses align, align_regression and align_scores, which encodes the texts in the
            pivot language; the untrained model itself when not given.
        loss: Weights of registered losses, as NAME=WEIGHT; may be given several times.
        holdout: Share of the passages (with all their rows) held out of training to select the best step on.
        eval_steps: Steps between two evaluations on the held-out rows.
        patience: Stop early after this many evaluations without an improvement; 0 never stops early.
        save_steps: Steps between checkpoints; 0 keeps none.
        log_steps: Steps between two lines of training.jsonl.
        log_batches: Write every batch's row numbers to batches-RANK.jsonl.
        tensorboard: Write TensorBoard events to the output folder's tensorboard.
        device: Device, such as cpu or cuda; chosen by torch when not given.
    """

    sampling: Annotated[Sampling, Parameter(name="*", group=BATCHES)] = field(default_factory=Sampling)
    temperature: float = 0.03
    batch_size: int = 32
    lr: float = 3e-5
    weight_decay: float = 0.01
    warmup_steps: int = 10
    clip: float = 1.0
    max_steps: int = 300
    seed: int = 0
    query_length: int | None = None
    passage_length: int | None = None
    embeddings: Embeddings | None = None
    lora: Annotated[LoraSettings | None, Parameter(name="*", group=LORA)] = None
    precision: TrainPrecision = "auto"
    chunk: int | None = None
    grad_cache: int | None = None
    gradient_wire: Wire = "fp32"
    negatives: int = 1
    loss_info_nce: float = 1.0
    loss_symmetric: float = 0.0
    loss_jsd: float = 0.0
    loss_kl: float = 0.0
    loss_distill: float = 0.0
    align_teacher: str | None = None
    loss: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    holdout: float = 0.0
    eval_steps: int = 50
    patience: int = 0
    save_steps: int = 100
    log_steps: int = 10
    log_batches: Annotated[bool, Parameter(negative="")] = False
    tensorboard: Annotated[bool, Parameter(negative="")] = False
    device: str | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is invalid; the message names it.
        """
        settle(self)
        check_kind("sampling", self.sampling, Sampling, "a Sampling of isoglot.training, such as Sampling('hybrid')")
        if self.lora is not None:
            check_kind("lora", self.lora, LoraSettings, "a LoraSettings of isoglot.training")
        check_kind("loss", self.loss, (list, tuple), "several NAME=WEIGHT, such as ('margin=0.5',)")
        for name in ("temperature", "lr", "clip"):
            check_number(name, getattr(self, name), "a positive number", lambda number: number > 0)
        check_number("weight_decay", self.weight_decay, "a number of at least 0", lambda number: number >= 0)
        for name, least in _LEAST.items():
            number = getattr(self, name)
            if number is not None or name not in _OPTIONAL:
                check_whole(name, number, least)
        for name, value, allowed in (
            ("embeddings", self.token_table, get_args(Embeddings)),
            ("precision", self.precision, get_args(TrainPrecision)),
            ("gradient_wire", self.gradient_wire, get_args(Wire)),
        ):
            check_choice(name, value, allowed)
        if self.lora is not None and not self.lora.merge and self.token_table != "freeze":
            raise InputError(
                f"embeddings {self.token_table}: an adapter holds no token table; give `lora.merge`, or leave it frozen"
            )
        for loss in _OWN:
            weight = getattr(self, f"loss_{loss}")
            check_number(f"loss_{loss}", weight, "a weight of 0 or more", lambda weight: weight >= 0)
        if not any(self.loss_weights.values()):
            raise InputError("all losses have weight 0; give `loss_info_nce`, `loss_symmetric` or another a weight")
        check_number("holdout", self.holdout, "a share from 0 to below 1, such as 0.05", lambda share: 0 <= share < 1)

    @property
    def token_table(self) -> Embeddings:
        """The value of `embeddings`, or its default: `used`, with LoRA `freeze`."""
        return self.embeddings or ("used" if self.lora is None else "freeze")

    @property
    def loss_weights(self) -> dict[str, float]:
        """The losses' nonzero weights, by registered name.

        Raises:
            InputError: an entry of `loss` is not NAME=WEIGHT, or a name is given twice.
        """
        weights = {name: getattr(self, f"loss_{name}") for name in _OWN}
        given: set[str] = set()
        for entry in self.loss:
            check_kind("loss", entry, str, "NAME=WEIGHT, such as 'margin=0.5'")
            name, _, text = entry.partition("=")
            name = name.strip()
            try:
                weight = float(text)
            except ValueError:
                weight = math.nan
            if not name or not 0.0 <= weight < math.inf:
                raise InputError(f"loss {entry!r}: expected NAME=WEIGHT with a weight of 0 or more, such as margin=0.5")
            if name in given:
                raise InputError(f"loss {entry!r}: {name} is given twice")
            given.add(name)
            weights[name] = weight
        return {name: weight for name, weight in weights.items() if weight}


def flat_settings(settings: TrainSettings) -> dict[str, Any]:
    """Return all settings, sampling included, as one flat dict of JSON values, named as in flags and recipes."""
    values = asdict(settings)
    flat = {**values.pop("sampling"), **values, "embeddings": settings.token_table}
    del flat["lora"], flat["loss"]
    if settings.gradient_wire == "fp32":
        del flat["gradient_wire"]  # so that records equal those from before this setting
    if settings.loss:
        flat["loss"] = list(settings.loss)
    if settings.lora is not None:
        lora = {**asdict(settings.lora), "targets": list(settings.lora.target_names)}
        flat |= {name if name == "merge" else f"lora_{name}": value for name, value in lora.items()}
    return flat
