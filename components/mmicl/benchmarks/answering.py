"""Putting requests to a model, with a cache of answers that outlives kills and reruns.

Answers are greedy or likelihoods, hence a function of the model and the request alone: the cache
is a folder per model (weights, tokenizer, and the code that runs them) of JSON Lines files, one
per run that wrote, and an answer is found by the hash of what was asked. Lines are flushed to disk
batch by batch; a line that a kill cut off is passed over.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from mmicl.errors import DataError
from mmicl.files import hash_json
from mmicl.records import Request

if TYPE_CHECKING:
    from transformers import Blip2ForConditionalGeneration

    from mmicl.model.inference import Predictor
    from mmicl.model.processor import MmiclProcessor

BATCHES_A_CALL = 8
DECIMALS = 4
"""Of log-likelihoods: what is left is the same in any batch, float32 being what it is."""


class Answer(NamedTuple):
    """The text, and for requests with candidates their log-likelihoods."""

    text: str
    scores: tuple[float, ...]


class AnswerCache:
    """Answers of one model by request key.

    Args:
        folder: Of this model; made with the first answer.

    Raises:
        DataError: A line other than the last of a file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._answers: dict[str, Answer] = {}
        self._stream: IO[str] | None = None
        for path in sorted(folder.glob("*.jsonl")):
            self._read(path)

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: str) -> Answer:
        """The answer to a request that is `in` the cache."""
        return self._answers[key]

    def add(self, answers: Iterable[tuple[str, Answer]]) -> None:
        """Keep answers; they are on disk when this returns."""
        if self._stream is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{time.time_ns()}-{os.getpid()}.jsonl"
            self._stream = path.open("a", encoding="utf-8")
        for key, answer in answers:
            self._answers[key] = answer
            line = {"key": key, "text": answer.text, "scores": answer.scores}
            self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _read(self, path: Path) -> None:
        lines = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], 1):
            try:
                value = json.loads(line)
                self._answers[value["key"]] = Answer(value["text"], tuple(value["scores"]))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"not a kept answer ({error})",
                    where=f"{path}, line {number}",
                    remedy="remove the file",
                ) from None


def request_key(request: Request, max_new_tokens: int) -> str:
    """The hash of all that decides the answer of a given model."""
    return hash_json(
        [
            request.kind,
            request.prompt,
            request.images,
            request.candidates,
            max_new_tokens if request.kind == "generate" else 0,
        ]
    )


def model_key(model: "Blip2ForConditionalGeneration", processor: "MmiclProcessor") -> str:
    """The hash of weights, tokenizer, picture preprocessing, and of the code that runs them."""
    import torch

    import mmicl.images
    import mmicl.model

    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy())
    digest.update(processor.tokenizer.backend_tokenizer.to_str().encode())  # type: ignore[attr-defined]
    digest.update(hash_json(processor.describe_reading()).encode())
    digest.update(processor.image_processor.to_json_string().encode())
    for package in (mmicl.model, mmicl.images):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def answer_requests(
    requests: Sequence[Request],
    predictor: "Predictor",
    cache: AnswerCache,
    *,
    max_new_tokens: int,
    on_answers: Callable[[list[tuple[Request, Answer]]], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Answer requests in their order; what the cache has is not asked again.

    Requests that ask the same thing are asked once. The text of a request with candidates is the
    likeliest one, the first among equals.

    Args:
        requests: All of one benchmark and control.
        predictor: The model with its pictures.
        cache: Of that model.
        max_new_tokens: The longest generated answer.
        on_answers: Called with requests and their answers as soon as these are known, with those
            of the cache first.
        on_progress: Called with requests done and requests to do.

    Raises:
        DataError: A request does not fit the model (see `Predictor`).
    """
    keys = [request_key(request, max_new_tokens) for request in requests]
    alike: dict[str, list[Request]] = {}
    for key, request in zip(keys, requests, strict=True):
        alike.setdefault(key, []).append(request)
    waiting = {key: same[-1] for key, same in alike.items() if key not in cache}

    def tell(known: Iterable[str]) -> None:
        if on_answers:
            on_answers([(request, cache.get(key)) for key in known for request in alike[key]])

    tell(key for key in alike if key not in waiting)
    if waiting and predictor.features is not None:
        views = {
            view
            for request in waiting.values()
            for view in predictor.processor.views(request.prompt, request.images)
        }
        predictor.features.ensure(views, predictor.images, predictor.model, predictor.processor)
    # Alike in length, a batch holds little padding.
    order = sorted(
        waiting,
        key=lambda key: (waiting[key].kind, len(waiting[key].images), len(waiting[key].prompt)),
    )
    step = BATCHES_A_CALL * predictor.batch_size
    for start in range(0, len(order), step):
        part = order[start : start + step]
        for kind in dict.fromkeys(waiting[key].kind for key in part):
            own = [key for key in part if waiting[key].kind == kind]
            asked = [waiting[key] for key in own]
            cache.add(zip(own, _ask(asked, predictor, max_new_tokens), strict=True))
            tell(own)
        if on_progress:
            on_progress(min(start + step, len(order)), len(order))
    return [cache.get(key) for key in keys]


def _ask(requests: Sequence[Request], predictor: "Predictor", max_new_tokens: int) -> list[Answer]:
    """Ask requests of one kind."""
    prompts = [request.prompt for request in requests]
    images = [request.images for request in requests]
    if requests[0].kind == "generate":
        texts = predictor.generate(prompts, images, max_new_tokens)
        return [Answer(text, ()) for text in texts]
    candidates = [request.candidates for request in requests]
    answers = []
    for request, values in zip(requests, predictor.score(prompts, images, candidates), strict=True):
        scores = tuple(round(value, DECIMALS) for value in values)
        answers.append(Answer(request.candidates[scores.index(max(scores))], scores))
    return answers
