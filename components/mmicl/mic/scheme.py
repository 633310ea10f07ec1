"""The context scheme: a query, its images and worked examples as one prompt.

Numbers are given while the prompt is written, from a running count of images. No rendered text is
ever searched and replaced, so "image 1" cannot become part of "image 10".

The switches (config `build.scheme`), as the paper's ablation has them:

- `declaration` off: each image is a bare placeholder where its declaration would stand, in the same
  order. Texts still say "image j", which then can only mean the j-th placeholder.
- `in_context` off: no exemplars, not even those that belong to the question (`Query.before`).
- `interrelated` off: only the first image of a query (VCR: the full frame; NLVR2: the left
  picture; RAVEN: the first panel) is shown, in exemplars as well. A reference to an image left out
  becomes its plain words ("person"), or "another image" where the data gives none.

A question without any image (`Task.textual`) is written without the template: those speak of one.

And one of our own: `tags` on, each placeholder stands between `[image]` and `[/image]`.

The same prompt can be written without images at all (`text_only`), for the control that sees none:
declarations and placeholders are left out, a sentence that had them within it says "the images".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mmicl.config import Scheme
from mmicl.errors import DataError, MmiclError
from mmicl.mic.budget import WHOLE, Budget
from mmicl.mic.queries import Query
from mmicl.mic.templates import RESERVED, TASKS, TEXT_ALONE, split_slots
from mmicl.records import (
    PLACEHOLDER,
    TAGS,
    Template,
    place_image,
    proxy,
)

FULL_SCHEME = Scheme(declaration=True, in_context=True, interrelated=True, tags=False)
REFERENCE = re.compile(r"<image:(\d+)>")
NO_NAME = "another image"
TOO_LONG = "more tokens than max_tokens"


@dataclass(frozen=True)
class Rendered:
    """A prompt with one placeholder per image.

    Attributes:
        prompt: What the model gets; the placeholder stands once per image.
        images: Image references in the order of their placeholders.
        target: The right answer, its references numbered as in the prompt.
        candidates: The answers to be scored, numbered likewise.
        exemplars: Ids of the Examples that really stand before the query.
    """

    prompt: str
    images: tuple[str, ...]
    target: str
    candidates: tuple[str, ...]
    exemplars: tuple[str, ...]


def find_fault(
    query: Query,
    scheme: Scheme = FULL_SCHEME,
    budget: Budget = WHOLE,
    template: Template | None = None,
) -> str:
    """Why a query cannot be rendered, in a few words that can be counted; "" if it can.

    Args:
        query: What is asked.
        scheme: The switches, see the module.
        budget: What a prompt may hold.
        template: The one it will be written with, without which its tokens are not counted.

    Raises:
        DataError: The template does not fit the query's text.
    """
    texts = (query.question, *query.choices, *query.candidates, query.target)
    if any(RESERVED.search(text) for text in texts):
        return "placeholder or proxy token in the text"
    if scheme.tags and any(tag in text for text in texts for tag in TAGS):
        return "image tag in the text"
    references = [int(k) for text in texts for k in REFERENCE.findall(text)]
    if any(k >= len(query.images) for k in references):
        return "reference to an image that is not there"
    if not query.images and not TASKS[query.task].textual:
        return "no image"
    if _count_images(query, (), scheme) > budget.max_images:
        return "more images than max_images"
    if template is not None and budget.max_tokens is not None:
        alone = _compose(query, template, (), scheme)
        if not budget.is_kept(alone.prompt):
            return TOO_LONG
    if not query.target.strip():
        return "no target"
    return ""


def render(
    query: Query,
    template: Template,
    exemplars: Sequence[Query] = (),
    *,
    scheme: Scheme = FULL_SCHEME,
    budget: Budget = WHOLE,
    text_only: bool = False,
) -> Rendered:
    """Write the prompt of a query.

    Each exemplar is written with the same template, followed by its answer and a line break; those
    that belong to the query (`Query.before`) follow the others, and the query comes last. Where
    images or tokens exceed the budget, exemplars are left out from the end of `exemplars`; text is
    never cut. A query without a target (a test record) renders.

    Args:
        query: What is asked.
        template: Of the query's task.
        exemplars: Worked examples of the same task, in the order wanted.
        scheme: The switches, see the module.
        budget: What the prompt may hold, with its images.
        text_only: Leave out every image; all else stays, worked examples too.

    Raises:
        DataError: The query or an exemplar cannot be rendered (see `find_fault`), or its task has
            text that the template has no slot for.
    """
    for one in (query, *exemplars):
        fault = find_fault(one, scheme, budget)
        if fault and not (fault == "no target" and one is query):
            raise DataError(fault, where=one.id)
        if one.task != template.task:
            raise DataError(f"task {one.task} with template {template.id}", where=one.id)
    kept = list(exemplars) if scheme.in_context else []
    while _count_images(query, kept, scheme) > budget.max_images:
        kept.pop()
    rendered = _compose(query, template, kept, scheme)
    while not budget.is_kept(rendered.prompt):
        if not kept:
            raise DataError(TOO_LONG, where=query.id)
        kept.pop()
        rendered = _compose(query, template, kept, scheme)
    if text_only:
        rendered = _compose(query, template, kept, scheme, text_only=True)
    _check(rendered, query, scheme)
    return rendered


def _count_images(query: Query, exemplars: Sequence[Query], scheme: Scheme) -> int:
    """Images of a query with these exemplars and its own."""
    before = (*exemplars, *query.before) if scheme.in_context else ()
    return sum(len(_shown(one, scheme)) for one in (*before, query))


def _compose(
    query: Query,
    template: Template,
    exemplars: Sequence[Query],
    scheme: Scheme,
    text_only: bool = False,
) -> Rendered:
    """The prompt of a query with these exemplars, whatever its length."""
    lines, images = [], []
    for one in (*exemplars, *(query.before if scheme.in_context else ())):
        prompt = _write(one, template, len(images), scheme, text_only)
        lines.append(f"{prompt} {_number(one.target, one, len(images), scheme)}")
        images += _shown(one, scheme)
    base = len(images)
    lines.append(_write(query, template, base, scheme, text_only))
    return Rendered(
        prompt="\n".join(lines),
        images=() if text_only else (*images, *_shown(query, scheme)),
        target=_number(query.target, query, base, scheme),
        candidates=tuple(_number(text, query, base, scheme) for text in query.candidates),
        exemplars=tuple(one.source for one in exemplars),
    )


def _shown(query: Query, scheme: Scheme) -> tuple[str, ...]:
    """The images of a query that the scheme shows."""
    return query.images if scheme.interrelated else query.images[:1]


def _write(query: Query, template: Template, base: int, scheme: Scheme, text_only: bool) -> str:
    """One query through its template; its first image is image `base` of the prompt."""
    task = TASKS[query.task]
    choices = ""
    for k, text in enumerate(query.choices):
        separator = "" if not choices else " " if choices[-1] in ".!?" else "; "
        choices += f"{separator}{task.choice} {k}: {_number(text, query, base, scheme)}"
    values = {"question": _number(query.question, query, base, scheme), "choices": choices}
    pieces = split_slots(template.text if query.images else TEXT_ALONE)
    slots = {slot for _, slot, _ in pieces}
    if lost := sorted(name for name, value in values.items() if value and name not in slots):
        raise DataError(f"template {template.id} has no {{{lost[0]}}}", where=query.id)
    written = []
    for literal, slot, form in pieces:
        gone = text_only and written and not written[-1]  # with the blank behind it
        written.append(literal.removeprefix(" ") if gone else literal)
        if slot == "images" and text_only:
            written.append("the images" if form == "inline" else "")
        elif slot == "images":
            written.append(_declare(base, len(_shown(query, scheme)), form, scheme))
        elif slot is not None:
            written.append(values[slot])
    return "".join(written)


def _declare(base: int, count: int, form: str, scheme: Scheme) -> str:
    """The declaration of images `base` … `base + count - 1`."""
    numbers, place = range(base, base + count), place_image(scheme.tags)
    if not scheme.declaration:
        return " ".join(place for _ in numbers)
    if form == "inline":
        return ", ".join(f"image {j}: {proxy(j)}{place}" for j in numbers)
    return " ".join(f"image {j} is {proxy(j)}{place}." for j in numbers)


def _number(text: str, query: Query, base: int, scheme: Scheme) -> str:
    """Turn `<image:k>` into "image j", or into plain words where image k is not shown."""
    shown = len(_shown(query, scheme))

    def name(match: re.Match[str]) -> str:
        k = int(match[1])
        return f"image {base + k}" if k < shown else query.names[k] or NO_NAME

    return REFERENCE.sub(name, text)


def _check(rendered: Rendered, query: Query, scheme: Scheme) -> None:
    """One placeholder per image, and proxies 0 … n-1 in order; anything else is our own fault."""
    count = len(rendered.images)
    found = RESERVED.findall(rendered.prompt)
    wanted = [
        token
        for j in range(count)
        for token in ([proxy(j), PLACEHOLDER] if scheme.declaration else [PLACEHOLDER])
    ]
    if found != wanted:
        raise MmiclError(f"{count} images, but the prompt holds {' '.join(found)}", where=query.id)
