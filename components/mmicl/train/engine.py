"""The DeepSpeed engine around the model: losses per sample, optimizer, state in and out."""

import logging
import random
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch.nn import functional

from mmicl.config import Launch, Training
from mmicl.model.freeze import set_modes
from mmicl.model.inference import embed_prompts
from mmicl.model.processor import IGNORED

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine
    from transformers import Blip2ForConditionalGeneration

    from mmicl.train.batches import MicroBatch

SMALL_BUCKET, LARGE_BUCKET = 5e6, 5e8
"""Elements of DeepSpeed's communication buckets: its default is the large one, and filling a
buffer of that size every step takes seconds on a small machine."""


class LossModel(torch.nn.Module):
    """BLIP-2 with the loss that training wants: one sum per sample, not a mean over a batch."""

    def __init__(self, model: "Blip2ForConditionalGeneration") -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: "MicroBatch") -> torch.Tensor:
        """Cross-entropy summed over each sample's target tokens, float32 [rows]."""
        language = self.model.language_model
        decoder_input_ids = language.prepare_decoder_input_ids_from_labels(batch.labels)
        if batch.visual.ndim == 4:
            logits = self.model(
                pixel_values=batch.visual.to(self.model.dtype),
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                decoder_input_ids=decoder_input_ids,
            ).logits
        else:
            logits = language(
                inputs_embeds=embed_prompts(self.model, batch.input_ids, batch.visual),
                attention_mask=batch.attention_mask,
                decoder_input_ids=decoder_input_ids,
            ).logits
        losses = functional.cross_entropy(
            logits.float().transpose(1, 2), batch.labels, ignore_index=IGNORED, reduction="none"
        )
        return losses.sum(dim=1)


def start_ranks() -> None:
    """Join the other ranks, and keep DeepSpeed quiet."""
    import deepspeed
    from deepspeed.utils import logger

    logger.setLevel(logging.WARNING)
    # Shared-memory reductions of the CPU backend: compiling them takes a minute, and the results
    # are the same without.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed()


def build_engine(
    model: "Blip2ForConditionalGeneration", training: Training, launch: Launch
) -> "DeepSpeedEngine":
    """Hand the model's trainable parameters to DeepSpeed.

    Args:
        model: With `requires_grad` set as the recipe wants.
        training: Optimizer and precision.
        launch: ZeRO stage and micro-batch.
    """
    import deepspeed

    wrapped = LossModel(model)
    trained = [parameter for parameter in wrapped.parameters() if parameter.requires_grad]
    bucket = int(min(LARGE_BUCKET, max(SMALL_BUCKET, sum(value.numel() for value in trained))))
    groups = [
        {
            "params": [value for value in trained if value.ndim > 1],
            "weight_decay": training.weight_decay,
        },
        {"params": [value for value in trained if value.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=training.learning_rate
    )
    engine, *_ = deepspeed.initialize(
        model=wrapped,
        optimizer=optimizer,
        config={
            "train_micro_batch_size_per_gpu": launch.micro_batch,
            "gradient_accumulation_steps": 1,  # as many as a batch needs: the loop sets the bounds
            "gradient_clipping": training.clip_norm,
            "zero_allow_untested_optimizer": True,
            "bf16": {"enabled": training.precision == "bf16"},
            "steps_per_print": 10**9,
            "zero_optimization": {
                "stage": launch.zero_stage,
                "overlap_comm": False,
                "reduce_bucket_size": bucket,
                "allgather_bucket_size": bucket,
                "stage3_prefetch_bucket_size": bucket,
            },
        },
    )
    set_training(engine, True)
    return engine


def blip2_of(engine: "DeepSpeedEngine") -> "Blip2ForConditionalGeneration":
    """The model inside an engine."""
    return cast("LossModel", engine.module).model


def set_training(engine: "DeepSpeedEngine", training: bool) -> None:
    """Training mode (frozen parts stay in evaluation mode), or evaluation mode throughout."""
    engine.train(training)
    if training:
        set_modes(blip2_of(engine))


def take_step(engine: "DeepSpeedEngine", rate: float) -> float:
    """Clip, update, and return the gradients' norm before clipping.

    Call after the backward pass of the last micro batch.
    """
    optimizer: Any = engine.optimizer
    for group in optimizer.param_groups:
        group["lr"] = rate
    norm = None
    if engine.zero_optimization_stage() == 0:  # the only stage that does not keep it
        norm = torch.nn.utils.get_total_norm(
            [value.grad for value in blip2_of(engine).parameters() if value.grad is not None]
        )
    engine.step()
    return float(engine.get_global_grad_norm() if norm is None else norm)  # type: ignore[arg-type]


def gather_trained(engine: "DeepSpeedEngine", names: list[str]) -> dict[str, torch.Tensor]:
    """Whole copies of trained parameters, on the CPU; every rank must take part (ZeRO-3)."""
    import deepspeed

    parameters = dict(blip2_of(engine).named_parameters())
    values = {}
    for name in names:
        with deepspeed.zero.GatheredParameters(
            [parameters[name]], enabled=engine.zero_optimization_partition_weights()
        ):
            values[name] = parameters[name].detach().float().cpu().clone()
    return values


def configure_torch(seed: int, threads: int) -> None:
    """Make this process's results repeatable."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    # Otherwise torch fills every fresh buffer, DeepSpeed's large ones at every step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
