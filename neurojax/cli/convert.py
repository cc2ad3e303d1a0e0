"""`neurojax convert`: an NMODL file as a Python file, and what the channel does under steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from neurojax.cli.deliver import check_writable
from neurojax.cli.simulate import check_picture, save_picture
from neurojax.io.files import write_whole
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import voltage_clamp
from neurojax.membrane.ions import Ion
from neurojax.model.nmodl import converted, load_nmodl
from neurojax.run.simulation import simulate

HOLDING = -80.0
STEPS = np.arange(-100.0, 61.0, 20.0)
"""mV"""

DT, BEFORE, DURING = 0.025, 5.0, 100.0
"""ms"""

RESTING = {"na": (10.0, 145.0), "k": (140.0, 5.0), "ca": (1e-4, 2.0), "cl": (10.0, 110.0)}
"""mM, inside and outside, where a channel reads concentrations."""


def run_convert(
    mod: Path, output: Path | None, name: str, check: bool, plot: Path | None, out: Console
) -> None:
    """Write the Python file, or print it; with `check`, tabulate the voltage-step family."""
    if plot is not None:
        check_writable(plot)
        check_picture(plot)
    source = converted(mod, name)
    if output is None:
        out.print(source, end="", soft_wrap=True, markup=False, emoji=False)
    else:
        _write(source, output)
        out.print(f"written: {output}", markup=False, soft_wrap=True)
    if check or plot is not None:
        channel: Any = load_nmodl(mod)()
        t, i = step_family(channel)
        if check:
            out.print(_table(i))
        if plot is not None:
            _draw(t, i, channel, plot)
            out.print(f"drawn: {plot}", markup=False, soft_wrap=True)


def _write(source: str, path: Path) -> None:
    """Write a new file. Raises ValueError for another suffix, or a file that would be lost."""
    path = path.expanduser()
    if path.suffix != ".py":
        raise ValueError(f"{path}: expected a name that ends in .py")
    check_writable(path)
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != source:
        raise ValueError(f"{path}: exists and differs; name another file, or delete it")
    write_whole(path, source.encode())


def step_family(channel: Any) -> tuple[np.ndarray, np.ndarray]:
    """Times (ms), and current densities [time, step] (uA/cm2) of a channel under voltage steps."""
    t = np.arange(0, BEFORE + DURING, DT)
    v = np.where((t < BEFORE)[:, None], HOLDING, STEPS)
    names = {name.split("_")[0] for name in channel.reads if name[-2:] in ("_i", "_o")}
    ions = {}
    for name in names:
        inside, outside = RESTING.get(name, (1.0, 1.0))
        ions[name] = Ion(inside=inside, outside=outside)
    cell = Cell(channels={"c": channel}, ions=ions, celsius=channel.celsius_ref)
    cell = replace(cell, C_m=1.0)
    data = simulate(cell, voltage_clamp(v), DT, initial=HOLDING, record=("c.i",)).data
    return t, np.asarray(data["c.i"])


def _table(i: np.ndarray) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("step, mV", "peak, uA/cm2", "at, ms", "end, uA/cm2"):
        table.add_column(column, justify="right")
    first = round(BEFORE / DT)
    for v, column in zip(STEPS, i.T, strict=True):
        peak = first + int(np.argmax(np.abs(column[first:])))
        at = f"{(peak - first + 1) * DT:.3f}"
        table.add_row(f"{v:g}", f"{column[peak]:.5g}", at, f"{column[-1]:.5g}")
    return table


def _draw(t: np.ndarray, i: np.ndarray, channel: Any, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for v, column in zip(STEPS, i.T, strict=True):
        axes.plot(t, column, lw=1, label=f"{v:g} mV")
    axes.set(xlabel="time (ms)", ylabel="current (uA/cm2)", title=type(channel).__name__)
    axes.legend(fontsize="x-small")
    save_picture(figure, path)
