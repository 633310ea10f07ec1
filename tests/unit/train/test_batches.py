"""What a rank computes on: the same samples and weights, however many ranks there are."""

import pytest
import torch
from train_samples import feature, make_samples

from mmicl.errors import DataError
from mmicl.model.processor import IGNORED, MmiclProcessor
from mmicl.model.tiny import QUERIES
from mmicl.model.views import View
from mmicl.train.batches import BatchMaker, StepBatch, load_pixels

SAMPLES = make_samples(23)


def make(processor: MmiclProcessor, ranks: int, rank: int, micro_batch: int = 3) -> StepBatch:
    maker = BatchMaker(
        SAMPLES,
        processor,
        feature,
        ranks=ranks,
        rank=rank,
        micro_batch=micro_batch,
        micro_tokens=10_000,
        max_target_tokens=8,
    )
    return maker.make_step(seed=5, step=3, size=14)


def weighted_rows(batch: StepBatch) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Name, prompt and labels of every row that counts."""
    rows = []
    for micro in batch.micro_batches:
        for row, name in enumerate(micro.names):
            labels = tuple(value for value in micro.labels[row].tolist() if value != IGNORED)
            length = int(micro.attention_mask[row].sum())
            if labels:
                rows.append((name, tuple(micro.input_ids[row, :length].tolist()), labels))
    return rows


@pytest.mark.parametrize("ranks", [2, 4, 5])
def test_ranks_together_see_what_one_sees(processor: MmiclProcessor, ranks: int) -> None:
    alone = make(processor, 1, 0)
    shares = [make(processor, ranks, rank) for rank in range(ranks)]
    together = [row for share in shares for row in weighted_rows(share)]
    assert sorted(together) == sorted(weighted_rows(alone))
    assert len(together) == 14
    for share in shares:
        assert share.target_tokens == alone.target_tokens
        assert (share.samples, share.images, share.tokens) == (14, alone.images, alone.tokens)
        assert len(share.micro_batches) == len(shares[0].micro_batches)
    assert sum(len(row[2]) for row in together) == alone.target_tokens


def test_rows_without_weight_fill_up(processor: MmiclProcessor) -> None:
    makers = [
        BatchMaker(
            SAMPLES, processor, feature, ranks=4, rank=rank, micro_batch=4, micro_tokens=100,
            max_target_tokens=8,
        )
        for rank in range(4)
    ]  # fmt: skip
    micros = [micro for maker in makers for micro in maker.make([0, 1]).micro_batches]
    assert [len(micro.names) for micro in micros] == [1, 1, 1, 1]  # 2 samples for 4 ranks
    ignored = [bool((micro.labels == IGNORED).all()) for micro in micros]
    assert ignored == [False, False, True, True]


def test_a_micro_batch_keeps_to_its_tokens(processor: MmiclProcessor) -> None:
    maker = BatchMaker(
        SAMPLES, processor, feature, ranks=1, rank=0, micro_batch=14, micro_tokens=150,
        max_target_tokens=8,
    )  # fmt: skip
    batch = maker.make_step(seed=5, step=3, size=14)
    assert len(batch.micro_batches) > 1
    assert max(micro.input_ids.numel() for micro in batch.micro_batches) <= 150
    assert sorted(weighted_rows(batch)) == sorted(weighted_rows(make(processor, 1, 0, 14)))


def test_images_stand_in_the_order_of_their_placeholders(processor: MmiclProcessor) -> None:
    by_name = {row.id: row for row in SAMPLES}
    for micro in make(processor, 1, 0, micro_batch=7).micro_batches:
        expected = [feature(View(image)) for name in micro.names for image in by_name[name].images]
        assert torch.equal(micro.visual[micro.slots], torch.stack(expected))
        placeholders = int((micro.input_ids == processor.placeholder_id).sum())
        assert placeholders == QUERIES * len(expected)


def test_a_picture_that_images_share_is_loaded_once(processor: MmiclProcessor) -> None:
    own, shared = SAMPLES[2].images
    other = SAMPLES[5].model_copy(update={"images": (shared, "9-0")})
    asked: list[str] = []

    def load(view: View) -> torch.Tensor:
        asked.append(view.image)
        return feature(view)

    maker = BatchMaker(
        [SAMPLES[2], other], processor, load, ranks=1, rank=0, micro_batch=2, micro_tokens=10_000,
        max_target_tokens=8,
    )  # fmt: skip
    (micro,) = maker.make([0, 1]).micro_batches
    assert sorted(asked) == sorted([own, shared, "9-0"])
    assert len(micro.visual) == 3
    rows = {SAMPLES[2].id: (own, shared), other.id: (shared, "9-0")}
    expected = [feature(View(image)) for name in micro.names for image in rows[name]]
    assert torch.equal(micro.visual[micro.slots], torch.stack(expected))


def test_padding_is_counted(processor: MmiclProcessor) -> None:
    whole = make(processor, 1, 0, micro_batch=14)
    (micro,) = whole.micro_batches
    assert whole.padding_share == pytest.approx(1 - float(micro.attention_mask.float().mean()))
    assert make(processor, 1, 0, micro_batch=2).padding_share < whole.padding_share


def test_cut_targets_are_counted(processor: MmiclProcessor) -> None:
    batch = make(processor, 1, 0)
    expected = sum(len(row.target.split()) + 1 > 8 for row in SAMPLES if row.id in names(batch))
    assert batch.truncated == expected > 0


def names(batch: StepBatch) -> set[str]:
    return {name for micro in batch.micro_batches for name in micro.names}


def test_a_sample_whose_counts_do_not_fit_is_named(processor: MmiclProcessor) -> None:
    wrong = [SAMPLES[1].model_copy(update={"images": ()})]
    maker = BatchMaker(
        wrong, processor, feature, ranks=1, rank=0, micro_batch=4, micro_tokens=100,
        max_target_tokens=8,
    )  # fmt: skip
    with pytest.raises(DataError, match="toy/train/1: the prompt has 1 placeholders"):
        maker.make([0])


def test_a_missing_image_names_its_sample(processor: MmiclProcessor) -> None:
    def fail(view: View) -> torch.Tensor:
        raise DataError("no such picture in the store", where=view.image)

    maker = BatchMaker(
        SAMPLES, processor, fail, ranks=1, rank=0, micro_batch=4, micro_tokens=100,
        max_target_tokens=8,
    )  # fmt: skip
    with pytest.raises(DataError, match="toy/train/1: 1-0: no such picture"):
        maker.make([1])


def test_pixels_are_the_processors(processor: MmiclProcessor) -> None:
    from mmicl.images.store import ImageStore

    load = load_pixels(ImageStore([]), processor)
    blank = ImageStore([]).load("blank")
    assert torch.equal(load(View("blank")), processor.pixels([blank])[0])
    assert load(View("blank")) is load(View("blank", "what is it?"))  # decoded once
