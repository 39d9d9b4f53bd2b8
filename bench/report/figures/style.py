"""How every figure looks: a colour for each arm, one font, and bytes that never differ."""

from __future__ import annotations

import contextlib
import functools
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec

import matplotlib.style
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from bench.analysis.analysis import Analysis

P = ParamSpec("P")

# Seven hues that stay apart in every common kind of colour blindness (after Okabe and Ito;
# without their yellow, which is hard to see on white, and with grey for their black).
HUES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b6b6b")
# A further round through the hues is darker, then lighter; markers and dashes change as well.
SHADES = (0.0, -0.45, 0.35)
MARKERS = "os^DvPX<>p"
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))

INK, FAINT, ABSENT = "#222222", "#d4d4d4", "#e9e9e9"
PAPER = "#fefefe"  # what lies under a figure: around markers, between cells
GRID, RULE, FRAME = "#e4e4e4", "#777777", "#888888"
SMALL = 8.0  # points: of titles over pictures, of legends, of notes
WIDTH = 10.0  # inches; every figure is as wide, so that letters have one size in a report
MOST_ARMS = 35  # more are not drawn one by one, so that pages and memory stay bounded

_STYLE: dict[str, Any] = {
    "font.size": 9.0,
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same on every machine
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
    "svg.fonttype": "none",  # letters stay text: small, and in a page or paper of its font
}
_METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


# Half the time of the default for a file that is a tenth larger.
_OPTIONS: dict[str, dict[str, Any]] = {"png": {"pil_kwargs": {"compress_level": 4}}, "svg": {}}


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
def arm_colours_on_dark() -> dict[str, str]:
    """Return, of the arms' colours that are too dark on dark paper, what stands in for them."""
    return {_shade(hue, shade): _shade(hue, 0.65) for hue in HUES for shade in SHADES if shade < 0}


def styled(draw: Callable[P, Figure | None]) -> Callable[P, Figure | None]:
    """Make a figure function independent of the user's matplotlib settings, and lay it out."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure | None:
        with _style():
            figure = draw(*args, **kwargs)
            engine = None if figure is None else figure.get_layout_engine()
            if figure is not None and engine is not None:
                # Laid out here, once; otherwise each file that is made of it would do so again.
                engine.execute(figure)
                figure.set_layout_engine("none")
            return figure

    return drawn


@functools.lru_cache(maxsize=32)  # a file and a page show the same
def encode(figure: Figure, suffix: str) -> bytes:
    """Return a figure as the bytes of a file, the same whenever the figure is the same.

    Args:
        figure: what to write.
        suffix: ``png`` or ``svg``.
    """
    file = io.BytesIO()
    with _style():
        figure.savefig(file, format=suffix, metadata=_METADATA[suffix], **_OPTIONS[suffix])
    return file.getvalue()


def one_line(text: str, limit: int = 60) -> str:
    """Return text that a user gave as one line of at most ``limit`` letters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def wrapped(text: str, inches: float, *, lines: int = 3) -> str:
    """Return text as at most ``lines`` lines that are no wider than ``inches``."""
    flat = one_line(text, 200).replace(" · ", "\u00a0· ")  # no line begins with the dot
    found: list[str] = []
    for word in flat.split(" "):
        if found and text_width(f"{found[-1]} {word}") <= inches:
            found[-1] += f" {word}"
        else:
            found.append(word)
    if len(found) > lines:
        found[lines - 1 :] = [f"{found[lines - 1]} …"]
    return "\n".join(_cut(line, inches) for line in found).replace("\u00a0", " ")


def text_width(text: str) -> float:
    """Return the width in inches of one line of small letters."""
    points: float = text_to_path.get_text_width_height_descent(
        text, FontProperties(size=SMALL), ismath=False
    )[0]
    return points / 72


def legend_text(text: str) -> str:
    """Return a legend entry that matplotlib does not leave out because of a leading ``_``."""
    return "\u200a" + text if text.startswith("_") else text


def tint(share: float) -> tuple[float, float, float, float]:
    """Return the RGBA colour of a share in [0, 1]: the first hue, the more of it the larger.

    It is transparent where the share is small, so that it fits whatever lies beneath.
    """
    return *to_rgb(HUES[0]), _opacity(share)


def ink_on_tint(share: float) -> str:
    """Return the colour of letters on a tint: a contrast of 4.5 or more on any page."""
    return INK if _opacity(share) < 1 else "white"


def handle(label: str, style: ArmStyle, *, line: bool) -> Line2D:
    """Return what stands for an arm in a legend: its line, or else its marker."""
    return Line2D(
        [],
        [],
        color=style.colour,
        linestyle=style.dash if line else "none",
        marker="" if line else style.marker,
        lw=2.0,
        label=legend_text(wrapped(label, 2.3) if line else one_line(label, 44)),
    )


def left_out(results: Analysis, labels: Sequence[str]) -> str:
    """Return the sentence of a caption that says how many arms are not drawn, if any."""
    count = len(results.arms)
    return f" The first {len(labels)} of {count} arms." if len(labels) < count else ""


def _cut(line: str, inches: float) -> str:
    length = len(line)
    while text_width(line) > inches and length > 1:
        length -= 1
        line = f"{line[:length]}…"
    return line


@contextlib.contextmanager
def _style() -> Iterator[None]:
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
