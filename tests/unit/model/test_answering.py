"""A person's prompt becomes the prompt that the model was trained on."""

from pathlib import Path

import pytest
from PIL import Image

from mmicl.errors import DataError, UserError
from mmicl.model.answering import answer, place_images
from mmicl.model.loading import locate_base


def test_each_proxy_is_followed_by_its_image_once() -> None:
    text = "image 0 is <image0>. image 1 is <image1>. Is <image0> like <image1>?"
    assert place_images(text, 2) == (
        "image 0 is <image0>图. image 1 is <image1>图. Is <image0> like <image1>?"
    )


def test_a_model_that_was_trained_with_tags_gets_them() -> None:
    assert place_images("<image0> what?", 1, tags=True) == "<image0>[image]图[/image] what?"


def test_a_prompt_with_placeholders_is_kept() -> None:
    assert place_images("<image0>图 what?", 1) == "<image0>图 what?"


@pytest.mark.parametrize(
    ("text", "count"), [("no image", 1), ("<image1> <image0>", 2), ("<image0>", 2), ("<image0>", 0)]
)
def test_proxies_that_do_not_fit_are_refused(text: str, count: int) -> None:
    with pytest.raises(UserError, match="prompt: "):
        place_images(text, count)


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    data = (tmp_path / "red.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    model = Path(locate_base("builtin:tiny"))
    with pytest.raises(DataError, match=r"cut.png"):
        answer(model, "<image0> What?", [tmp_path / "cut.png"], 4)
