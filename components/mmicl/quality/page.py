"""The first page of the Data Docs: every rule and its outcome, without scripts or the net."""

from html import escape
from typing import Any

from mmicl.quality.shown import Shown

HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Data gate</title><style>
body { font: 15px/1.5 sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd;
         vertical-align: top; overflow-wrap: anywhere; }
.passed { color: #17703c; } .warning { color: #9a6200; } .critical { color: #b00020; }
code { font-size: 90%; } td div { font-size: 90%; color: #444; }
</style></head><body>
"""


def write_index(report: dict[str, Any], pages: dict[str, str], shown: Shown) -> str:
    """The page as HTML.

    Args:
        report: As `mmicl.quality.gate.validate` returns it.
        pages: Table -> its page of Great Expectations, relative to this one.
        shown: (table, id) -> the failing row as HTML (`mmicl.quality.shown`).
    """
    lines = [
        HEAD,
        "<h1>Data gate</h1>",
        f"<p>{report['expectations']} expectations over {report['examples']} examples, "
        f"{report['samples']} samples and {report['templates']} templates: "
        f"{report['failed_critical']} critical and {report['failed_warning']} warnings failed.</p>",
    ]
    for table, page in pages.items():
        lines.append(f'<h2>{escape(table)}</h2><p><a href="{escape(page)}">details</a></p>')
        lines.append("<table><tr><th>Rule</th><th>Outcome</th><th>Rows that fail</th></tr>")
        lines += [_write_row(one, shown) for one in report["results"] if one["table"] == table]
        lines.append("</table>")
    lines.append('<p><a href="runs.html">Great Expectations\' own index</a></p></body></html>')
    return "\n".join(lines) + "\n"


def _write_row(one: dict[str, Any], shown: Shown) -> str:
    """One rule's row of a table."""
    outcome = "passed" if one["success"] else one["level"]
    details = f"{one['failed']} of {one['rows']}"
    if one["observed"]:
        details += f": {escape(one['observed'])}"
    details += "".join(
        f"<br><code>{escape(name)}</code>{shown.get((one['table'], name), '')}"
        for name in one["ids"]
    )
    return (
        f'<tr><td>{escape(one["name"])}</td><td class="{outcome}">{outcome}</td>'
        f"<td>{details}</td></tr>"
    )
