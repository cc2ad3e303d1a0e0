"""Channel noise: a small patch of axon fires without a stimulus, the more often the smaller it is.

After Skaugen & Walloe 1979, Acta Physiol Scand 107:343, and Chow & White 1996, Biophys J 71:3013.
Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT, EVERY = 0.025, 8  # ms, steps between records
DURATION = 400.0  # ms
UM2 = 1e-8  # cm2
AREAS = np.array([10.0, 25.0, 50.0, 100.0, 150.0, 200.0])  # um2
SHOWN = (0, 2, 3, 5)  # of the areas
GAMMA = 20.0  # pS, one open channel of either kind: 60 sodium and 18 potassium channels per um2
ORANGE, BLUE = "#e07b39", "#1b3a6b"


def patches(trials):
    """Squid membrane of each area, `trials` of each, with the noise of its channels."""
    c = nj.channels
    cell = nj.Cell(
        channels={"na": c.SquidNa(), "k": c.SquidK(), "leak": c.SquidLeak()},
        area=np.repeat(AREAS, trials) * UM2,
    )
    return nj.stochastic(cell, gamma_pS=GAMMA, seed=1996)


def draw(t, v, rates, error, path):
    """The figure: patches of several areas without a stimulus, and their rates of spikes."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.5, 1))
    traces = left.subplots(len(SHOWN), 1, sharex=True, sharey=True)
    for axes, k in zip(traces, SHOWN, strict=True):
        axes.plot(t, v[:, k, 0], color=BLUE, lw=0.8)
        axes.set(xlim=(0, DURATION), ylim=(-85, 55), yticks=(-60, 0, 40))
        channels = f"{60 * AREAS[k]:,.0f} sodium, {18 * AREAS[k]:,.0f} potassium channels"
        axes.set_title(f"{AREAS[k]:g} µm²: {channels}")
    traces[-1].set_xlabel("time (ms)")
    left.supylabel("membrane potential (mV)", fontsize="medium")
    against = right.subplots()
    against.errorbar(AREAS, rates, error, fmt="o-", color=ORANGE, capsize=4)
    against.set(yscale="log", xlim=(0, 210), ylim=(1, 100), xlabel="area of the patch (µm²)")
    against.set(ylabel="spontaneous spikes per second (Hz)", title="No stimulus: only chance")
    against.set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent, trials=32):
    """Simulate, draw `figure.png` in `folder`, and return the rates (Hz) and their errors."""
    r = nj.simulate(
        patches(trials),
        nj.current_clamp(np.zeros(round(DURATION / DT))),
        DT,
        every=EVERY,
        initial=-65.0,
        folds={"rate": nj.SpikeRate()},
    )
    each = np.asarray(r.folds["rate"]).reshape(AREAS.size, trials)
    rates, error = each.mean(axis=1), each.std(axis=1) / np.sqrt(trials)
    v = np.asarray(r.v).reshape(-1, AREAS.size, trials)
    draw(np.asarray(r.t), v, rates, error, Path(folder) / "figure.png")
    large = AREAS >= 100
    slope = np.polyfit(AREAS[large], np.log(rates[large]), 1)[0]
    return {
        "rates": dict(zip(AREAS.tolist(), rates.tolist(), strict=True)),
        "errors": dict(zip(AREAS.tolist(), error.tolist(), strict=True)),
        "area_per_e_fold": float(-1 / slope),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
