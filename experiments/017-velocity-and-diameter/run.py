"""Velocity against diameter: the square root of it in a bare axon, in proportion with myelin.

Hodgkin & Huxley 1952, J Physiol 117:500, for the bare axon, whose velocity scales as Hodgkin 1954
says, J Physiol 125:221, doi:10.1113/jphysiol.1954.sp005152; Rushton 1951, J Physiol 115:101,
doi:10.1113/jphysiol.1951.sp004655, for the myelinated one. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

CELSIUS, R_I = 18.5, 35.4  # degC, Ohm cm
BARE = np.array([1.0, 4.0, 20.0, 100.0, 476.0])  # um
FIBRES = np.array([2.0, 4.0, 8.0, 16.0])  # um with myelin
COMPARTMENTS = 300
NODES, INTERNODE = 31, 5  # and compartments of an internode
BLUE, ORANGE = "#1b3a6b", "#e07b39"


def squid(times=1.0):
    """The squid's channels, so many times as dense."""
    c = nj.channels
    channels = {"na": c.SquidNa(), "k": c.SquidK(), "leak": c.SquidLeak()}
    cell = nj.Cell(channels=channels)
    more = {f"{key}.g_bar": times * channels[key].g_bar for key in channels}
    return nj.replace(cell, more).channels


def bare():
    """Velocities of bare axons, m/s; lengths are in proportion to length constants."""
    lengths = 60_000.0 * np.sqrt(BARE / 476.0)
    axon = nj.cylinder(1.0, 1.0, COMPARTMENTS, squid(), R_i=R_I, celsius=CELSIUS)
    changes = {"length": lengths[None] / COMPARTMENTS, "diameter": BARE[None]}
    dt, duration = 0.005, 5.0
    # A current that grows with the area of a piece of a length constant.
    current = 200.0 * (BARE / 476.0) ** 1.5
    drive = nj.current_clamp(nj.steps(current, start=0.0, stop=0.5, duration=duration, dt=dt))
    places = [COMPARTMENTS // 4, 3 * COMPARTMENTS // 4]
    v = np.asarray(nj.simulate(nj.replace(axon, changes), drive, dt, at=places).v)
    return between(v, dt, lengths / 2)


def fibre(diameter):
    """A fibre whose parts are all in proportion to its diameter, but for the length of a node."""
    return nj.myelinated_axon(
        squid(8.0), nodes=NODES, internode=100 * diameter, diameter=0.7 * diameter,
        node_diameter=0.35 * diameter, lamellae=round(12 * diameter), compartments=INTERNODE,
        R_i=70.0, celsius=CELSIUS,
    )  # fmt: skip


def myelinated():
    """Velocities of myelinated fibres, m/s."""
    dt, duration, found = 0.005, 4.0, []
    first, last = 10 * (INTERNODE + 1), 20 * (INTERNODE + 1)  # nodes in the middle
    for diameter in FIBRES:
        axon = fibre(diameter)
        on = nj.steps(2e-3 * (diameter / 8) ** 1.5, start=0.0, stop=0.1, duration=duration, dt=dt)
        v = np.asarray(nj.simulate(axon, nj.current_clamp(on), dt, at=[first, last]).v)
        far = axon.paths(first)[last]
        found.append(float(nj.features.conduction_velocity(v, dt, float(far))))
    return np.array(found)


def between(v, dt, distances):
    """Velocities of a population at two places, each so far apart, m/s."""
    of_1_um = nj.features.conduction_velocity(v, dt, 1.0)
    return of_1_um * distances


def draw(of_bare, of_fibres, path):
    """The figure: velocities against diameters, both logarithmic, with the two laws."""
    figure = matplotlib.figure.Figure(figsize=(6.6, 5.6))
    axes = figure.subplots()
    d = np.geomspace(0.8, 600, 50)
    axes.loglog(d, of_bare[-1] * np.sqrt(d / BARE[-1]), color=BLUE, lw=1, ls=":")
    axes.loglog(d[d < 25], of_fibres[-1] * d[d < 25] / FIBRES[-1], color=ORANGE, lw=1, ls=":")
    axes.loglog(BARE, of_bare, "o", color=BLUE, ms=7, label="bare")
    axes.loglog(FIBRES, of_fibres, "o", color=ORANGE, ms=7, label="myelinated")
    axes.text(60, 3.2, "~ √d", color=BLUE)
    axes.text(3.0, 24, "~ d", color=ORANGE)
    axes.set(xlabel="diameter (µm)", ylabel="velocity (m/s)", xlim=(0.7, 700), ylim=(0.5, 150))
    axes.legend()
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (m/s)."""
    of_bare, of_fibres = bare(), myelinated()
    draw(of_bare, of_fibres, Path(folder) / "figure.png")
    slopes = [
        float(np.polyfit(np.log(d), np.log(v), 1)[0])
        for d, v in ((BARE, of_bare), (FIBRES, of_fibres))
    ]
    return {
        "bare": of_bare.tolist(),
        "myelinated": of_fibres.tolist(),
        "exponents": slopes,
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
