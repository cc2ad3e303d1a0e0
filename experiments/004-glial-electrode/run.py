"""A glial cell is an electrode for potassium: 58 mV for each decade of its concentration outside.

After Kuffler, Nicholls & Orkand 1966, J Neurophysiol 29:768. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT, EVERY = 0.5, 4  # ms, steps between records
CELSIUS = 20.0
INSIDE, SALT = 100.0, 115.0  # mM of potassium inside; of potassium and sodium outside
RATIO_NA = 0.01  # P_Na / P_K
RECORDED = {0.3: -125.0, 3.0: -90.0, 30.0: -31.0}  # mV at mM, figure 2 of the Handbook's chapter
SOLUTIONS = np.array([3.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 3.0])  # mM, one after the other
HELD = 500.0  # ms in each
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"


def glia(ratio_na, k_o=SOLUTIONS[0]):
    """Glial cells, for each permeability to sodium relative to potassium; `k_o` in mM."""
    ions = {
        "k": nj.Ion(inside=INSIDE, outside=k_o),
        "na": nj.Ion(inside=10.0, outside=SALT - k_o),
        "cl": nj.Ion(valence=-1, inside=10.0, outside=120.0),
    }
    leak = nj.channels.GoldmanLeak(P_bar=1e-6, ratio_na=ratio_na)
    return nj.Cell(channels={"leak": leak}, ions=ions, celsius=CELSIUS)


def bathed():
    """Time (ms), potassium outside (mM) and potential (mV) `[record]` as solutions are changed.

    Potassium takes the place of sodium; a change spreads to the cell with 50 ms.
    """
    steps = np.repeat(SOLUTIONS, round(HELD / DT))
    k_o, reached = np.empty_like(steps), steps[0]
    for n, target in enumerate(steps):
        reached += (target - reached) * DT / 50.0
        k_o[n] = reached
    bath = nj.electrode.stimulus(k_o=k_o, na_o=SALT - k_o)
    r = nj.simulate(glia(RATIO_NA), bath, DT, record=("v", "k_o"), every=EVERY)
    return np.asarray(r.t), np.asarray(r.data["k_o"]), np.asarray(r.v)


def draw(course, curve, measured, path):
    """The figure: two solutions exchanged, and the potential against potassium outside."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 2.2], width_ratios=[1, 1.05])
    bath, potential = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    against = figure.add_subplot(grid[:, 1])
    t, k_o, v = course
    bath.semilogy(t / 1e3, k_o, color=ORANGE, lw=1.8)
    bath.set(xlim=(0, 4), ylim=(0.15, 200), ylabel="[K]$_o$ (mM)", title="Solutions exchanged")
    bath.tick_params(labelbottom=False)
    bath.set_yticks([1, 10, 100], ["1", "10", "100"])
    potential.plot(t / 1e3, v, color=BLUE, lw=1.8)
    potential.set(xlim=(0, 4), ylim=(-130, 5), xlabel="time (s)", ylabel="membrane potential (mV)")

    k, nernst, leaky, fitted = curve
    against.semilogx(k, nernst, color=GREY, lw=1.5, ls="--", label="only potassium (Nernst)")
    label = f"P$_{{Na}}$ : P$_K$ = 1 : {1 / RATIO_NA:.0f} (at rest)"
    against.semilogx(k, leaky, color=BLUE, lw=1.8, label=label)
    against.semilogx(*measured, "o", color=ORANGE, ms=7, label="at the ends of the solutions")
    shown = k > 0.28  # the model, too, is fitted from 0.3 mM on
    against.semilogx(k[shown], fitted[shown], color=SKY, label="astrocyte, fitted to the recording")
    recorded = list(RECORDED), list(RECORDED.values())
    against.semilogx(
        *recorded, "s", color="k", mfc="w", ms=9, mew=1.8, label="recorded in a glial cell"
    )
    low, high = (58.17 * np.log10(c / INSIDE) for c in (10.0, 100.0))
    against.plot([10, 100, 100], [low, low, high], color="0.6", lw=1)
    against.text(105, 0.5 * (low + high), f"{high - low:.0f} mV", color="0.4", va="center")
    against.text(32, low - 2, "tenfold", color="0.4", ha="center", va="top")
    against.set(xlim=(0.09, 250), ylim=(-180, 8), xlabel="potassium outside (mM)")
    against.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    against.set(ylabel="membrane potential (mV)", title="An electrode for potassium")
    against.legend(loc="lower right")
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV)."""
    t, k_o, v = bathed()
    ends = np.round((np.arange(SOLUTIONS.size) + 1) * HELD / (DT * EVERY)).astype(int) - 1
    k = np.geomspace(0.1, 110.0, 61)
    nernst, leaky = (nj.at_rest(glia(ratio, k), low=-200.0).v for ratio in (0.0, RATIO_NA))
    measured = k_o[ends], v[ends]
    astrocyte = nj.model.cells.astrocyte()
    fitted, there = (
        nj.at_rest(nj.replace(astrocyte, {"ions.k.outside": np.asarray(k_o)}), low=-200.0).v
        for k_o in (k, list(RECORDED))
    )
    draw((t, k_o, v), (k, nernst, leaky, fitted), measured, Path(folder) / "figure.png")
    at = {float(s): float(x) for s, x in zip(SOLUTIONS, v[ends], strict=True)}
    return {
        "v": at,
        "slope_high": at[100.0] - at[10.0],
        "slope_low": at[3.0] - at[0.3],
        "nernst_per_decade": float(np.polyfit(np.log10(k), nernst, 1)[0]),
        "returned": float(v[ends[-1]] - v[ends[0]]),
        "astrocyte": dict(zip(RECORDED, np.asarray(there).tolist(), strict=True)),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
