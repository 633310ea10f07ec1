"""BLIP's captioner and its image-text matcher, as transformers has them, over batches of pictures.

Each sees a picture once, whatever the number of its captions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from mmicl.captioning.options import NUCLEUS, Options
from mmicl.captioning.sampling import NucleusSampling, draw_uniforms
from mmicl.errors import DataError, UserError
from mmicl.files import hash_file, hash_json
from mmicl.model.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from PIL.Image import Image

FEWEST, MOST = 6, 26
"""Tokens of a caption: BLIP's `generate` says 10 to 30, start token and "a picture of" included."""
REPETITION = 1.1
"""Penalty of tokens already there, where BLIP's `generate` draws; its beam search has none."""
BEAMS = 3
"""BLIP's; more where more captions are wanted."""
LONGEST_TEXT = 35
"""Tokens of a text that the matcher reads, as in BLIP's models/blip_itm.py."""
FILES = ("*.json", "*.safetensors", "*.bin", "*.txt")
"""What can change a model's answers, of a folder in the hub's layout."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a model lies: a folder, or a hub id with the commit that its name stands for now."""

    place: str
    revision: str | None

    @property
    def options(self) -> dict[str, Any]:
        """What every `from_pretrained` is told."""
        return {
            "revision": self.revision,
            "local_files_only": self.revision is None,
            "trust_remote_code": False,
        }

    @property
    def identity(self) -> str:
        """The name with the commit, or for a folder with the digest of its files."""
        if self.revision is not None:
            return f"{self.place}@{self.revision}"
        folder = Path(self.place)
        files = sorted(path for pattern in FILES for path in folder.glob(pattern))
        digest = hash_json({path.name: hash_file(path) for path in files})
        return f"{folder.resolve().name}@sha256:{digest}"


def find_checkpoint(name: str, option: str) -> Checkpoint:
    """What a name on the command line stands for.

    Args:
        name: A folder in the hub's layout, or `OWNER/NAME[@REVISION]` of the hub.
        option: The option that names it, for errors.

    Raises:
        UserError: No such folder or model, the hub cannot be had, or the model is not BLIP.
    """
    from transformers import AutoConfig
    from transformers.utils.hub import cached_file

    folder = Path(name).expanduser()
    remedy = f"{option} is a folder in the hub's layout, or OWNER/NAME[@REVISION] of the hub"
    hub, _, revision = name.partition("@")
    if not folder.is_dir() and (name.startswith((".", "/", "~")) or hub.count("/") != 1):
        raise UserError("no such folder", where=name, remedy=remedy)
    try:
        if folder.is_dir():
            found = Checkpoint(str(folder), None)
        else:
            config = cached_file(hub, "config.json", revision=revision or None)
            found = Checkpoint(hub, Path(cast("str", config)).parent.name)
        kind = AutoConfig.from_pretrained(found.place, **found.options).model_type
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be loaded ({error})", where=name, remedy=remedy) from None
    if kind != "blip":
        raise UserError(f"the model is of type {kind}, not blip", where=name, remedy=remedy)
    return found


class _Blip:
    """A model with its tokenizer and image processor, in evaluation mode.

    Raises:
        UserError: Files are missing or damaged, or are not of one such model.
    """

    def __init__(self, model_class: Any, checkpoint: Checkpoint, dtype: torch.dtype, device: str):
        from safetensors import SafetensorError
        from transformers import AutoTokenizer
        from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        place, options = checkpoint.place, checkpoint.options
        try:
            model = read_checkpoint(model_class, place, dtype=dtype, **options)
            self.tokenizer: Any = AutoTokenizer.from_pretrained(place, **options)
            del options["trust_remote_code"]  # an image processor of our choice runs no other code
            self.images = BlipImageProcessorPil.from_pretrained(place, **options)
        except (OSError, ValueError, SafetensorError) as error:
            raise UserError(f"cannot be loaded ({error})", where=place) from None
        for parameter in model.parameters():
            # Weights mapped from a file lie at odd addresses, and products round by address.
            parameter.data = parameter.data.clone()
        self.model = model.eval().to(device)
        self.dtype, self.device = dtype, device

    def prepare(self, image: "Image") -> torch.Tensor:
        """A picture's pixels [3, height, width], on the CPU."""
        return self.images(image, return_tensors="pt")["pixel_values"][0]

    def see(self, pixels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Image states [pictures, patches + 1, width]."""
        batch = torch.stack(list(pixels)).to(self.device, self.dtype)
        return self.model.vision_model(pixel_values=batch).last_hidden_state


class Captioner(_Blip):
    """BLIP's captioner (`BlipForConditionalGeneration`)."""

    def __init__(self, checkpoint: Checkpoint, options: Options, device: str) -> None:
        from transformers import BlipForConditionalGeneration

        dtype = getattr(torch, options.precision)
        super().__init__(BlipForConditionalGeneration, checkpoint, dtype, device)
        self.options = options
        config = self.model.config.text_config
        # As `BlipForConditionalGeneration.generate`: the start token for [CLS], [SEP] left out.
        ids = [config.bos_token_id, *self.tokenizer(options.prompt).input_ids[1:-1]]
        if (longest := len(ids) + MOST) > config.max_position_embeddings:
            raise UserError(f"with a caption it is {longest} tokens long", where="--prompt")
        self.prompt = torch.tensor([ids], device=device)

    @torch.inference_mode()
    def write(self, pixels: Sequence[torch.Tensor], names: Sequence[str]) -> list[list[str]]:
        """Captions of pictures, as many for each as the options say.

        Args:
            pixels: [3, height, width] each, by `prepare`.
            names: What tells the pictures apart; together with the seed it decides the draws.
        """
        count, length = self.options.candidates, self.prompt.shape[1]
        states = self.see(pixels)
        if self.options.sampling == NUCLEUS:
            states = states.repeat_interleave(count, dim=0)
            draws = draw_uniforms(self.options.seed, names, count, MOST).to(self.device)
            rule: dict[str, Any] = {
                "logits_processor": [NucleusSampling(self.options.top_p, draws, length)],
                "repetition_penalty": REPETITION,
            }
        else:
            rule = {"num_beams": max(BEAMS, count), "num_return_sequences": count}
        ids = self._generate(states, rule)[:, length:]
        decoded = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        texts = [text.removeprefix("##").strip() for text in decoded]  # goes on the prompt's word
        return [texts[start : start + count] for start in range(0, len(texts), count)]

    def _generate(self, states: torch.Tensor, rule: dict[str, Any]) -> torch.Tensor:
        """Token ids, prompt included, for image states [rows, patches + 1, width]."""
        config = self.model.config.text_config
        prompt = self.prompt.expand(len(states), -1)
        return self.model.text_decoder.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            encoder_hidden_states=states,
            eos_token_id=config.sep_token_id,
            pad_token_id=config.pad_token_id,
            min_new_tokens=FEWEST,
            max_new_tokens=MOST,
            do_sample=False,
            **rule,
        )


class Matcher(_Blip):
    """BLIP's image-text matching head (`BlipForImageTextRetrieval`)."""

    def __init__(self, checkpoint: Checkpoint, options: Options, device: str) -> None:
        from transformers import BlipForImageTextRetrieval

        dtype = getattr(torch, options.precision)
        super().__init__(BlipForImageTextRetrieval, checkpoint, dtype, device)
        self.model.itm_head.float()  # two numbers near each other: the last step is not rounded

    @torch.inference_mode()
    def score(
        self, pixels: Sequence[torch.Tensor], texts: Sequence[Sequence[str]]
    ) -> list[list[float]]:
        """How well texts match their pictures: the log-odds of the matching head.

        Its sigmoid is the probability that the head gives, which near 1 no longer tells texts
        apart.

        Args:
            pixels: [3, height, width] each, by `prepare`.
            texts: Those of each picture; of a long one the first tokens count.

        Raises:
            DataError: A score is not finite.
        """
        if not (flat := [text for own in texts for text in own]):
            return [[] for _ in texts]
        counts = torch.tensor([len(own) for own in texts], device=self.device)
        states = self.see(pixels).repeat_interleave(counts, dim=0)
        words = self.tokenizer(
            flat, padding=True, truncation=True, max_length=LONGEST_TEXT, return_tensors="pt"
        ).to(self.device)
        hidden = self.model.text_encoder(
            input_ids=words.input_ids,
            attention_mask=words.attention_mask,
            encoder_hidden_states=states,
        ).last_hidden_state
        head = self.model.itm_head(hidden[:, 0].float())
        odds = head[:, 1] - head[:, 0]
        if not odds.isfinite().all():
            remedy = "take --precision float32 or bfloat16"
            raise DataError("gives scores that are not finite", where="matcher", remedy=remedy)
        values = iter(odds.tolist())
        return [[next(values) for _ in own] for own in texts]
