"""Asking a model: generated answers, and log-likelihoods of given ones.

Prompts are batched by length and padded behind a mask, so that an answer does not depend on what
else is in its batch, beyond float32 rounding.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional

from mmicl.errors import DataError
from mmicl.model.features import FeatureStore, compute_features
from mmicl.model.processor import IGNORED
from mmicl.model.views import View

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.images.store import ImageStore
    from mmicl.model.processor import MmiclProcessor


def project_features(
    model: "Blip2ForConditionalGeneration", features: torch.Tensor
) -> torch.Tensor:
    """Q-Former outputs [images, queries, hidden] as the language model takes them, [..., width].

    No images, of whatever hidden size, go through the projection as well: ranks that share a batch
    must all use it, or have no gradient of it to share.
    """
    projection, embeddings = model.language_projection, cast("Any", model.get_input_embeddings())
    if not len(features):
        features = features.new_zeros(0, features.shape[1], projection.in_features)
    return projection(features.to(embeddings.weight.dtype))


def find_placeholders(input_ids: torch.Tensor, placeholder: int) -> torch.Tensor:
    """Where placeholder tokens stand in the flattened ids of prompts [prompts, tokens].

    To be asked of ids that are on the CPU still: a GPU would be waited for.
    """
    return (input_ids.flatten() == placeholder).nonzero().flatten()


def embed_prompts(
    model: "Blip2ForConditionalGeneration",
    input_ids: torch.Tensor,
    places: torch.Tensor,
    projected: torch.Tensor,
) -> torch.Tensor:
    """Token embeddings [prompts, tokens, width] with projected image features at placeholders.

    What BLIP-2's own forward does after its projection, without waiting for a GPU on either way.

    Args:
        model: The model.
        input_ids: [prompts, tokens], each placeholder repeated once per query.
        places: Of the placeholders, from `find_placeholders`.
        projected: [images, queries, width], images in order of the placeholders.

    Raises:
        DataError: Another number of placeholders than image features.
    """
    embeddings = model.get_input_embeddings()(input_ids)
    images, queries, width = projected.shape
    if len(places) != images * queries:
        raise DataError(f"{len(places)} placeholder tokens for {images} images of {queries} tokens")
    if not images:
        # Nothing is added. But ranks that share a batch must all use the projection, and at the
        # same place of the backward pass: with ZeRO 3 they would otherwise wait for each other.
        return embeddings + projected.sum().to(embeddings.dtype)
    flat = projected.reshape(-1, width).to(embeddings.dtype)
    return embeddings.flatten(0, 1).index_copy(0, places, flat).view_as(embeddings)


class Predictor:
    """A model with the pictures that requests name.

    Args:
        model: In any mode; it is put into evaluation mode.
        processor: The model's.
        images: The pictures.
        features: Their cached features. What they lack, and everything where this is None, is
            computed from the pictures, with the same result.
        batch_size: Prompts a forward pass.
    """

    def __init__(
        self,
        model: "Blip2ForConditionalGeneration",
        processor: "MmiclProcessor",
        images: "ImageStore",
        features: FeatureStore | None = None,
        *,
        batch_size: int = 32,
    ) -> None:
        self.model, self.processor = model.eval(), processor
        self.images, self.features, self.batch_size = images, features, batch_size

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[str], images: Sequence[Sequence[str]], max_new_tokens: int
    ) -> list[str]:
        """Greedy answers, in the order of the prompts.

        Args:
            prompts: One placeholder per image.
            images: Image references of each prompt, in order.
            max_new_tokens: The longest answer.

        Raises:
            DataError: Placeholders and images do not fit, or a picture is missing.
        """
        from transformers.modeling_outputs import BaseModelOutput

        answers = [""] * len(prompts)
        for rows, states, mask in self._encode(prompts, images):
            ids = self.model.language_model.generate(
                encoder_outputs=BaseModelOutput(last_hidden_state=states),
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                num_beams=1,
            )
            for row, text in zip(rows, self.processor.decode(ids), strict=True):
                answers[row] = text
        return answers

    @torch.inference_mode()
    def score(
        self,
        prompts: Sequence[str],
        images: Sequence[Sequence[str]],
        candidates: Sequence[Sequence[str]],
    ) -> list[list[float]]:
        """Log-likelihood (natural logarithm, end token included) of each candidate.

        Each prompt is encoded once; all its candidates are scored against those states.

        Args:
            prompts: One placeholder per image.
            images: Image references of each prompt, in order.
            candidates: The answers to score, for each prompt.

        Raises:
            DataError: As `generate`.
        """
        scores = [[0.0] * len(texts) for texts in candidates]
        for rows, states, mask in self._encode(prompts, images):
            pairs = [
                (place, nth)
                for place, row in enumerate(rows)
                for nth in range(len(candidates[row]))
            ]
            for start in range(0, len(pairs), self.batch_size):
                part = pairs[start : start + self.batch_size]
                texts = [candidates[rows[place]][nth] for place, nth in part]
                places = torch.tensor([place for place, _ in part], device=states.device)
                values = self._score_targets(states[places], mask[places], texts)
                for (place, nth), value in zip(part, values, strict=True):
                    scores[rows[place]][nth] = value
        return scores

    def _score_targets(
        self, states: torch.Tensor, mask: torch.Tensor, texts: Sequence[str]
    ) -> list[float]:
        """Log-likelihood of one text per row of encoder states [rows, tokens, width]."""
        language = self.model.language_model
        labels = self.processor.encode_targets(texts).labels.to(states.device)
        logits = language(
            encoder_outputs=(states,),
            attention_mask=mask,
            decoder_input_ids=language.prepare_decoder_input_ids_from_labels(labels),
        ).logits
        losses = functional.cross_entropy(
            logits.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        return (-losses.sum(dim=1)).tolist()

    def _encode(
        self, prompts: Sequence[str], images: Sequence[Sequence[str]]
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Encoder states of all prompts, longest first: places, states, mask of each batch."""
        ids = self.processor.encode(prompts, [len(row) for row in images])
        order = sorted(range(len(ids)), key=lambda row: (-len(ids[row]), row))
        device = self.model.device
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            batch = self.processor.pad([ids[row] for row in rows])
            places = find_placeholders(batch["input_ids"], self.processor.placeholder_id)
            input_ids, mask = batch["input_ids"].to(device), batch["attention_mask"].to(device)
            views = [
                view for row in rows for view in self.processor.views(prompts[row], images[row])
            ]
            features = self._features(views).to(device)
            projected = project_features(self.model, features)
            embeddings = embed_prompts(self.model, input_ids, places.to(device), projected)
            encoder = self.model.language_model.get_encoder()
            states = encoder(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
            yield rows, states, mask

    def _features(self, views: Sequence[View]) -> torch.Tensor:
        """Features [views, queries, hidden] from the store or from the pictures."""
        known = self.features if self.features is not None else ()
        missing = sorted({view for view in views if view.key not in known})
        values: dict[View, torch.Tensor] = {}
        if missing:
            computed = compute_features(missing, self.images, self.model, self.processor)
            values = dict(zip(missing, torch.cat(list(computed)), strict=True))
        if not views:
            return torch.zeros(0, self.processor.num_query_tokens, 1)
        return torch.stack(
            [values[view] if view in values else self.features.get(view.key) for view in views]  # type: ignore[union-attr]
        )
