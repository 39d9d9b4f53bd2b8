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
from functools import cache, partial
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from bench.report.content import (
    audit,
    collapse,
    cost,
    effect_views,
    evaluations,
    other_metrics,
    planning,
    ranking,
    tuning,
    views,
)
from bench.report.content.plain import plain
from bench.report.content.prose import say
from bench.report.content.table import MOST_ROWS
from bench.report.document import Document
from bench.report.figures.encode import light_and_dark
from bench.report.formats.gallery import gallery
from bench.report.formats.strips import Strips

# id → title, in the order of the page. A section is there if its macro gives anything.
SECTIONS = {
    "effects": "Effects",
    "arms": "Arms",
    "collapse": "Runs that did not train",
    "tuning": "Tuning",
    "evaluations": "Stored networks scored again",
    "interactions": "Interactions",
    "curves": "Learning curves",
    "classes": "IoU by class",
    "confusion": "Confusion matrices",
    "predictions": "Predictions",
    "original_study": "The original study’s score and true mIoU",
    "metric": "Metric audit",
    "speed": "Speed",
    "further": "Further figures",
    "cost": "Cost",
    "reproduce": "Reproduce",
}
NOT_DRAWN = ("panels",)  # the page has these pictures themselves


@dataclass(frozen=True)
class Drawn:
    """A figure as data URIs, the two parts of its caption, and its size in pixels."""

    title: str
    text: str
    light: str
    dark: str
    size: tuple[int, int]


def render(document: Document) -> str:
    """Return the page."""
    results, figures = document.results, document.figures
    pictures = gallery(results)
    context: dict[str, Any] = {
        "results": results,
        "plan": results.plan,
        "say": partial(say, results),
        "show": views,
        "statistics": effect_views,
        "costs": cost,
        "audits": document.audits,
        "elsewhere": evaluations,
        "tuned": tuning,
        "lost": collapse,
        "by_metric": other_metrics,
        "planned": planning,
        "order": ranking,
        "scored_again": document.evaluations,
        "say_of": say,
        "variants": audit.definitions(),
        "drawn": {name: _drawn(one) for name, one in figures.items() if name not in NOT_DRAWN},
        "pictures": pictures,
        "strips": Strips(results),
        "most_rows": MOST_ROWS,
        "newest": max((record.started[:10] for record in results.records.values()), default=""),
    }
    macros: Any = _environment().get_template("sections.html.j2").make_module(context)
    bodies = {name: getattr(macros, name)().strip() for name in SECTIONS}
    sections = {name: (SECTIONS[name], body) for name, body in bodies.items() if body}
    swatches = [
        f".w{i}{{background:rgb{rgb}}}"
        for i, rgb in enumerate(pictures.legend.values() if pictures else ())
    ]
    styles = [text("page.css"), *swatches]
    return page("report.html.j2", context | {"sections": sections}, styles=styles)


def page(name: str, context: Mapping[str, Any], *, styles: Sequence[str]) -> str:
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
    template = _environment().get_template(name)
    allowed = "; ".join(f"{kind} {value}" for kind, value in policy.items())
    return template.render(context, style=Markup(style), script=Markup(script), policy=allowed)


def breakable(value: object) -> Markup:
    """Return text that may be broken after dots and underscores: settings are long words."""
    return Markup(re.sub(r"(?<=\w)([._])(?=\w)", r"\1<wbr>", str(escape(plain(value)))))


def text(name: str) -> str:
    """Return a file that lies beside this one."""
    return (resources.files("bench.report") / "templates" / name).read_text(encoding="utf-8")


def _drawn(figure: Figure) -> Drawn:
    title, _, rest = str(figure.get_label()).partition(". ")
    light, dark = (
        f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
        for svg in light_and_dark(figure)
    )
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return Drawn(title, rest, light, dark, (width, height))


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
    environment.filters |= {"breakable": breakable}
    return environment


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
