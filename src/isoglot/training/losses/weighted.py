"""The loss of a training run: a weighted sum of named terms, none of which treats a translation as a negative."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import Tensor

from isoglot.core.errors import InputError
from isoglot.training.losses.batch import PairBatch, Pivots, pair_batch
from isoglot.training.losses.chunked import embed_columns
from isoglot.training.losses.named import LossTerm, weighted_terms


class Measured(NamedTuple):
    """The loss of one batch and its parts.

    Attributes:
        loss: scalar, with its autograd graph.
        per_query: (B,) InfoNCE of each query, detached.
        terms: value of each term by name, unweighted and detached.
    """

    loss: Tensor
    per_query: Tensor
    terms: dict[str, Tensor]


class GroupMaskedInfoNCE(MultipleNegativesRankingLoss):  # type: ignore[misc]
    """Sentence Transformers' in-batch negatives loss with group masks.

    Labels hold the identity of each pair's passage (its component number): shape (B,), or (B, 1 + negatives) if there
    are further text columns with hard negatives. There, -1 marks a negative that is not the passage of any row, and
    -2 an empty slot.

    Args:
        model: the model to train.
        temperature: cosines are divided by it.
        chunk: texts embedded at a time, each chunk padded to its longest text; None embeds each column at once.
        gather_across_devices: use the passages of all processes as negatives; masks apply to them too.
        recompute: GradCache: keep the activations of one chunk at a time and embed every chunk twice.
        terms: the terms of the loss and their weights, by name (see `weighted_terms`); `info_nce` alone when None.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.03,
        *,
        chunk: int | None = None,
        gather_across_devices: bool = False,
        recompute: bool = False,
        terms: Mapping[str, tuple[LossTerm, float]] | None = None,
    ) -> None:
        super().__init__(model, scale=1.0 / temperature, gather_across_devices=gather_across_devices)
        self.chunk = chunk
        self.recompute = recompute
        self._terms = weighted_terms({"info_nce": 1.0}) if terms is None else dict(terms)

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor) -> Tensor:
        """Return the loss of text columns (queries, passages, hard negatives); see the class for `labels`."""
        return self.measure(list(sentence_features), labels).loss

    def measure(
        self,
        columns: Sequence[dict[str, Any]],
        labels: Tensor,
        *,
        parallel: Sequence[dict[str, Any]] = (),
        teacher: Tensor | None = None,
        languages: Tensor | None = None,
        names: tuple[str, ...] = (),
        pivots: Pivots | None = None,
    ) -> Measured:
        """Embed the columns and compute the loss and its parts.

        Args:
            columns: features of queries, passages and each column of hard negatives.
            labels: identities, see the class.
            parallel: features of the passages in the queries' languages and of the queries in the passages' languages.
            teacher: (B, 1 + negatives) teacher scores, NaN where missing.
            languages: (2, B) indices in `names` of the queries' and the passages' languages.
            names: language codes.
            pivots: frozen vectors of pivot versions.
        """
        embeddings = embed_columns(self.model, [*columns, *parallel], self.chunk, recompute=self.recompute)
        batch = pair_batch(
            embeddings[: len(columns)],
            labels,
            self.temperature,
            parallel=embeddings[len(columns) :],
            teacher=teacher,
            languages=languages,
            names=names,
            gather=self.gather_across_devices,
            pivots=pivots,
        )
        return self.compare(batch)

    def compare(self, batch: PairBatch) -> Measured:
        """Compute the weighted sum of the terms of one batch.

        Raises:
            InputError: a term returned something other than a scalar, or none of the terms has a gradient.
        """
        terms: dict[str, Tensor] = {}
        # Temperatures are small, so bfloat16 products would distort the logits, also in a user's function.
        with torch.autocast(batch.queries.device.type, enabled=False):
            for name, (term, _) in self._terms.items():
                value = term.function(batch)
                if value is None:
                    continue
                if not isinstance(value, Tensor) or value.ndim:
                    shape = f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                    raise InputError(f"loss {name!r} gave {shape}; expected a scalar tensor, such as a mean")
                terms[name] = value
            total = [self._terms[name][1] * value for name, value in terms.items()]
            loss = torch.stack(total).sum() if total else batch.per_query.sum() * 0.0
        if batch.queries.requires_grad and torch.is_grad_enabled() and not loss.requires_grad:
            raise InputError(
                f"loss {', '.join(map(repr, terms))} has no gradient; compute it from the batch's "
                "vectors, such as `batch.queries`, without detaching them"
            )
        return Measured(loss, batch.per_query.detach(), {name: value.detach() for name, value in terms.items()})

    def get_config_dict(self) -> dict[str, Any]:
        """Return the loss settings for the model card."""
        return {"temperature": self.temperature, "gather_across_devices": self.gather_across_devices}
