"""Two conductances are added to a fast-spiking interneuron, as by a dynamic clamp: what does it do?

The interneuron of Pospischil et al. 2008, Biol Cybern 99:427, doi:10.1007/s00422-008-0263-8, with T
and M channels of the same paper; the method of Sharp, O'Neil, Abbott & Marder 1993, J Neurophysiol
69:992, doi:10.1152/jn.1993.69.3.992. Run it to draw figure.png beside it.
"""

import dataclasses
import tempfile
from pathlib import Path

import matplotlib.colors
import matplotlib.figure
import matplotlib.patches
import numpy as np

import neurojax as nj
from neurojax import plot

POINTS = 60  # of each conductance
MOST_T, MOST_M = 1100.0, 280.0  # nS
CURRENTS = (200.0, 500.0)  # pA
START, STOP = 200.0, 1200.0  # ms
CHOSEN = ((0.0, 0.0), (0.0, 140.0), (400.0, 140.0), (1000.0, 230.0))  # nS, of T and of M
COLOURS = ("#d7dade", "#b07d1e", "#23699e", "#3c8457", "#8b5ea8", "#c8452f")


def clamped():
    """The sweep: T and M by current, and its axes in nS."""
    fs = nj.model.load_model("cortex_fs").cell
    nS = float(fs.area) * 1e6  # of 1 mS/cm2
    added = {"t": nj.channels.CortexCaT(g_bar=0.0), "m": nj.channels.CortexKm(g_bar=0.0)}
    cell = dataclasses.replace(fs, channels={**fs.channels, **added})
    t, m = np.linspace(0.0, MOST_T, POINTS), np.linspace(0.0, MOST_M, POINTS)
    swept = nj.sweep.Sweep(
        cell,
        {"step": nj.sweep.step(start=START, stop=STOP, duration=STOP, initial=-70.0)},
        axes={"t.g_bar": t / nS, "m.g_bar": m / nS, "step.amplitude": list(CURRENTS)},
        observables=("spikes", "rate", "behaviour"),
    )
    return swept, t, m


def computed(swept):
    """Results by name, `[t, m, current]` each."""
    with tempfile.TemporaryDirectory() as folder:
        nj.sweep.run(swept, Path(folder) / "plane")
        found = nj.sweep.read(Path(folder) / "plane")
        return {name.removeprefix("step."): found.numbers(name) for name in found.of_one_number()}


def draw(t, m, behaviour, shown, time, v, path):
    """The figure: the planes under two currents, and what a few of the cells do."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    *planes, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.2))
    colours = matplotlib.colors.ListedColormap(COLOURS)
    for k, (axes, pA) in enumerate(zip(planes, CURRENTS, strict=True)):
        axes.pcolormesh(
            t, m, behaviour[:, :, k].T, cmap=colours, vmin=-0.5, vmax=5.5, rasterized=True
        )
        axes.set(xlabel="T conductance added (nS)", title=f"A step of {pA:g} pA")
    planes[0].set_ylabel("M conductance added (nS)")
    there = np.unique(behaviour).astype(int)
    keys = [matplotlib.patches.Patch(color=COLOURS[k], label=nj.sweep.BEHAVIOURS[k]) for k in there]
    figure.legend(handles=keys, loc="outside lower left", ncols=len(keys))
    for k, (a, b) in enumerate(shown):
        planes[1].plot(t[a], m[b], "o", ms=13, mfc="white", mec="black", clip_on=False, zorder=5)
        planes[1].text(t[a], m[b], "abcd"[k], ha="center", va="center", fontsize=10, zorder=6)
        right.plot(time, v[:, k] - 140 * k, color="#1b3a6b", lw=0.8)
        right.text(-120, -70 - 140 * k, "abcd"[k], fontweight="bold", va="center")
    right.set(xlabel="time (ms)", yticks=[], xlim=(-150, STOP))
    right.set_title(f"The four cells at {CURRENTS[-1]:g} pA")
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Sweep, draw `figure.png` in `folder`, and return the key numbers."""
    swept, t, m = clamped()
    found = computed(swept)
    behaviour, spikes = found["behaviour"], found["spikes"]
    shown = [(int(np.abs(t - a).argmin()), int(np.abs(m - b).argmin())) for a, b in CHOSEN]
    cells = np.array([np.ravel_multi_index((*place, 1), swept.shape) for place in shown])
    time, v = nj.sweep.traces(swept, cells)
    draw(t, m, behaviour, shown, time, v, Path(folder) / "figure.png")
    names = nj.sweep.BEHAVIOURS
    bursting = behaviour[:, :, 0] == names.index("bursting")
    return {
        "behaviours": {
            f"{pA:g} pA": {
                name: float(np.mean(behaviour[:, :, k] == i)) for i, name in enumerate(names)
            }
            for k, pA in enumerate(CURRENTS)
        },
        "chosen": [names[int(behaviour[(*place, 1)])] for place in shown],
        "spikes": [int(spikes[(*place, 1)]) for place in shown],
        "spikes_without": [int(x) for x in spikes[0, 0]],
        "silenced_by_M_nS": float(m[behaviour[0, :, 1] == names.index("silent")].min()),
        "least_t_to_burst_at_200_nS": float(t[bursting[:, np.abs(m - 200.0).argmin()]].min()),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
