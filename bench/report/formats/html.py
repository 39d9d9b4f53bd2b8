"""The report as one HTML file: nothing loaded from anywhere, readable without JavaScript too.

A strict Content-Security-Policy allows the page its own style sheet and script, by their digests,
and pictures that are inside it; so nothing that a user named can load or run anything.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from bench import metrics
from bench.report.content import answers, audit, sentences, views
from bench.report.content.cells import MOST_ROWS
from bench.report.content.cost import arithmetic_table, cost_table
from bench.report.content.pictures import gallery
from bench.report.content.plain import numeric, plain
from bench.report.document import Document
from bench.report.formats.drawing import Drawings
from bench.report.formats.strips import Strips

# id → title, in the order of the page. A section is there if its macro gives anything.
SECTIONS = {
    "effects": "What each choice does",
    "arms": "Every arm",
    "interactions": "Whether the choices depend on each other",
    "curves": "Learning curves",
    "classes": "Class by class",
    "confusion": "What is taken for what",
    "predictions": "Predictions",
    "riddle": "The study’s score and the true one",
    "metric": "What the metric is worth",
    "speed": "Speed",
    "further": "Further figures",
    "cost": "What it took",
    "reproduce": "How to reproduce this",
}
NOT_DRAWN = ("panels",)  # the page has these pictures themselves


@dataclass(frozen=True)
class Drawn:
    """A figure as markup, and its caption in two parts."""

    name: str
    title: str
    text: str
    markup: Markup


def render(document: Document) -> str:
    """Return the page."""
    results, figures = document.results, document.figures
    drawings = Drawings()
    drawn = {
        name: _drawn(drawings, name, figure)
        for name, figure in figures.items()
        if name not in NOT_DRAWN
    }
    pictures = gallery(results)
    environment = _environment()
    context: dict[str, Any] = {
        "results": results,
        "plan": results.plan,
        "answers": answers,
        "say": sentences,
        "show": views,
        "cost_table": cost_table,
        "arithmetic_table": arithmetic_table,
        "audits": document.audits,
        "variants": audit.definitions(),
        "drawn": drawn,
        "pictures": pictures,
        "strips": Strips(results),
        "most_rows": MOST_ROWS,
        "newest": max((record.started[:10] for record in results.records.values()), default=""),
        "spoken": metrics.label,
    }
    macros: Any = environment.get_template("sections.html.j2").make_module(context)
    bodies = {name: getattr(macros, name)().strip() for name in SECTIONS}
    swatches = enumerate(pictures.legend.values() if pictures else ())
    styles = [
        text("page.css"),
        drawings.styles(),
        *(f".w{i}{{background:rgb({red},{green},{blue})}}" for i, (red, green, blue) in swatches),
    ]
    return page(
        "report.html.j2",
        context
        | {"sections": {name: (SECTIONS[name], body) for name, body in bodies.items() if body}},
        styles=styles,
    )


def page(template: str, context: Mapping[str, Any], *, styles: Sequence[str]) -> str:
    """Return a page that holds its style sheet and the script, and allows no others."""
    style, script = "\n".join(styles), text("page.js")
    policy = {
        "default-src": "'none'",
        "style-src": _digest(style),
        "script-src": _digest(script),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return (
        _environment()
        .get_template(template)
        .render(
            context,
            style=Markup(style),
            script=Markup(script),
            policy="; ".join(f"{name} {value}" for name, value in policy.items()),
        )
    )


def breakable(value: object) -> Markup:
    """Return text that may be broken after dots and underscores: settings are long words."""
    return Markup(re.sub(r"(?<=\w)([._])(?=\w)", r"\1<wbr>", str(escape(plain(value)))))


def text(name: str) -> str:
    """Return a file that lies beside this one."""
    return (resources.files("bench.report") / "templates" / name).read_text(encoding="utf-8")


def _drawn(drawings: Drawings, name: str, figure: Figure) -> Drawn:
    title, _, rest = str(figure.get_label()).partition(". ")
    return Drawn(name, title, rest, drawings.inline(figure, caption=f"caption-{name}"))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report", "templates"),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else plain(value),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"numeric": numeric, "breakable": breakable}
    return environment


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
