"""Which relaxation of gates and potential makes the error of spike times least?

The packaged neurons that fire under a steady current, near rheobase and above, 400 ms, in float64:
mean distance of their spike times from those of a far shorter step. Relaxations are the
exponential, that of a step (`membrane.relaxation`), Crank-Nicolson, and
y = 1 / (1 + x + x^2 / 2 + d x^3) of some d. A ratio is to the exponential's error, mean over the
currents of a cell. One JSON goes to results/.
"""

from __future__ import annotations

import argparse
from functools import partial
from itertools import product

import common
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import neurojax as nj
from neurojax.membrane import compartment
from neurojax.membrane.relaxation import EXACT, Relaxation, rational
from neurojax.recording.features.detection import spikes

DURATION, STEPS, FINE = 400.0, (0.025, 0.0125), (0.005, 0.0025)  # ms
CURRENTS = {  # uA/cm2, of each packaged neuron
    "squid_axon": (6.5, 10, 20, 40),
    "cortex_rs": (2.3, 2.6, 3, 4, 10),
    "cortex_fs": (3, 4, 6, 10),
    "cortex_lts": (0.6, 0.8, 1, 2, 4),
    "cortex_ib": (0.5, 0.7, 1, 2, 4),
    "crab_connor_stevens": (8.5, 12, 20),
    "interneuron_wang_buzsaki": (0.5, 1, 2, 4),
    "cortex_l5_hay_soma": (10, 15),
    "hippocampus_traub_miles": (0.5, 1, 3, 6),
    "thalamus_relay": (1.5, 2, 3, 5),
    "cortex_mainen_sejnowski": (0.6, 1, 3, 6),
}
CRANK_NICOLSON = Relaxation(lambda x: 1 / (1 + x / 2), lambda x: 0.5 / (1 + x / 2))
OF = {"exp": EXACT, "step": rational(grows=True), "CN": CRANK_NICOLSON} | {
    name: rational(d, 0.0, grows=True) for name, d in {"1/4": 1 / 4, "1/3": 1 / 3}.items()
}


@partial(jax.jit, static_argnames=("name", "steps", "of_gates", "of_potential"))
def potentials(name: str, densities, dt, steps: int, of_gates: str, of_potential: str):
    """v `[step + 1, current]` from rest under constant currents, by two relaxations."""
    compartment.GATES, compartment.POTENTIAL = OF[of_gates], OF[of_potential]
    cell = getattr(nj.cells, name)()
    tick = nj.Electrode(densities * cell.area, 0.0, 0.0)
    rest = nj.at_rest(cell)
    first = jax.tree.map(lambda a: jnp.broadcast_to(a, densities.shape), rest)

    def step(s, _):
        s = nj.step(cell, s, tick, dt)
        return s, s.v

    return jnp.concatenate([first.v[None], jax.lax.scan(step, first, length=steps)[1]])


def times(name: str, dt: float, of_gates: str, of_potential: str) -> list[np.ndarray]:
    """Spike times at each of the cell's currents, ms."""
    densities = jnp.asarray(CURRENTS[name], float)
    v = potentials(name, densities, dt, round(DURATION / dt), of_gates, of_potential)
    found = spikes(np.asarray(v), dt)
    return [row[:n] for row, n in zip(found.times, found.number, strict=True)]


def reference(name: str) -> list[np.ndarray]:
    """Spike times of infinitely short steps, by Richardson's extrapolation."""
    coarse, fine = (times(name, dt, "exp", "exp") for dt in FINE)
    return [b + (b - a) / 3 for a, b in zip(coarse, fine, strict=True)]


def errors(name: str, dt: float, true: list[np.ndarray], way: tuple[str, str]) -> list[float]:
    """Mean distance of spike times at each current, us; NaN where their number is another."""
    found = zip(times(name, dt, *way), true, strict=True)
    return [1e3 * float(np.abs(a - b).mean()) if a.size == b.size else np.nan for a, b in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two cells, nothing written")
    quick = parser.parse_args().quick
    nj.configure(x64=True)
    names = list(CURRENTS)[:2] if quick else list(CURRENTS)
    ways = [("exp", "exp"), ("step", "step"), ("CN", "CN"), *product(("1/4", "1/3"), repeat=2)]
    ways += [("1/4", "exp"), ("1/3", "exp"), ("exp", "1/4"), ("exp", "1/3")]
    truth = {name: reference(name) for name in names}
    found = {
        (dt, way): {name: errors(name, dt, truth[name], way) for name in names}
        for dt, way in product(STEPS, ways)
    }
    rows = []
    for (dt, way), of_cells in found.items():
        plain = found[dt, ("exp", "exp")]
        ratios = [np.nanmean(np.divide(of_cells[k], plain[k])) for k in names]
        told = {"dt": dt, "gates": way[0], "potential": way[1], "errors_us": of_cells}
        rows.append(told | {"mean": np.mean(ratios), "worst": np.max(ratios), "of_cells": ratios})
    for dt in STEPS:
        drawn = Table("gates", "potential", "mean", "worst", *names, title=f"dt {dt:g} ms")
        for row in (row for row in rows if row["dt"] == dt):
            numbers = [f"{x:.2f}" for x in (row["mean"], row["worst"], *row["of_cells"])]
            drawn.add_row(row["gates"], row["potential"], *numbers)
        Console(width=200).print(drawn)
    if not quick:
        settings = {"ms": DURATION, "currents_uA_cm2": CURRENTS, "rows": rows}
        print(common.write("relaxation", settings))


if __name__ == "__main__":
    main()
