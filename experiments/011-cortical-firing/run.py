"""A hundred cortical cells, no two alike: rate against current, and how firing slows down.

The regular-spiking cell of Pospischil et al. 2008, Biol Cybern 99:427,
doi:10.1007/s00422-008-0263-8. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT, EVERY = 0.025, 4  # ms, steps between records
START, STOP, DURATION = 10.0, 810.0, 815.0  # ms
CURRENTS = np.array([0.45, 0.6, 0.75, 0.9, 1.05, 1.2])  # nA
FINE = np.arange(0.54, 0.5825, 0.0025)  # nA, for the rheobase of the cell of the paper
SHOWN = 2  # of the currents
N_CELLS = 100  # the first one is that of the paper
SPREAD = 0.15  # standard deviation of the logarithm of each conductance
CONDUCTANCES = ("leak.g_bar", "na.g_bar", "kdr.g_bar", "km.g_bar")
BLUE, ORANGE, GREY = "#1b3a6b", "#e07b39", "#b3c1d6"


def population():
    """Every cell under every current, then the cell of the paper under the fine ones; and these."""
    cell, random = nj.cells.cortex_rs(), np.random.default_rng(2008)
    factors = np.exp(SPREAD * random.standard_normal((len(CONDUCTANCES), N_CELLS)))
    factors[:, 0] = 1.0
    factors = np.tile(factors, CURRENTS.size)
    factors = np.concatenate([factors, np.ones((len(CONDUCTANCES), FINE.size))], axis=1)
    nA = np.concatenate([np.repeat(CURRENTS, N_CELLS), FINE])
    known = nj.parameters(cell)
    values = {k: known[k][0] * f for k, f in zip(CONDUCTANCES, factors, strict=True)}
    return nj.replace(cell, values), nA


def first_and_last(times):
    """The first and the last interval between spikes, ms; NaN with fewer than three intervals."""
    intervals = np.diff(times, axis=-1)
    n = np.isfinite(intervals).sum(axis=-1)
    last = np.take_along_axis(intervals, np.maximum(n - 1, 0)[..., None], axis=-1)[..., 0]
    return np.where(n >= 3, intervals[..., 0], np.nan), np.where(n >= 3, last, np.nan)


def draw(t, v, rate, first, last, path):
    """The figure: one cell's adaptation, all cells' f-I curves, and first against last interval."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    left.plot(t - START, v, color=BLUE, lw=1)
    left.plot([0, STOP - START], [-88, -88], color=ORANGE, lw=3)
    left.text(400, -98, f"{CURRENTS[SHOWN]:g} nA", color=ORANGE, ha="center", va="center")
    left.set(xlim=(-10, STOP - START + 5), ylim=(-106, 60), xlabel="time from the onset (ms)")
    left.set(ylabel="membrane potential (mV)", title="The cell of the paper slows down")
    middle.plot(CURRENTS, rate[:, 1:], color=GREY, lw=0.7)
    middle.plot(CURRENTS, rate[:, 0], "o-", color=BLUE, lw=2, ms=4, label="cell of the paper")
    middle.plot([], [], color=GREY, label=f"{N_CELLS - 1} cells about it")
    middle.set(xlim=(0.42, 1.23), ylim=(0, None), xlabel="injected current (nA)")
    middle.set(ylabel="spikes per second, over 0.8 s", title="Rate against current")
    middle.legend(loc="upper left")
    for k in range(SHOWN, CURRENTS.size):
        colour = matplotlib.colormaps["viridis"](0.9 - 0.25 * (k - SHOWN))
        right.plot(first[k], last[k], ".", ms=6, color=colour, label=f"{CURRENTS[k]:g} nA")
    ends = np.array([8.0, 80.0])
    right.plot(ends, ends, color="0.6", lw=1, ls=":")
    right.text(45, 30, "no adaptation", color="0.4", ha="left")
    right.set(xscale="log", yscale="log", xlim=(8, 130), ylim=(8, 600))
    right.set_xticks([10, 30, 100], ["10", "30", "100"])
    right.set_yticks([10, 30, 100, 300], ["10", "30", "100", "300"])
    right.set(xlabel="first interval (ms)", ylabel="last interval (ms)", title="Adaptation")
    right.legend(loc="upper left")
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers."""
    cells, nA = population()
    i = nj.steps(nA * 1e-3, start=START, stop=STOP, duration=DURATION, dt=DT)
    r = nj.simulate(cells, nj.current_clamp(i.astype(np.float32)), DT, every=EVERY)
    v = np.asarray(r.v)
    found = nj.features.spikes(v, DT * EVERY)
    every = slice(0, CURRENTS.size * N_CELLS)
    number = found.number[every].reshape(-1, N_CELLS)
    times = found.times[every].reshape(CURRENTS.size, N_CELLS, -1)
    first, last = first_and_last(times)
    rate = number / (1e-3 * (STOP - START))
    shown = v[:, SHOWN * N_CELLS]
    draw(np.asarray(r.t), shown, rate, first, last, Path(folder) / "figure.png")
    ratio = last[SHOWN] / first[SHOWN]
    return {
        "rheobase_nA": float(FINE[np.argmax(found.number[every.stop :] > 0)]),
        "spikes": dict(zip(CURRENTS.tolist(), number[:, 0].tolist(), strict=True)),
        "first_interval": dict(zip(CURRENTS.tolist(), first[:, 0].tolist(), strict=True)),
        "last_interval": dict(zip(CURRENTS.tolist(), last[:, 0].tolist(), strict=True)),
        "spike_times": (times[SHOWN, 0, :5] - START).tolist(),
        "adaptation": float(ratio[0]),
        "adaptation_of_all": np.nanquantile(ratio, (0.05, 0.5, 0.95)).tolist(),
        "rate_of_all": np.quantile(rate[-1], (0.05, 0.5, 0.95)).tolist(),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
