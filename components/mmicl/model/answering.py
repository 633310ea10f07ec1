"""One prompt, a few picture files, one answer: what `mmicl predict` does."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmicl.errors import UserError
from mmicl.images.store import ImageStore, ImageWriter
from mmicl.model.inference import Predictor
from mmicl.model.loading import load_model
from mmicl.records import PLACEHOLDER, place_image, proxy


def place_images(text: str, count: int, *, tags: bool = False) -> str:
    """Put each image's placeholder behind the first mention of its proxy.

    A person writes `image 0 is <image0>. What is in image 0?`; the model reads
    `image 0 is <image0>图. What is in image 0?`, as in training.

    Args:
        text: The prompt with its proxies; a text that holds placeholders already is kept.
        count: How many images there are.
        tags: Whether the model wants tags around each placeholder.

    Raises:
        UserError: The proxies are not `<image0>` to `<image{count-1}>` in order of appearance.
    """
    if PLACEHOLDER in text:
        return text
    named = list(dict.fromkeys(re.findall(r"<image\d+>", text)))
    expected = [proxy(index) for index in range(count)]
    if named != expected:
        raise UserError(
            f"names {', '.join(named) or 'no image'}, and the pictures given are {count}",
            where="prompt",
            remedy=f"name {', '.join(expected)} in this order, or give --image for each named",
        )
    for token in expected:
        text = text.replace(token, token + place_image(tags), 1)
    return text


def answer(folder: Path, text: str, images: Sequence[Path], max_new_tokens: int) -> str:
    """Ask the model in `folder` (hub layout) about picture files.

    Raises:
        UserError: The prompt and the pictures do not fit together, or the folder is no model.
        DataError: A picture cannot be used.
    """
    place_images(text, len(images))  # a wrong prompt is told before the model is loaded
    with tempfile.TemporaryDirectory() as temporary:
        pictures = Path(temporary)
        with ImageWriter(pictures) as writer:
            references = [writer.add_file(path) for path in images]
        model, processor = load_model(str(folder))
        prompt = place_images(text, len(images), tags=processor.image_tags)
        predictor = Predictor(model, processor, ImageStore([pictures]))
        return predictor.generate([prompt], [references], max_new_tokens)[0]
