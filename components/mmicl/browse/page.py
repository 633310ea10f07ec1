"""The page as HTML: a form, the samples of one page, and where each is from.

Nothing comes from elsewhere (no script, no font), and every text of the data is escaped.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlencode

from mmicl.browse.samples import FACETS, MAX_TEXT, Choice, SampleTables
from mmicl.config import Config
from mmicl.images.showing import draw_thumbnail, write_address
from mmicl.images.store import ImageStore
from mmicl.mic.templates import load_bank
from mmicl.paths import Paths
from mmicl.records import PLACEHOLDER, Template

PAGE_SIZE = 20
CHIP = 128
"""Pixels of the longer side of a picture within a prompt."""
WHOLE = 1024
"""Of a picture by itself."""
_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 70rem; margin: 1.5rem auto; padding: 0 1rem; }
form { display: flex; flex-wrap: wrap; gap: .6rem; align-items: end; }
label { display: grid; font-size: 12px; color: #555; }
article { border: 1px solid #ccc; border-radius: 6px; padding: .3rem 1rem; margin: 1rem 0; }
article h2 { font-size: 15px; margin: .4rem 0 0; overflow-wrap: anywhere; }
.facts, figcaption { color: #666; font-size: 13px; margin: 0; }
.prompt { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f4; padding: .6rem; }
.chip { display: inline-block; vertical-align: middle; text-align: center; font-size: 11px;
        line-height: 1.2; background: #fff; border: 1px solid #99a; border-radius: 4px;
        padding: 2px; margin: 1px 3px; white-space: normal; }
.chip img { display: block; max-height: 96px; }
.lacking { border-color: #b00020; color: #b00020; }
.target { color: #17703c; font-weight: bold; }
details { font-size: 13px; } dt { color: #666; } dd { margin: 0 0 .2rem 1rem; }
nav { display: flex; gap: 1.5rem; }
"""

Address = Callable[[str], str]
"""An image reference -> the address of its picture within a prompt."""


@dataclass(frozen=True)
class View:
    """What the page is over."""

    title: str
    samples: SampleTables
    images: ImageStore
    templates: Mapping[str, Template]


def open_view(paths: Paths, config: Config) -> View:
    """The built data of a checkout.

    A picture or a bank that is not on disk (DVC did not restore it) is named instead of shown.

    Raises:
        DataError: There are no samples, or a file is damaged.
    """
    folders = [paths.images(name) for name in sorted(config.datasets)]
    bank = load_bank(paths.bank) if paths.bank.is_file() else {}
    return View(
        config.profile,
        SampleTables(paths.mic),
        ImageStore(folder for folder in folders if folder.is_dir()),
        {template.id: template for templates in bank.values() for template in templates},
    )


def write_page(view: View, choice: Choice) -> str:
    """One page of the server."""
    return _write(view, choice, lambda reference: f"/picture/{reference}", alone=False)


def write_alone(view: View, choice: Choice) -> str:
    """One page that needs no server and no other file."""

    def address(reference: str) -> str:
        return write_address(draw_thumbnail(view.images, reference, CHIP))

    return _write(view, choice, address, alone=True)


def _write(view: View, choice: Choice, address: Address, *, alone: bool) -> str:
    total, rows = view.samples.find(choice, PAGE_SIZE)
    pages = max(1, -(-total // PAGE_SIZE))
    if choice.page > pages:
        choice = choice.turn(pages)
        total, rows = view.samples.find(choice, PAGE_SIZE)
    articles = "".join(_write_sample(view, row, address, alone=alone) for row in rows)
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>Samples of {escape(view.title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Samples of {escape(view.title)}</h1>",
        _write_fields(choice) if alone else _write_form(view.samples.facets, choice),
        f'<p id="count">{total} samples, page {choice.page} of {pages}</p>',
        "" if alone else _write_pager(choice, pages),
        articles or "<p>No sample is like this.</p>",
        "" if alone else _write_pager(choice, pages),
        "</body></html>",
    ]
    return "\n".join(lines) + "\n"


def _write_fields(choice: Choice) -> str:
    """What was chosen, where it cannot be changed."""
    fields = ", ".join(f"{name} {text}" for name, text in choice.fields().items())
    return f"<p>{escape(fields)}</p>" if fields else ""


def _write_form(facets: Mapping[str, Mapping[str, int]], choice: Choice) -> str:
    """The filters, each value with the number of all samples that have it."""
    selects = []
    for name in FACETS:
        chosen = getattr(choice, name)
        options = "".join(
            f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>'
            f"{escape(value)} ({count})</option>"
            for value, count in facets[name].items()
        )
        selects.append(
            f'<label>{name}<select name="{name}"><option value="">all</option>{options}'
            "</select></label>"
        )
    return (
        f'<form action="/" method="get">{"".join(selects)}<label>text<input name="text" '
        f'maxlength="{MAX_TEXT}" value="{escape(choice.text)}"></label>'
        '<button>Show</button><a href="/">everything</a></form>'
    )


def _write_pager(choice: Choice, pages: int) -> str:
    links = []
    for word, page in (("previous", choice.page - 1), ("next", choice.page + 1)):
        if 1 <= page <= pages:
            links.append(f'<a rel="{word[:4]}" href="{_link(choice.turn(page))}">{word} page</a>')
    return f"<nav>{''.join(links)}</nav>"


def _link(choice: Choice) -> str:
    return escape("/?" + urlencode(choice.fields()))


def _write_sample(view: View, row: dict[str, Any], address: Address, *, alone: bool) -> str:
    """One sample: the prompt with its pictures in place, the target, the provenance."""
    facts = (row["part"], row["dataset"], row["task"], row["split"], f"{len(row['images'])} images")
    return (
        f"<article><h2>{escape(row['id'])}</h2>"
        f'<p class="facts">{escape(" · ".join(facts))}</p>'
        f'<p class="prompt">{_write_prompt(view, row, address, alone=alone)}</p>'
        f'<p>Target: <span class="target">{escape(row["target"])}</span></p>'
        f"{_write_provenance(view, row, alone=alone)}</article>"
    )


def _write_prompt(view: View, row: dict[str, Any], address: Address, *, alone: bool) -> str:
    """The prompt, each placeholder as a chip with its picture."""
    first, *rest = row["prompt"].split(PLACEHOLDER)
    written = [escape(first)]
    for place, text in enumerate(rest):
        reference = row["images"][place] if place < len(row["images"]) else ""
        written += [_write_chip(view, place, reference, address, alone=alone), escape(text)]
    for reference in row["images"][len(rest) :]:
        chip = _write_chip(view, len(rest), reference, address, alone=alone)
        written.append(f'<span class="lacking">no placeholder for {chip}</span>')
    return "".join(written)


def _write_chip(view: View, place: int, reference: str, address: Address, *, alone: bool) -> str:
    if reference not in view.images:
        why = f"{reference[:12]}… is not on disk" if reference else "no image"
        return f'<span class="chip lacking">{place}: {escape(why)}</span>'
    name = escape(reference)
    picture = f'<img src="{escape(address(reference))}" alt="image {place}" title="{name}">'
    if not alone:
        picture = f'<a href="/whole/{name}">{picture}</a>'
    return f'<span class="chip">{picture}image {place}</span>'


def _write_provenance(view: View, row: dict[str, Any], *, alone: bool) -> str:
    """The query's Example, the template with its origin, and the exemplars' Examples."""
    template = view.templates.get(row["template"])
    told = "not in the bank that lies here"
    if template is not None:
        review = "reviewed" if template.reviewed else "not reviewed"
        told = f"{template.text} (origin {template.origin}, {template.licence}, {review})"

    def link(example: str) -> str:
        text = f"<code>{escape(example)}</code>"
        return text if alone else f'<a href="{_link(Choice(text=example))}">{text}</a>'

    exemplars = "".join(f"<dd>{link(one)}</dd>" for one in row["exemplars"]) or "<dd>none</dd>"
    return (
        f"<details open><summary>Provenance</summary><dl><dt>example</dt>"
        f"<dd>{link(row['source'])}, group <code>{escape(row['group'])}</code></dd>"
        f"<dt>template</dt><dd><code>{escape(row['template'])}</code>: {escape(told)}</dd>"
        f"<dt>exemplars</dt>{exemplars}</dl></details>"
    )
