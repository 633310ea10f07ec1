"""The DeepSpeed engine around the model: losses per sample, optimizer, state in and out."""

import logging
import random
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch.nn import functional

from mmicl.config import Launch, Training
from mmicl.model.freeze import set_modes
from mmicl.model.inference import embed_prompts, project_features
from mmicl.model.processor import IGNORED
from mmicl.train.contrast import find_contrast_loss

if TYPE_CHECKING:
    from deepspeed import DeepSpeedEngine
    from transformers import Blip2ForConditionalGeneration

    from mmicl.train.batches import MicroBatch

SMALL_BUCKET, LARGE_BUCKET = 5e6, 5e8
"""Elements of DeepSpeed's communication buckets: its default is the large one, and filling a
buffer of that size every step takes seconds on a small machine."""


class LossModel(torch.nn.Module):
    """BLIP-2 with the loss that training wants: one sum per sample, not a mean over a batch.

    Args:
        model: The model.
        recomputed: Its layers are computed again in the backward pass, and cannot share the cache
            of keys and values that T5's decoder otherwise makes (the loss differs by rounding).
    """

    def __init__(self, model: "Blip2ForConditionalGeneration", *, recomputed: bool = False) -> None:
        super().__init__()
        self.model, self.use_cache = model, False if recomputed else None

    def forward(self, batch: "MicroBatch") -> torch.Tensor:
        """Cross-entropy summed over each sample's target tokens, float32 [rows].

        In training with the contrast added, where the batch has one.
        """
        language = self.model.language_model
        decoder_input_ids = language.prepare_decoder_input_ids_from_labels(batch.labels)
        if batch.visual.ndim == 4:  # each picture goes through the encoder once
            pixels = batch.visual.to(self.model.dtype)
            encoded: Any = self.model.get_image_features(pixels)
            projected = encoded.pooler_output[batch.slots]
        else:
            projected = project_features(self.model, batch.visual[batch.slots])
        logits = language(
            inputs_embeds=embed_prompts(self.model, batch.input_ids, batch.places, projected),
            attention_mask=batch.attention_mask if batch.padded else None,
            decoder_input_ids=decoder_input_ids,
            use_cache=self.use_cache,
        ).logits
        losses = functional.cross_entropy(
            logits.float().transpose(1, 2), batch.labels, ignore_index=IGNORED, reduction="none"
        ).sum(dim=1)
        if batch.contrast is not None and self.training:
            words = language.get_input_embeddings()
            losses = losses + find_contrast_loss(batch.contrast, projected, words)
        return losses


def start_ranks() -> None:
    """Join the other ranks, and keep DeepSpeed quiet."""
    import deepspeed
    from deepspeed.utils import logger

    logger.setLevel(logging.WARNING)
    if not torch.cuda.is_available():
        # Shared-memory reductions of the CPU backend: compiling them takes a minute, and the
        # results are the same without. With a GPU, to ask would look for compilers.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed()


def build_engine(
    model: "Blip2ForConditionalGeneration", training: Training, launch: Launch
) -> "DeepSpeedEngine":
    """Hand the model's trainable parameters to DeepSpeed.

    Args:
        model: With `requires_grad` set as the recipe wants.
        training: Optimizer and precision.
        launch: ZeRO stage, offloading, activation checkpointing and micro-batch.
    """
    import deepspeed

    wrapped = LossModel(model, recomputed=launch.activation_checkpointing)
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
        [group for group in groups if group["params"]],
        lr=training.learning_rate,
        # One pass over the weights; of offloaded ones too, with nothing to compile.
        fused=True if launch.offload != "none" or torch.cuda.is_available() else None,
    )
    if launch.activation_checkpointing:
        _recompute_activations(model)
    engine, *_ = deepspeed.initialize(
        model=wrapped, optimizer=optimizer, config=_write_config(training, launch, bucket)
    )
    set_training(engine, True)
    return engine


def _recompute_activations(model: "Blip2ForConditionalGeneration") -> None:
    """Let layers keep their inputs alone, and be computed again in the backward pass."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    model.activation_checkpointing_enable({"use_reentrant": False})
    for module in model.modules():
        # T5's attentions would ask for a gradient of their masks, which takes slower kernels.
        if not isinstance(module, GradientCheckpointingLayer):
            module.gradient_checkpointing = False  # type: ignore[assignment]


def _write_config(training: Training, launch: Launch, bucket: int) -> dict[str, Any]:
    """DeepSpeed's own configuration; buckets are in elements."""
    zero: dict[str, Any] = {
        "stage": launch.zero_stage,
        "overlap_comm": False,
        "reduce_bucket_size": bucket,
        "allgather_bucket_size": bucket,
        "stage3_prefetch_bucket_size": bucket,
    }
    memory = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    if launch.offload != "none":
        zero["offload_optimizer"] = memory
    if launch.offload == "parameters":
        zero["offload_param"] = memory
    return {
        "train_micro_batch_size_per_gpu": launch.micro_batch,
        "gradient_accumulation_steps": 1,  # as many as a batch needs: the loop sets the bounds
        "gradient_clipping": training.clip_norm,
        "zero_allow_untested_optimizer": True,
        # DeepSpeed's own optimizer for offloading is compiled on the machine, torch's is not.
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": training.precision == "bf16"},
        "steps_per_print": 10**9,
        "zero_optimization": zero,
    }


def blip2_of(engine: "DeepSpeedEngine") -> "Blip2ForConditionalGeneration":
    """The model inside an engine."""
    return cast("LossModel", engine.module).model


def set_training(engine: "DeepSpeedEngine", training: bool) -> None:
    """Training mode (frozen parts stay in evaluation mode), or evaluation mode throughout."""
    engine.train(training)
    if not training:
        return
    model = blip2_of(engine)
    set_modes(model)
    for module in model.language_model.modules():
        # transformers recomputes a layer only where the layer itself is in training mode. Gradients
        # pass through the language model in stage I too, where its dropout stays off.
        if getattr(module, "gradient_checkpointing", False):
            module.training = True


def take_step(engine: "DeepSpeedEngine", rate: float) -> float:
    """Clip, update, and return the gradients' norm before clipping.

    Call after the backward pass of the last micro batch. Where the norm is not finite, every rank
    drops the gradients, and neither weights nor moments change.
    """
    optimizer: Any = engine.optimizer
    for group in optimizer.param_groups:
        group["lr"] = rate
    if isinstance(optimizer, torch.optim.Optimizer):  # float32 without ZeRO: not wrapped
        gradients = [
            value.grad for value in blip2_of(engine).parameters() if value.grad is not None
        ]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not torch.isfinite(norm):
            engine.zero_grad()
        else:
            engine.step()
        return float(norm)
    engine.step()  # DeepSpeed's optimizers drop a gradient whose norm is not finite
    return float(engine.get_global_grad_norm())  # type: ignore[arg-type]


def gather_trained(engine: "DeepSpeedEngine", names: list[str]) -> dict[str, torch.Tensor]:
    """Whole copies of trained parameters on rank 0's CPU; every rank must take part (ZeRO 3).

    The other ranks get none: six copies of two billion weights would fill a machine.
    """
    import deepspeed

    parameters = dict(blip2_of(engine).named_parameters())
    values = {}
    for name in names:
        with deepspeed.zero.GatheredParameters(
            [parameters[name]], enabled=engine.zero_optimization_partition_weights()
        ):
            if dist.get_rank() == 0:
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
