"""Thousands of crab axons with other conductances, of which many fire like the one of the paper.

The axon of a crab's walking leg of Connor, Walter & McKown 1977, Biophys J 18:81,
doi:10.1016/S0006-3495(77)85598-7; the question of Prinz, Bucher & Marder 2004, Nat Neurosci 7:1345,
doi:10.1038/nn1352. Run it to draw figure.png beside it.
"""

import tempfile
from pathlib import Path

import matplotlib.figure
import matplotlib.ticker
import numpy as np

import neurojax as nj

N_CELLS = 4096  # the first one is that of the paper
CURRENTS = {"low": 12.0, "high": 20.0}  # uA/cm2
START, STOP, DURATION = 20.0, 420.0, 425.0  # ms
CONDUCTANCES = ("na.g_bar", "k.g_bar", "ka.g_bar", "leak.g_bar")
NAMES = ("sodium", "potassium", "A current", "leak")
FOLD = 2.0  # each is drawn from half of the paper's to twice as much
ALIKE = 0.2  # rates and the latency differ from the paper's by no more than this part
BLUE, ORANGE, GREY = "#1b3a6b", "#e07b39", "#c9d3e0"


def population():
    """The sweep, and the conductances of its cells relative to the paper's `[parameter, cell]`."""
    cell = nj.model.load_model("crab_connor_stevens").cell
    known = nj.parameters(cell)
    paper = {name: float(known[name][0]) for name in CONDUCTANCES}
    drawn = nj.sweep.Samples(
        {k: (g / FOLD, g * FOLD, "log") for k, g in paper.items()}, N_CELLS, seed=2004
    ).at(np.arange(N_CELLS))
    for name, g in paper.items():
        drawn[name][0] = g
    step = {
        key: nj.sweep.step(1e6 * uA, start=START, stop=STOP, duration=DURATION)  # pA into 1 cm2
        for key, uA in CURRENTS.items()
    }
    told = ("rate", "latency", "behaviour")
    swept = nj.sweep.Sweep(cell, step, samples=nj.sweep.as_table(drawn), observables=told)
    return swept, np.array([drawn[name] / g for name, g in paper.items()])


def computed(swept):
    """Results by name, `[cell]` each."""
    with tempfile.TemporaryDirectory() as folder:
        nj.sweep.run(swept, Path(folder) / "axons")
        found = nj.sweep.read(Path(folder) / "axons")
        return {name: found.numbers(name) for name in found.of_one_number()}


def alike(found):
    """Which cells fire like the first one under both currents."""
    same = np.ones(N_CELLS, bool)
    for key in CURRENTS:
        same &= found[f"{key}.behaviour"] == found[f"{key}.behaviour"][0]
        for told in ("rate", "latency"):
            values = found[f"{key}.{told}"]
            same &= np.abs(values - values[0]) <= ALIKE * values[0]
    return same


def draw(t, v, shown, relative, same, path):
    """The figure: three cells, the conductances of all that are alike, and what compensates."""
    figure = matplotlib.figure.Figure(figsize=(12.5, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    colours = (BLUE, ORANGE, "#3c8457")
    for k, (cell, colour) in enumerate(zip(shown, colours, strict=True)):
        left.plot(t - START, v[:, k] - 140 * k, color=colour, lw=0.9)
        text = (
            "paper"
            if cell == 0
            else "Na x {:.2g}, K x {:.2g}, A x {:.2g}".format(*relative[:3, cell])
        )
        left.text(205, 48 - 140 * k, text, color=colour, ha="right", va="bottom")
    left.set(xlim=(-10, 210), yticks=[], xlabel="time from the onset, ms")
    left.set_title(f"Nearly the same firing at {CURRENTS['low']:g} uA/cm2")
    for k in range(len(CONDUCTANCES)):
        at = k + np.random.default_rng(k).uniform(-0.25, 0.25, int(same.sum()))
        middle.plot(at, relative[k, same], ".", color=BLUE, ms=4)
    middle.plot([-0.5, 3.5], [1, 1], color=ORANGE, lw=1)
    middle.set(yscale="log", xlim=(-0.5, 3.5), ylim=(0.45, 2.2))
    middle.set_xticks(range(len(NAMES)), NAMES)
    middle.set(ylabel="conductance, of the paper's", title=f"{int(same.sum())} axons that do so")
    right.plot(*relative[[3, 2]], ".", color=GREY, ms=2, label="all")
    right.plot(*relative[[3, 2]][:, same], ".", color=BLUE, ms=5, label="alike")
    right.plot(1, 1, "o", color=ORANGE, ms=7, label="paper")
    right.set(xscale="log", yscale="log", xlabel="leak, of the paper's")
    right.set(ylabel="A current, of the paper's", title="What one does, another undoes")
    right.legend(loc="lower right")
    for axis in (middle.yaxis, right.xaxis, right.yaxis):
        axis.set_minor_locator(matplotlib.ticker.NullLocator())
        axis.set_major_locator(matplotlib.ticker.FixedLocator([0.5, 1, 2]))
        axis.set_major_formatter(matplotlib.ticker.FixedFormatter(["1/2", "1", "2"]))
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main(folder=Path(__file__).parent):
    """Sweep, draw `figure.png` in `folder`, and return the key numbers."""
    swept, relative = population()
    found = computed(swept)
    same = alike(found)
    cells = np.flatnonzero(same)
    least, most = cells[np.argmin(relative[0, cells])], cells[np.argmax(relative[0, cells])]
    shown = np.array([0, least, most])
    t, v = nj.sweep.traces(swept, shown, "low")
    draw(t, v, shown, relative, same, Path(folder) / "figure.png")
    log = np.log(relative[:, same])
    return {
        "rate": {key: float(found[f"{key}.rate"][0]) for key in CURRENTS},
        "latency": {key: float(found[f"{key}.latency"][0]) for key in CURRENTS},
        "behaviours": {
            name: float(np.mean(found["low.behaviour"] == k))
            for k, name in enumerate(nj.sweep.BEHAVIOURS)
        },
        "alike": int(same.sum()),
        "ranges": dict(zip(NAMES, np.exp(np.ptp(log, axis=1)).tolist(), strict=True)),
        "correlations": np.corrcoef(log).round(3).tolist(),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
