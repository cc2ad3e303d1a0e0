"""Spikes go one way, and end where they meet: refractoriness along an axon.

The axon is the squid's, of 10 um; Hodgkin & Huxley 1952, J Physiol 117:500. Run it to draw
figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

COMPARTMENTS, LENGTH, DIAMETER = 161, 24_000.0, 10.0  # um
MIDDLE, END = COMPARTMENTS // 2, COMPARTMENTS - 1
CELSIUS, DT, DURATION, EVERY = 18.5, 0.01, 15.0, 5  # degC, ms, ms, steps
FIRST, PULSE, HEIGHT = 0.5, 0.3, 0.1  # when a pulse begins, how long it lasts, ms; uA
SECOND = np.arange(5.5, 7.5, 0.025)  # when one in the middle follows a spike from the end, ms
NAMES = ("from one end", "from both ends", "from the middle", "behind another spike")


def axon():
    c = nj.channels
    squid = {"na": c.SquidNa(), "k": c.SquidK(), "leak": c.SquidLeak()}
    return nj.cylinder(LENGTH, DIAMETER, COMPARTMENTS, squid, R_i=35.4, celsius=CELSIUS)


def pulses(onsets):
    """Pulses that begin at these times, ms, one for each cell; NaN for none: uA, `[step, cell]`."""
    t = (np.arange(round(DURATION / DT)) + 0.5)[:, None] * DT - onsets
    return np.where((t >= 0) & (t < PULSE), HEIGHT, 0.0)


def simulate():
    """Time (ms), and potentials `[record, comp, cell]`: the first three of NAMES, then SECOND."""
    none = np.nan
    n = 3 + len(SECOND)
    first = np.array([FIRST, FIRST, none, *[FIRST] * len(SECOND)])
    second = np.array([none, FIRST, FIRST, *SECOND])
    places = np.array([END, END, *[MIDDLE] * (n - 2)])
    drive = nj.current_clamp([pulses(first), pulses(second)], at=[0, places])
    run = nj.simulate(axon(), drive, DT, every=EVERY)
    return np.asarray(run.t), np.asarray(run.v)


def draw(t, v, since, reached, path):
    """The figure: the potential along the axon in time, and who reaches the ends."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 8.2))
    grid = figure.add_gridspec(2, 4, height_ratios=(1.7, 1))
    frame = (0, 1e-3 * LENGTH, t[-1], 0)
    for k, name in enumerate(NAMES):
        axes = figure.add_subplot(grid[0, k])
        shown = axes.imshow(v[..., k], extent=frame, aspect="auto", vmin=-80, vmax=40)
        axes.set_title(name)
        axes.set_xlabel("distance (mm)")
        axes.set_ylabel("time (ms)" if k == 0 else "")
    figure.colorbar(shown, ax=figure.axes, label="mV", shrink=0.6)
    axes = figure.add_subplot(grid[1, :])
    for row, (number, colour) in enumerate(zip(reached, ("#e07b39", "#1b3a6b"), strict=True)):
        back = "back to the first end" if row == 0 else "on to the other end"
        axes.step(since, number + 0.04 * row, where="mid", color=colour, lw=2, label=back)
    axes.set(xlabel="second pulse, ms after the spike has passed", ylabel="new spikes that arrive")
    axes.set(ylim=(-0.2, 1.4), yticks=[0, 1], xlim=(since[0], since[-1]))
    axes.legend(loc="upper left", ncols=2)
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (m/s, ms)."""
    t, v = simulate()
    step, quarter = DT * EVERY, COMPARTMENTS // 4
    ends = nj.features.spikes(v[:, [5, END - 5]], step).number
    passed = float(nj.features.arrival(v[:, MIDDLE, 0], step))
    since, reached = SECOND - passed, ends[:, 3:] - 1  # beside the first spike, which arrived
    one_way = (reached[0] == 1) & (reached[1] == 0)
    shown = 3 + int(np.flatnonzero(one_way).mean())
    draw(t, v[..., [0, 1, 2, shown]], since, reached, Path(folder) / "figure.png")
    apart = 2 * quarter * LENGTH / COMPARTMENTS
    two = v[:, [quarter, 3 * quarter], 0]
    return {
        "velocity": float(nj.features.conduction_velocity(two, step, apart)),
        "arrive": {name: ends[:, k].tolist() for k, name in enumerate(NAMES[:3])},
        "first_one_way": float(since[one_way][0]),
        "first_both_ways": float(since[reached.all(axis=0)][0]),
        "met_at": float(np.nanargmax(nj.features.arrival(v[:, :, 1], step)) / END),
        "heights": [float(v[:, k, 0].max()) for k in (quarter, MIDDLE, 3 * quarter)],
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
