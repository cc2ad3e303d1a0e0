"""The cell in numbers that an electrophysiologist knows: rest, resistance, time constant, rheobase.

Read off the same sweeps for data and model, by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from neurojax.fit import Fit
from neurojax.fit.holding import holding_pA
from neurojax.membrane.cable import Cable
from neurojax.membrane.compartment import Cell
from neurojax.membrane.path_names import LARGEST_AREA
from neurojax.membrane.profiles import density_of
from neurojax.membrane.rest import at_rest
from neurojax.plot.look import number
from neurojax.plot.sweep import SweepView
from neurojax.recording.features import of_trace, spikes
from neurojax.recording.trace import Trace
from neurojax.report import page
from neurojax.report.content import FitReport
from neurojax.units import PA

_LEAST_MS = 50.0
"""Steps that are shorter charge no membrane."""


class Property(NamedTuple):
    """A number of the cell, of data and model; NaN where it cannot be read off."""

    name: str
    unit: str
    data: float
    model: float
    note: str  # from which sweeps


def properties(report: FitReport) -> list[Property]:
    """What can be read off the sweeps in current clamp; under voltage clamp nothing."""
    if report.clamp == "voltage":
        return []
    views, fit = report.views, report.fit
    return [
        p for p in (*_passive(views, fit), *_firing(views)) if np.isfinite([p.data, p.model]).any()
    ]


def _passive(views: Sequence[SweepView], fit: Fit) -> Iterator[Property]:
    begun = views[0].data
    base = [_of(v.data, v)[0] for v in views]
    rest = float(fit.cell.at_electrode(at_rest(fit.cell, holding_pA(begun) * PA).v))
    yield Property("rest", "mV", _median(base), rest, "median; the model's own, not held")
    down = [v for v in views if v.step.height < 0 and v.step.off - v.step.on >= _LEAST_MS]
    down = [v for v in down if not spikes(v.data.v_mV, v.data.dt_ms).number]
    small = sorted(down, key=lambda v: -v.step.height)[:3]
    heights = ", ".join(dict.fromkeys(f"{v.step.height:.0f}" for v in small))
    for k, name, unit in ((1, "input resistance", "MOhm"), (2, "time constant", "ms")):
        data, model = (_median([_of(t, v)[k] for t, v in _both(small, of)]) for of in range(2))
        yield Property(name, unit, data, model, f"steps of {heights} pA")
    sag = sorted(down, key=lambda v: v.step.height)[:1]
    data, model = (_median([100 * _of(t, v)[3] for t, v in _both(sag, of)]) for of in range(2))
    yield Property("sag", "%", data, model, "".join(f"step of {v.step.height:.0f} pA" for v in sag))
    R, tau = (_median([_of(v.data, v)[k] for v in small]) for k in (1, 2))
    yield Property("capacitance", "pF", 1e3 * tau / R, capacitance_pF(fit.cell), "data: tau / R")


def _both(views: Sequence[SweepView], of: int) -> list[tuple[Trace, SweepView]]:
    return [((v.data, v.model)[of], v) for v in views]


def _of(trace: Trace, view: SweepView) -> tuple[float, float, float, float]:
    """Base (mV), resistance (MOhm), time constant (ms) and sag ratio under the view's step."""
    found = of_trace(trace, view.step[:2]).subthreshold
    return (
        float(found.base),
        float(found.resistance_MOhm),
        float(found.tau),
        float(found.sag_ratio),
    )


def _firing(views: Sequence[SweepView]) -> Iterator[Property]:
    up = [v for v in views if v.step.height > 0 and v.step.off - v.step.on >= _LEAST_MS]
    data, model = (_rheobase(_both(up, of)) for of in range(2))
    yield Property("rheobase", "pA", data, model, "weakest step that fires it")


def _rheobase(both: Sequence[tuple[Trace, SweepView]]) -> float:
    fires = [
        view.step.height
        for trace, view in both
        if int(of_trace(trace, view.step[:2]).firing.number)
    ]
    return min(fires, default=float("nan"))


def _median(values: Sequence[float]) -> float:
    known = [x for x in values if np.isfinite(x)]
    return float(np.median(known)) if known else float("nan")


# -- of the whole cell -----------------------------------------------------------------------------
def capacitance_pF(cell: Cell) -> float:
    """The capacitance of the whole membrane."""
    return float(np.sum(np.asarray(cell.C_m) * np.asarray(cell.area))) * 1e6


def of_whole(name: str, value: float, unit: str, cell: Cell) -> str:
    """A density times the area of the membrane that has it: "12.3 nS", "105 pF"; else nothing.

    In a cell with compartments that is the region that the parameter's name ends with, or else all,
    each as dense as the channel is there.
    """
    area = float(np.sum(_area(name, cell)))
    if unit not in ("mS/cm2", "uF/cm2") or area >= LARGEST_AREA:
        return ""  # an area of 1 cm2 stands for densities
    return f"{number(value * area * 1e6, 3)} {'nS' if unit == 'mS/cm2' else 'pF'}"


def _area(name: str, cell: Cell) -> np.ndarray:
    """The areas, cm2, of what has a parameter; of a channel where it is, as dense as it is."""
    area = np.asarray(cell.area)
    if not isinstance(cell, Cable):
        return area
    owner, region = name.partition(".")[0], name.rpartition(".")[2]
    if owner in cell.density:
        area = area * np.asarray(density_of(cell.density[owner]))
    if region in cell.regions:
        area = area * (np.asarray(cell.regions) == region)
    return area


def section(report: FitReport) -> Iterator[str]:
    """The table of the properties."""
    rows = [
        [p.name, number(p.data, 3), number(p.model, 3), p.unit, (page.text(p.note), "rest")]
        for p in properties(report)
    ]
    if rows:
        yield page.heading(3, "The cell in numbers")
        yield page.table(["", "data", "model", "unit", "read off"], rows, "The cell in numbers")
