"""How every figure looks: one font, few colours, and one of them for each arm."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec

import matplotlib.style
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

P = ParamSpec("P")

# Seven hues that stay apart in every common kind of colour blindness (after Okabe and Ito;
# without their yellow, which is hard to see on white, and with grey for their black).
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b6b6b")
# A further round through the hues is darker, then lighter; markers and dashes change as well.
SHADES = (0.0, -0.45, 0.35)
MARKERS = "os^DvPX<>p"
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))

INK, FAINT, ABSENT = "#222222", "#d4d4d4", "#e9e9e9"
PAPER = "#fefefe"  # around markers; not pure white, which letters on a full tint keep on dark
GRID, RULE, FRAME = "#e4e4e4", "#777777", "#888888"
SMALL = 8.0  # points: of titles over pictures, of legends, of notes
WIDTH = 10.0  # inches, of every figure, so that letters have one size in a report
MOST_ARMS = 35  # more are not drawn one by one, so that pages and memory stay bounded

_STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.facecolor": "none",
    "text.color": INK,
    "text.parse_math": False,  # a class called `$a$` is no formula
    "axes.edgecolor": FRAME,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": FRAME,
    "ytick.color": FRAME,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "legend.frameon": False,
    "figure.dpi": 120.0,
    "savefig.dpi": 120.0,
    "svg.hashsalt": "bench",  # or identifiers differ from run to run
    "svg.fonttype": "none",  # letters stay text, which is small
}


@dataclass(frozen=True)
class ArmStyle:
    """How one arm looks in every figure."""

    colour: str
    marker: str
    dash: Any


def arm_styles(labels: Iterable[str]) -> dict[str, ArmStyle]:
    """Give every arm its look, from its place in the plan.

    Colours repeat after ``len(HUES) * len(SHADES)`` arms, marker and dash after more than that;
    any ``len(HUES)`` neighbours have different hues.
    """
    styles = {}
    for i, label in enumerate(labels):
        turn = i // len(HUES)
        styles[label] = ArmStyle(
            colour=_shade(HUES[i % len(HUES)], SHADES[turn % len(SHADES)]),
            marker=MARKERS[turn % len(MARKERS)],
            dash=DASHES[turn % len(DASHES)],
        )
    return styles


@functools.cache
def colours_on_dark() -> Mapping[str, str]:
    """Return colour → what stands in for it on a dark page; page.css has the same neutrals."""
    neutrals = {
        INK: "#e7e5e1",
        PAPER: "#1b1e23",
        FAINT: "#4a4e55",
        ABSENT: "#2a2d33",
        GRID: "#2c3036",
        RULE: "#9a9a9a",
        FRAME: "#7d828a",
    }
    too_dark = [(hue, shade) for hue in HUES for shade in SHADES if shade < 0]
    return neutrals | {_shade(hue, shade): _shade(hue, 0.65) for hue, shade in too_dark}


def styled(draw: Callable[P, Figure | None]) -> Callable[P, Figure | None]:
    """Make a figure function independent of the user's matplotlib settings, and lay it out."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure | None:
        with style():
            figure = draw(*args, **kwargs)
            engine = None if figure is None else figure.get_layout_engine()
            if figure is not None and engine is not None:
                # Laid out here, once; otherwise each file that is made of it would do so again,
                # and with any engine, even "none", be drawn twice.
                engine.execute(figure)
                figure.set_layout_engine(None)
            return figure

    return drawn


def tint(share: float) -> tuple[float, float, float, float]:
    """Return the RGBA colour of a share in [0, 1]: the first hue, the more of it the larger.

    It is transparent where the share is small, so that it fits whatever lies beneath.
    """
    return *to_rgb(HUES[0]), _opacity(share)


def ink_on_tint(share: float) -> str:
    """Return the colour of letters on a tint: a contrast of 4.5 or more on any page."""
    return INK if _opacity(share) < 1 else "white"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Put the user's own matplotlib settings aside."""
    with matplotlib.style.context(["default", _STYLE]), warnings.catch_warnings():
        # The font has no letters for every script; a box in their place is no reason to fail.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _opacity(share: float) -> float:
    # Between 0.8 and 0.94 neither dark nor white letters would have a contrast of 4.5.
    return 1.0 if share >= 0.9 else 0.8 * max(0.0, share) / 0.9


def _shade(colour: str, amount: float) -> str:
    """Mix a colour with black (``amount`` < 0) or white."""
    target = float(amount > 0)
    red, green, blue = (part + (target - part) * abs(amount) for part in to_rgb(colour))
    return to_hex((red, green, blue))
