"""`neurojax convert`: NMODL as Python, with what it does under steps; a model as NeuroML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from neurojax.cli.deliver import check_writable
from neurojax.cli.neuron_steps import neuron, neuron_steps
from neurojax.cli.pictures import check_picture, save_picture
from neurojax.io.files import write_whole
from neurojax.membrane.compartment import Cell
from neurojax.membrane.electrode import voltage_clamp
from neurojax.membrane.ions import Ion
from neurojax.model import load_model, to_neuroml
from neurojax.model.nmodl import converted, load_nmodl
from neurojax.run.simulation import simulate

HOLDING = -80.0
STEPS = np.arange(-100.0, 61.0, 20.0)
"""mV"""

DT, BEFORE, DURING = 0.025, 5.0, 100.0
"""ms"""

FINER = 5
"""Steps that NEURON takes in one of ours."""

RESTING = {"na": (10.0, 145.0), "k": (140.0, 5.0), "ca": (1e-4, 2.0), "cl": (10.0, 110.0)}
"""mM, inside and outside, where a channel reads concentrations."""


def run_convert(
    mod: Path, output: Path | None, name: str, check: bool, plot: Path | None, out: Console
) -> None:
    """Write the Python file, or print it; with `check`, tabulate the voltage-step family.

    For an output named .nml write a model as NeuroML.
    """
    if output is not None and output.suffix.lower() == ".nml":
        if check or plot is not None:
            raise ValueError("--check and --plot are of an NMODL channel, not of NeuroML")
        return _to_neuroml(mod, output, name, out)
    if mod.suffix.lower() != ".mod":
        raise ValueError(
            f"{mod}: expected an NMODL file (.mod); a model names channels of NeuroML itself, "
            '`type = "k.channel.nml"`, and a morphology in its table [morphology]'
        )
    if plot is not None:
        check_picture(plot)
    source = converted(mod, name)
    if output is None:
        out.print(source, end="", soft_wrap=True, markup=False, emoji=False)
    else:
        _write(source, output)
        out.print(f"written: {output}", markup=False, soft_wrap=True)
    if check or plot is not None:
        channel = _conducting(load_nmodl(mod)(), out)
        t, i = step_family(channel)
        theirs = neuron_family(mod, channel, out) if check and neuron() is not None else None
        if check:
            out.print(_table(i, theirs))
        if plot is not None:
            _draw(t, i, channel, plot)
            out.print(f"drawn: {plot}", markup=False, soft_wrap=True)


def _to_neuroml(model: Path, output: Path, name: str, out: Console) -> None:
    if model.suffix.lower() == ".mod":
        raise ValueError(
            f"{model}: a channel becomes NeuroML with its cell: a model names it, "
            f'`type = "{model}"`; convert that'
        )
    _write(to_neuroml(load_model(model).cell, name=name or model.stem), output, ".nml")
    out.print(f"written: {output}", markup=False, soft_wrap=True)


def _write(source: str, path: Path, suffix: str = ".py") -> None:
    """Write a new file. Raises ValueError for another suffix, or a file that would be lost."""
    path = path.expanduser()
    check_writable(path, (suffix,))
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


def _conducting(channel: Any, out: Console) -> Any:
    """The channel with a conductance, where its file leaves that to others: it says 0."""
    if getattr(channel, "g_bar", None) != 0:
        return channel
    out.print("g_bar is 0 in the file; 1 mS/cm2 for these steps", markup=False, soft_wrap=True)
    return replace(channel, g_bar=1.0)


def neuron_family(mod: Path, channel: Any, out: Console) -> np.ndarray | None:
    """NEURON's currents [time, step] under the same steps; None where it fails, which is told."""
    m = channel.mechanism
    values = {variable: _reversal(channel, variable) for variable in m.reversals}
    for f in channel.form.fields:
        if f.name == "g_bar" and f.default != channel.g_bar:
            values[f"{f.symbol}_{m.name}"] = f.factor * channel.g_bar
    for variable, name in m.concentrations.items():
        ion, side = name.split("_")
        values[variable] = RESTING.get(ion, (1.0, 1.0))[side == "o"]
    ions = sorted(
        {*m.reversals.values(), *(name.split("_")[0] for name in m.concentrations.values())}
    )
    protocol = {
        "holding": HOLDING, "steps": STEPS.tolist(), "before": BEFORE, "during": DURING,
        "dt": DT / FINER, "celsius": channel.celsius_ref,
    }  # fmt: skip
    try:
        found = neuron_steps(mod, m.name, values, protocol, ions)
    except RuntimeError as error:
        out.print(f"not compared: {error}", markup=False, soft_wrap=True)
        return None
    return found[FINER - 1 :: FINER]


def _reversal(channel: Any, variable: str) -> float:
    (field,) = (f for f in channel.form.fields if f.symbol == variable)
    return float(getattr(channel, field.name))


def _table(i: np.ndarray, theirs: np.ndarray | None) -> Table:
    """Peaks and ends; where NEURON's differ, in percent of the largest current of all steps."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ["step, mV", "peak, uA/cm2", "at, ms", "end, uA/cm2"]
    columns += [] if theirs is None else ["in NEURON", "at, ms", "end", "off by, %"]
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for k, v in enumerate(STEPS):
        ours = _peak_and_end(i[:, k])
        cells = [f"{v:g}", *_told(ours)]
        if theirs is not None:
            other = _peak_and_end(theirs[:, k])
            off = max(abs(ours[0] - other[0]), abs(ours[2] - other[2])) / np.abs(i).max(
                initial=1e-9
            )
            cells += [*_told(other), f"{100 * off:.2g}"]
        table.add_row(*cells)
    return table


def _told(read: tuple[float, float, float]) -> tuple[str, str, str]:
    peak, at, end = read
    return f"{peak:.4g}", f"{at:.3f}", f"{end:.4g}"


def _peak_and_end(i: np.ndarray) -> tuple[float, float, float]:
    """(peak, its time after the step in ms, current at the end)."""
    first = round(BEFORE / DT)
    peak = first + int(np.argmax(np.abs(i[first:])))
    return float(i[peak]), (peak - first + 1) * DT, float(i[-1])


def _draw(t: np.ndarray, i: np.ndarray, channel: Any, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for v, column in zip(STEPS, i.T, strict=True):
        axes.plot(t, column, lw=1, label=f"{v:g} mV")
    axes.set(xlabel="time (ms)", ylabel="current (uA/cm2)", title=type(channel).__name__)
    axes.legend(fontsize="x-small")
    save_picture(figure, path)
