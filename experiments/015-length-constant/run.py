"""The length constant: how far along a passive cable a steady current is felt, and how soon.

Cable theory after Hodgkin & Rushton 1946, Proc R Soc B 133:444, doi:10.1098/rspb.1946.0024. Run it
to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np
import scipy.special

import neurojax as nj
from neurojax import plot

COMPARTMENTS, LENGTH = 301, 12_000.0  # um
MIDDLE = COMPARTMENTS // 2
CABLES = {  # diameter, um, and leak, mS/cm2
    "1 µm": (1.0, 0.025),
    "4 µm": (4.0, 0.025),
    "1 µm, leakier": (1.0, 0.1),
}
CURRENT = 1e-5  # uA
DT, DURATION = 0.1, 200.0  # ms
SHOWN = (0, 25, 50)  # compartments from the electrode: 0, 1, 2 mm
COLOURS = ("#1b3a6b", "#e07b39", "#2f7fb8")


def cables():
    """The cables as a population, with the electrode in the middle."""
    diameters, leaks = np.array(list(CABLES.values())).T
    leak = {"leak": nj.channels.CortexLeak(g_bar=leaks[None], E_rev=-65.0)}
    cable = nj.cylinder(LENGTH, 1.0, COMPARTMENTS, leak, R_i=100.0, electrode_at=MIDDLE)
    return nj.replace(cable, {"diameter": diameters[None]})


def in_an_endless_cable(X, T):
    """The potential at X length constants, T time constants after a step, as part of the end's.

    At the electrode this is erf(sqrt(T)).
    """
    root = np.sqrt(T)
    near = scipy.special.erfc(X / (2 * root) - root)
    return 0.5 * (near - np.exp(2 * X) * scipy.special.erfc(X / (2 * root) + root))


def half_time(t, v):
    """When a potential that rises from 0 is at half of its end, ms."""
    k = int(np.argmax(v >= 0.5 * v[-1]))
    return float(t[k - 1] + (0.5 * v[-1] - v[k - 1]) / (v[k] - v[k - 1]) * (t[k] - t[k - 1]))


def draw(x, steady, t, v, theory, path):
    """The figure: decay with distance, and its logarithm; courses at three distances."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    decay, straight, course = figure.subplots(1, 3)
    for k, (name, colour) in enumerate(zip(CABLES, COLOURS, strict=True)):
        decay.plot(1e-3 * x, steady[:, k], color=colour, lw=2, label=name)
        straight.semilogy(1e-3 * x, steady[:, k] / steady[MIDDLE, k], color=colour, lw=2)
    decay.set(xlim=(-4, 4), ylim=(0, 7), ylabel="depolarisation (mV)", xlabel="distance (mm)")
    decay.set_title("10 pA into the middle, steady")
    decay.legend(loc="upper left")
    straight.axhline(np.exp(-1), color="0.6", lw=1, ls=":")
    straight.text(-3.9, 0.40, "1/e", color="0.4")
    straight.set(xlim=(-4, 4), ylim=(0.02, 1.1), ylabel="part of it", xlabel="distance (mm)")
    straight.set_title("straight lines: e-fold in a length constant")
    for away, colour in zip(SHOWN, COLOURS, strict=True):
        end = v[-1, away]
        course.plot(t, v[:, away] / end, color=colour, lw=2, label=f"{away * 40 / 1000:g} mm")
        course.plot(t[::100], theory[::100, away], "o", color=colour, ms=4, mfc="white")
    course.set(xlim=(0, 150), ylim=(0, 1.03), xlabel="time (ms)", ylabel="part of the end")
    course.set_title("1 µm: later and slower farther away")
    course.legend(loc="lower right")
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (um, MOhm, ms)."""
    cell = cables()
    x = (np.arange(COMPARTMENTS) - MIDDLE) * LENGTH / COMPARTMENTS
    steady = np.asarray(nj.at_rest(cell, CURRENT).v) + 65
    near = (x > 0) & (x < 1500)
    fitted = [-1 / np.polyfit(x[near], np.log(v[near]), 1)[0] for v in steady.T]
    on = nj.current_clamp(np.full(round(DURATION / DT), CURRENT))
    run = nj.simulate(cell, on, DT, initial=-65.0, at=MIDDLE + np.arange(51))
    t, v = np.asarray(run.t), np.asarray(run.v)[..., 0] + 65
    constant = nj.electrotonus.length_constant(cell)[0]
    tau = 1 / CABLES["1 µm"][1]  # ms, of 1 uF/cm2
    away = x[MIDDLE : MIDDLE + 51] / constant[0]
    theory = in_an_endless_cable(away, t[:, None] / tau)
    draw(x, steady, t, v, theory / theory[-1], Path(folder) / "figure.png")
    return {
        "fitted": [float(one) for one in fitted],
        "by_formula": constant.tolist(),
        "input_resistance": np.asarray(nj.electrotonus.input_resistance(cell, MIDDLE)).tolist(),
        "half_time": [half_time(t, v[:, k]) for k in SHOWN],
        "worst": float(np.abs(v / v[-1, 0] - theory * np.exp(-away) / theory[-1, 0]).max()),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
