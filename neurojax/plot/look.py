"""The look that all pictures share: colours, type, axes; and how numbers are written on them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from neurojax.units import factor

INK, FAINT, GRID = "#26282b", "#8a8f98", "#e3e5e8"
DATA = "#6d737c"  # lighter than ink, so that a model's thin line stands out on it
FITTED, PREDICTED, TRUTH = "#c8452f", "#23699e", "#3c8457"
CYCLE = ["#23699e", "#c8452f", "#3c8457", "#8b5ea8", "#b07d1e", "#4c8f94", "#a34a70", "#6b6f76"]
STAGES = ["#80858e", "#9a6cb8", "#b07d1e", "#3f9298", "#c05c8a", "#7a8f3a", "#a9745b", "#5d7fb8"]
"""Neither data nor model: told apart on light paper and on dark."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.facecolor": "none",
    "figure.facecolor": "white",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.2,
    "lines.solid_capstyle": "round",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
    "savefig.dpi": 160,
}
WIDTH = 9.0  # inches

_RAISED = dict(zip("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True))

LECTURE = STYLE | {
    "font.size": 13.0,
    "axes.titlesize": 14.0,
    "axes.labelsize": 13.0,
    "axes.linewidth": 1.0,
    "xtick.labelsize": 12.0,
    "ytick.labelsize": 12.0,
    "xtick.major.width": 1.0,
    "ytick.major.width": 1.0,
    "legend.fontsize": 12.0,
    "legend.title_fontsize": 12.0,
    "lines.linewidth": 2.2,
    "savefig.dpi": 120,
}
"""For a figure 13.5 inches wide, a slide: type that reads from the last row of a hall."""

P = ParamSpec("P")
Made = TypeVar("Made")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw with this module's look, leaving the caller's matplotlib settings alone."""
    return _looking(STYLE, draw)


def lecture(draw: Callable[P, Made]) -> Callable[P, Made]:
    """A function of which all figures have the look of a lecture, `LECTURE`: type, axes, lines.

    Above the `main` of an experiment: `@plot.lecture`.
    """
    return _looking(LECTURE, draw)


def _looking(style: dict[Any, Any], draw: Callable[P, Made]) -> Callable[P, Made]:
    @functools.wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Made:
        with matplotlib.rc_context(style):
            return draw(*args, **kwargs)

    return inside


def thin(t: np.ndarray, y: np.ndarray, columns: int = 1100) -> tuple[np.ndarray, np.ndarray]:
    """A line with no more points than can be seen: the extremes of each column of pixels."""
    t, y = np.asarray(t), np.asarray(y)
    if y.size <= 3 * columns:
        return t, y
    width = y.size // columns
    whole = y[: width * columns].reshape(columns, width)
    ends = np.sort(np.stack([whole.argmin(1), whole.argmax(1)], axis=1), axis=1)
    kept = (ends + width * np.arange(columns)[:, None]).ravel()
    kept = np.unique(np.concatenate([kept, np.arange(width * columns, y.size), [y.size - 1]]))
    return t[kept], y[kept]


def short(value: float) -> str:
    """A number as short as it can be: 0.005, 80000, and 10⁻⁷."""
    mantissa, _, exponent = f"{value:g}".partition("e")
    if not exponent:
        return mantissa
    raised = "".join(_RAISED[digit] for digit in str(int(exponent)))
    return f"10{raised}" if mantissa == "1" else f"{mantissa}\N{MULTIPLICATION SIGN}10{raised}"


def number(value: float, digits: int = 4) -> str:
    """A number for reading: so many significant digits, powers of ten only where they help."""
    if not np.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        places = digits - 1 - (int(np.floor(np.log10(abs(value)))) if value else 0)
        return f"{value:.{max(places, 0)}f}"
    return f"{value:.{digits - 1}e}"


def between(low: float, high: float) -> str:
    """ "0.118 to 0.154": with as many digits as it takes to tell the ends apart."""
    width, largest = abs(high - low), max(abs(low), abs(high))
    finer = int(np.ceil(np.log10(largest / width))) if 0 < width < np.inf else 0
    digits = min(max(3, 1 + finer), 9)
    return f"{number(low, digits)} to {number(high, digits)}"


def readable(value: float, unit: str) -> tuple[float, str]:
    """A value and its unit as people say them: the area of a neuron in um2."""
    if unit == "cm2" and abs(value) < 1e-2:
        return value * factor("cm2", "um2"), "um2"
    return value, "" if unit == "1" else unit


def plain_log(axes: Axes, which: str = "y") -> None:
    """A log axis with plain numbers on it, at 1, 2 and 5 where it spans few decades."""
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = axis.get_data_interval()
    subs = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda x, _: short(x)))
    axis.set_minor_formatter(NullFormatter())
