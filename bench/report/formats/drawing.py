"""Figures as part of a page: small, without styles of their own, legible on light and on dark.

A page that forbids inline styles cannot take a figure as matplotlib writes it, and nobody needs
six decimals or the same line of style a thousand times. So each distinct style becomes a class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from bench.report.figures.style import (
    ABSENT,
    FAINT,
    FRAME,
    GRID,
    INK,
    PAPER,
    RULE,
    WIDTH,
    arm_colours_on_dark,
    encode,
)

_SVG = "{http://www.w3.org/2000/svg}"
_PATH = f"{_SVG}path"
_HREF = "{http://www.w3.org/1999/xlink}href"
# What is not data follows the page.
_VARIABLES = {
    INK: "ink",
    "#000000": "ink",
    PAPER: "card",
    FAINT: "faint",
    ABSENT: "absent",
    GRID: "grid",
    RULE: "mark",
    FRAME: "frame",
}
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_STYLES = ("fill", "stroke")  # that stand alone in some elements
_SHAPE = ("d", "x", "y", "width", "height", "points", "transform", "viewBox")


class Drawings:
    """Makes figures part of one page, and collects the styles that they need."""

    def __init__(self) -> None:
        self._classes: dict[str, str] = {}
        self._shares: set[int] = set()  # of the full width, in per cent: letters have one size
        self._count = 0

    def inline(self, figure: Figure, *, caption: str) -> Markup:
        """Return a figure as SVG markup.

        Args:
            figure: what to draw.
            caption: id of the element that says what it shows.
        """
        self._count += 1
        root = ElementTree.fromstring(encode(figure, "svg"))
        used = _references(root)
        box = root.attrib["viewBox"]
        share = min(100, round(float(box.split()[2]) / (72 * WIDTH) * 100))
        self._shares.add(share)
        inside = "".join(part for child in root for part in self._element(child, used))
        return Markup(
            f'<svg class="drawing d{share}" role="img" aria-labelledby="{escape(caption)}" '
            f'viewBox="{escape(box)}">{inside}</svg>'
        )

    def styles(self) -> str:
        """Return the style sheet of all figures so far."""
        rules = [f".{name}{{{style}}}" for style, name in self._classes.items()]
        rules += (f".d{share}{{--share:{share / 100:g}}}" for share in sorted(self._shares))
        dark = [
            f"--c{light[1:]}:{dark}"
            for light, dark in arm_colours_on_dark().items()
            if any(f"--c{light[1:]}," in style for style in self._classes)
        ]
        if dark:
            rules.append(
                f"@media screen and (prefers-color-scheme:dark){{:root{{{';'.join(dark)}}}}}"
            )
        return "\n".join(rules)

    def _element(self, element: ElementTree.Element, used: set[str]) -> Iterator[str]:
        tag = element.tag.removeprefix(_SVG)
        if not element.tag.startswith(_SVG) or tag in ("metadata", "style"):
            return
        attributes = "".join(self._attributes(element, used))
        inside: list[str] = [escape(element.text)] if element.text and element.text.strip() else []
        for child in element:
            inside += self._element(child, used)
        if tag in ("g", "defs") and not inside:
            return
        if tag == "g" and not attributes:
            yield from inside
        elif inside:
            yield from (f"<{tag}{attributes}>", *inside, f"</{tag}>")
        else:
            yield f"<{tag}{attributes}/>"

    def _attributes(self, element: ElementTree.Element, used: set[str]) -> Iterator[str]:
        style = [element.get("style", "")]
        style += [f"{name}: {element.attrib[name]}" for name in _STYLES if name in element.attrib]
        if any(style):
            own = "; ".join(style)
            if element.tag == _PATH:  # the page has a background of its own
                own = own.replace("fill: #ffffff", "fill: none")
            yield f' class="{self._class(own)}"'
        for name, value in element.attrib.items():
            if name in ("style", *_STYLES):
                continue
            if name == "id":
                if value in used:
                    yield f' id="{self._id(value)}"'
            elif name == _HREF:
                where = f"#{self._id(value[1:])}" if value.startswith("#") else value
                yield f' href="{escape(where)}"'
            elif not value.startswith("rotate(-0 "):
                value = _REFERENCE.sub(lambda match: f"url(#{self._id(match[1])})", value)
                if name in _SHAPE:
                    value = _NUMBER.sub(_shortened, " ".join(value.split()))
                yield f' {name.rpartition("}")[2]}="{escape(value)}"'

    def _class(self, style: str) -> str:
        parts = [part.strip() for part in style.split(";")]
        kept = (part for part in parts if part and not part.startswith("font-family"))
        own = ";".join(sorted(kept))  # the same for whatever order they were written in
        own = _REFERENCE.sub(lambda match: f"url(#{self._id(match[1])})", own)
        own = _COLOUR.sub(_variable, own)
        return self._classes.setdefault(own, f"s{len(self._classes)}")

    def _id(self, name: str) -> str:
        return f"f{self._count}{name}"


def _references(root: ElementTree.Element) -> set[str]:
    found = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            found |= set(_REFERENCE.findall(value))
            if name == _HREF and value.startswith("#"):
                found.add(value[1:])
    return found


def _shortened(number: re.Match[str]) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _variable(colour: re.Match[str]) -> str:
    if colour[0] in _VARIABLES:
        return f"var(--{_VARIABLES[colour[0]]})"
    if colour[0] in arm_colours_on_dark():
        return f"var(--c{colour[0][1:]},{colour[0]})"
    return colour[0]
