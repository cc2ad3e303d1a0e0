"""The page of a cell: what it holds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from neurojax.engine.folds import SpikeCount
from neurojax.engine.inputs import LARGEST_AREA
from neurojax.explore.equations import Equations, equations
from neurojax.explore.paper import content, filled
from neurojax.membrane.channel import ParamInfo, natural_scale
from neurojax.membrane.compartment import Cell, pools
from neurojax.membrane.electrode import current_clamp, steps
from neurojax.membrane.path_names import settable
from neurojax.membrane.rest import REST
from neurojax.model.space import Space
from neurojax.plot.look import CYCLE
from neurojax.run.simulation import simulate
from neurojax.units import PA

Range = tuple[float, float]
"""From and to."""

FEW = 24
"""Parameters of a cell whose sliders are all open at first."""

Times = tuple[float, float, float]
"""Start and stop of a step, and the duration of its run, ms."""

SHORT: Times = (20.0, 170.0, 200.0)
"""The step of a page that was not told another, for a cell that fires three times in it."""

LONG: Times = (100.0, 900.0, 1000.0)
"""The step for other cells."""


def explorer_page(
    cell: Cell,
    space: Space | None,
    told: tuple[str, str],
    dt: float,
    step: Times | None,
    amplitude: float | None,
    inputs: Mapping[str, Range],
) -> str:
    """One HTML document that needs nothing else; see `neurojax.explore.write`."""
    seen = _seen(cell)
    found = equations(cell, dt, tuple(one["name"] for one in seen), tuple(inputs))
    area = float(np.asarray(cell.area))
    unit, factor = ("uA/cm2", area) if area >= LARGEST_AREA else ("pA", PA)
    if step is None or amplitude is None:
        first = _that_fires(cell, dt, step)
        step, amplitude = first.times, first.amplitude / factor if amplitude is None else amplitude
    current = _Input("current", unit, factor, 0.0, (-2 * amplitude, 4 * amplitude), amplitude)
    given = [current, *(_Input.of(name, found, span) for name, span in inputs.items())]
    data = {
        "parameters": _parameters(cell, space, found),
        "order": list(found.parameters),
        "inputs": [one.told() for one in given],
        "stimulus": {"which": 0, "amplitude": _short(amplitude), "holding": 0.0}
        | dict(zip(("start", "stop", "duration"), step, strict=True)),
        "times": [["start", 0, 1000], ["stop", 1, 5000], ["duration", 10, 5000]],
        "seen": seen,
        "kinds": [k for k in _KINDS if any(one["kind"] == k[0] for one in seen)],
        "dt": dt,
    }
    fixed = {"DT": dt, "SEEN": list(found.seen), "REST": REST._asdict()}
    engine = [f"const {name} = {json.dumps(value)};" for name, value in fixed.items()]
    source = "\n".join([*engine, found.source, content("engine.js")])
    return filled(*told, "explorer", source, data)


# -- what is seen ---------------------------------------------------------------------------------
_KINDS = [("current", "currents"), ("gate", "gates"), ("ion", "concentrations")]


def _seen(cell: Cell) -> list[dict[str, Any]]:
    """What is recorded: the potential, each channel's current, its gates, and the pools."""
    ionic = [f"{key}.i" for key, channel in cell.channels.items() if channel.ionic]
    gates = [f"{key}.{gate}" for key, c in cell.channels.items() for gate in c.gate_names()]
    kinds = [("v", "mV", ["v"]), ("current", "uA/cm2", ionic), ("gate", "1", gates)]
    kinds += [("ion", "mM", list(pools(cell)))]
    return [
        {"name": name, "unit": unit, "kind": kind} | _look(k)
        for kind, unit, names in kinds
        for k, name in enumerate(names)
    ]


def _look(k: int) -> dict[str, Any]:
    """The colour of the kth line of a picture, and its dashes where colours come again."""
    return {"colour": CYCLE[k % len(CYCLE)], "dash": [6, 3] if k >= len(CYCLE) else []}


# -- what is moved --------------------------------------------------------------------------------
def _parameters(cell: Cell, space: Space | None, found: Equations) -> list[dict[str, Any]]:
    """The sliders in the order of the cell."""
    known = {name: info for name, (_, info) in settable(cell).items() if name in found.parameters}
    free = {f.name: (f.low, f.high) for f in space.free} if space else {}
    told = []
    for name, info in known.items():
        owner, _, field = name.rpartition(".")
        kind = type(cell.channels[owner]).__name__ if owner in cell.channels else ""
        value = found.parameters[name]
        low, high = _range(value, info, free.get(name))
        told.append(
            {
                "name": name,
                "label": field,
                "unit": info.unit,
                "value": value,
                "low": low,
                "high": high,
                "log": natural_scale(low, high) == "log",
                "group": f"{owner}: {kind}" if kind else owner or "cell",
                "current": f"{owner}.i",
                "open": len(known) <= FEW or name in free,
            }
        )
    return told


def _range(value: float, info: ParamInfo, free: Range | None) -> Range:
    """Where a slider goes: as far as a fit may, or around the value, within what is declared."""
    low, high = free or (info.low, info.high)
    if free is None and info.scale == "log" and value > 0:
        low, high = max(low, value / 20), min(high, value * 20)
    elif free is None and low <= 0 and value > 0 and high > 20 * value:
        low, high = max(low, 0.0), 5 * value
    return min(low, value), max(high, value)


@dataclasses.dataclass(frozen=True)
class _Input:
    """What a step can be made of."""

    name: str
    unit: str
    factor: float  # from the unit to that of a tick
    resting: float
    span: Range  # of the step
    amplitude: float

    @staticmethod
    def of(name: str, found: Equations, span: Range) -> _Input:
        resting = found.inputs[name]
        return _Input(name, "1", 1.0, resting, span, span[1] / 2)

    def told(self) -> dict[str, Any]:
        low, high = (_short(x) for x in self.span)
        step = {"amplitude": _short(self.amplitude), "holding": self.resting}
        bounds = [[low, high], [self.resting + low, self.resting + high]]
        own = {k: getattr(self, k) for k in ("name", "unit", "factor", "resting")}
        return own | {"step": step, "bounds": bounds}


def _short(x: float) -> float:
    return float(f"{x:.2g}")


class _First(NamedTuple):
    """The step that a page shows first."""

    times: Times
    amplitude: float  # uA


def _that_fires(cell: Cell, dt: float, times: Times | None) -> _First:
    """The step that a page shows first: a current with which the cell fires, if there is one."""
    start, stop, duration = times or LONG
    sizes = float(np.asarray(cell.area)) * np.geomspace(0.02, 50, 30)  # of uA/cm2
    course = steps(sizes, start=start, stop=stop, duration=duration, dt=dt)
    run = simulate(cell, current_clamp(course), dt, record=(), folds={"n": SpikeCount()})
    counts = np.nan_to_num(np.asarray(run.folds["n"]))
    firing = np.flatnonzero(counts >= max(1, min(counts.max(), 2)))
    k = min(firing[0] + 2, len(sizes) - 1) if len(firing) else len(sizes) // 3
    fast = counts[k] * (SHORT[1] - SHORT[0]) > 3 * (stop - start)
    return _First(times or (SHORT if fast else LONG), float(sizes[k]))
