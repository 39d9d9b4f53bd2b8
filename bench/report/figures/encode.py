"""Figures as bytes, the same whenever the figure is the same."""

from __future__ import annotations

import functools
import io
import re
from typing import Any

from matplotlib.figure import Figure

from bench.report.figures.style import colours_on_dark, style

_OPTIONS: dict[str, dict[str, Any]] = {
    # Half the time of the default compression for a file that is a tenth larger.
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 4}},
    # Without a background: what lies beneath shows that a figure on a phone scrolls.
    "svg": {"metadata": dict.fromkeys(("Date", "Creator", "Format", "Type")), "facecolor": "none"},
}
_TAG, _LINE_BREAK = re.compile(r"<[^>]*>"), re.compile(r"\s*\n\s*")
_TENTHS, _HUNDREDTHS = re.compile(r"(\.\d)\d+"), re.compile(r"(\.\d\d)\d+")
_COLOUR = re.compile(r"(?<=: )#[0-9a-f]{6}(?=[;}])")
_BOX = re.compile(r'width="[\d.]+pt" height="[\d.]+pt" viewBox="0 0 ([\d.]+) ')
_STYLE, _GROUP_ID = re.compile(r'(?<=\s)style="([^"]*)"'), re.compile(r'<g id="[^"]*"')


@functools.lru_cache(maxsize=32)  # a file and a page show the same
def encode(figure: Figure, suffix: str) -> bytes:
    """Return a figure as the bytes of a file, whose ``suffix`` is ``png`` or ``svg``."""
    file = io.BytesIO()
    with style():
        figure.savefig(file, format=suffix, **_OPTIONS[suffix])
    return file.getvalue()


def light_and_dark(figure: Figure) -> tuple[bytes, bytes]:
    """Return a figure as small SVG for a light page, and the same for a dark one."""
    names: dict[str, str] = {}  # style → class: thousands of dots share a few styles

    def named(style: str) -> str:
        return names.setdefault(style, f"s{len(names)}")

    def smaller(tag: re.Match[str]) -> str:
        classed = _STYLE.sub(lambda one: f'class="{named(one[1])}"', _GROUP_ID.sub("<g", tag[0]))
        exact = " id=" in classed  # the shape of a marker, where a tenth of a point shows
        return (_HUNDREDTHS if exact else _TENTHS).sub(r"\1", classed)

    # Tags alone, never text: 0.0003 may be a learning rate.
    svg = _TAG.sub(smaller, _LINE_BREAK.sub(" ", encode(figure, "svg").decode()))
    # Browsers set letters a little wider than matplotlib, and would cut those at the right edge.
    svg = _BOX.sub(lambda box: f'viewBox="0 0 {1.02 * float(box[1]):g} ', svg, count=1)
    before, _, after = svg.replace("> <", "><").partition("</style>")
    light = "".join(f".{name}{{{style}}}" for style, name in names.items())
    dark = _COLOUR.sub(lambda colour: colours_on_dark().get(colour[0], colour[0]), light)
    first, second = (f"{before}{rules}</style>{after}".encode() for rules in (light, dark))
    return first, second
