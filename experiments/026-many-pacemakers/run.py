"""Thousands of stomatogastric neurons, of which few burst like a pacemaker, with what conductances?

The model neuron and the ranges of its eight conductances are those of the database of Prinz,
Billimoria & Marder 2003, J Neurophysiol 90:3998, doi:10.1152/jn.00641.2003; the pacemaker is one
of those of Prinz, Bucher & Marder 2004, Nat Neurosci 7:1345, doi:10.1038/nn1352. Run it to draw
figure.png beside it.
"""

import tempfile
from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

N_CELLS = 16384  # the first one is that of the paper; a million takes minutes, too
WAIT, DURATION = 500.0, 3500.0  # ms: what comes before is not judged
DT = 0.1  # ms
MOST = {
    "na.g_bar": 500.0,
    "cat.g_bar": 12.5,
    "cas.g_bar": 10.0,
    "ka.g_bar": 50.0,
    "kca.g_bar": 25.0,
    "kd.g_bar": 125.0,
    "h.g_bar": 0.05,
    "leak.g_bar": 0.05,
}  # mS/cm2: each is drawn from 0 to this
NAMES = ("Na", "CaT", "CaS", "A", "KCa", "Kd", "H", "leak")
ALIKE = 0.2  # pauses and the number of spikes differ from the pacemaker's by no more than this part
BLUE, ORANGE, GREEN, GREY = "#1b3a6b", "#e07b39", "#3c8457", "#c9d3e0"


def population():
    """The sweep, and the conductances of its cells, as a part of the most `[parameter, cell]`."""
    cell = nj.model.load_model("stomatogastric_pacemaker").cell
    drawn = nj.sweep.Samples({k: (0.0, g) for k, g in MOST.items()}, N_CELLS, "random", seed=2003)
    drawn = drawn.at(np.arange(N_CELLS))
    for name in MOST:
        drawn[name][0] = float(nj.parameters(cell)[name][0])
    alone = nj.sweep.step(
        0.0, start=WAIT, stop=DURATION, duration=DURATION, dt=DT, every=5, initial=-60.0
    )
    swept = nj.sweep.Sweep(
        cell,
        {"alone": alone},
        samples=nj.sweep.as_table(drawn),
        observables=("spikes", "isi_max", "behaviour"),
    )
    return swept, np.array([drawn[name] / g for name, g in MOST.items()])


def computed(swept):
    """Results by name, `[cell]` each."""
    with tempfile.TemporaryDirectory() as folder:
        nj.sweep.run(swept, Path(folder) / "neurons")
        found = nj.sweep.read(Path(folder) / "neurons")
        return {name.removeprefix("alone."): found.numbers(name) for name in found.of_one_number()}


def alike(found):
    """Which cells burst with pauses and as many spikes as the first one."""
    same = found["behaviour"] == nj.sweep.BEHAVIOURS.index("bursting")
    for told in ("isi_max", "spikes"):
        values = found[told]
        same &= np.abs(values - values[0]) <= ALIKE * values[0]
    return same


def draw(t, v, part, same, shown, shares, path):
    """The figure: what cells do, three that do the same, and the conductances of all that do."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    bars, left, middle, right = figure.subplots(1, 4, width_ratios=(0.8, 1.4, 1.1, 1))
    at = np.arange(len(shares))
    bars.barh(at, 100 * np.array(list(shares.values())), color=BLUE)
    bars.set_yticks(at, [name.replace(" ", "\n") for name in shares])
    bars.invert_yaxis()
    bars.set(xlabel="of all neurons (%)", title="What they do")
    for k, (cell, colour) in enumerate(zip(shown, (ORANGE, BLUE, GREEN), strict=True)):
        left.plot(t / 1e3, v[:, k] - 140 * k, color=colour, lw=0.8)
        na, kd = (
            MOST[name] * part[list(MOST).index(name), cell] for name in ("na.g_bar", "kd.g_bar")
        )
        text = "paper" if cell == 0 else "least sodium" if k == 1 else "most sodium"
        left.text(0, 55 - 140 * k, f"{text}: Na {na:.0f}, Kd {kd:.0f}", color=colour, va="bottom")
    left.set(yticks=[], ylim=(-380, 85), xlabel="time (s)", title="Three that burst alike")
    jitter = np.random.default_rng(0).uniform(-0.25, 0.25, (len(MOST), int(same.sum())))
    for k in range(len(MOST)):
        middle.plot(k + jitter[k], 100 * part[k, same], ".", color=BLUE, ms=4)
        middle.plot([k - 0.35, k + 0.35], [100 * part[k, 0]] * 2, color=ORANGE, lw=2)
    middle.set_xticks(range(len(NAMES)), NAMES, fontsize=9)
    middle.set(ylabel="conductance, % of the most", title=f"{int(same.sum())} do so")
    x, y = (list(MOST).index(name) for name in ("cas.g_bar", "kca.g_bar"))
    right.plot(100 * part[x, ::8], 100 * part[y, ::8], ".", color=GREY, ms=2, label="all")
    right.plot(100 * part[x, same], 100 * part[y, same], ".", color=BLUE, ms=6, label="alike")
    right.plot(100 * part[x, 0], 100 * part[y, 0], "o", color=ORANGE, ms=8, label="paper")
    right.set(xlabel="slow calcium, % of the most", ylabel="KCa, % of the most")
    right.set_title("A pair that holds")
    right.legend(loc="upper left", markerscale=2, frameon=True)
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Sweep, draw `figure.png` in `folder`, and return the key numbers."""
    swept, part = population()
    found = computed(swept)
    same = alike(found)
    cells = np.flatnonzero(same)
    least, most = cells[np.argmin(part[0, cells])], cells[np.argmax(part[0, cells])]
    shown = np.array([0, least, most])
    t, v = nj.sweep.traces(swept, shown, "alone")
    shares = {
        name: float(np.mean(found["behaviour"] == k)) for k, name in enumerate(nj.sweep.BEHAVIOURS)
    }
    draw(t, v, part, same, shown, shares, Path(folder) / "figure.png")
    ranges = {
        n: [float(p.min()), float(p.max())] for n, p in zip(NAMES, part[:, same], strict=True)
    }
    return {
        "pause": float(found["isi_max"][0]),
        "spikes": float(found["spikes"][0]),
        "behaviours": shares,
        "alike": int(same.sum()),
        "ranges": ranges,
        "correlations": np.corrcoef(part[:, same]).round(3).tolist(),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
