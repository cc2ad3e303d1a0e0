"""The squid axon under voltage clamp: two currents, taken apart by blocking one of them.

The squid axon of Hodgkin & Huxley 1952, J Physiol 117:500, doi:10.1113/jphysiol.1952.sp004764.
Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.01  # ms
HOLDING, LENGTH = -65.0, 8.0  # mV, ms
ON = 1.0  # ms, when the step begins
STEPS = np.arange(-60.0, 81.0, 10.0)  # mV
SHOWN = 0.0  # mV, the step that is taken apart
BEFORE = np.arange(-110.0, -19.0, 5.0)  # mV, prepulses of 50 ms
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"


def clamped(cell, levels):
    """Currents and gates, [step, cell] each, in steps from the holding level."""
    command = nj.steps(
        np.asarray(levels) - HOLDING, start=ON, stop=ON + LENGTH, duration=ON + LENGTH, dt=DT,
        holding=HOLDING,
    )  # fmt: skip
    names = ("i_ion", "na.i", "k.i", "na.m", "na.h", "k.n")
    r = nj.simulate(cell, nj.voltage_clamp(command), DT, record=names)
    return np.asarray(r.t) - ON, {k: np.asarray(x, np.float64) for k, x in r.data.items()}


def left_by(cell, levels):
    """The peak of sodium current at 0 mV after prepulses, over the largest: what is left."""
    first = np.broadcast_to(np.asarray(levels), (round(50 / DT), len(levels)))
    second = np.full((round(3 / DT), len(levels)), SHOWN)
    r = nj.simulate(cell, nj.voltage_clamp(np.concatenate([first, second])), DT, record=("na.i",))
    peak = -np.asarray(r.data["na.i"], np.float64)[len(first) :].min(axis=0)
    return peak / peak.max()


def draw(axes, t, r, blocked, left):
    """The family, the two currents, the gates, and the curves that are read off them."""
    family, apart, gates, peaks, inactivation = axes
    shown = list(STEPS).index(SHOWN)
    for k in range(1, len(STEPS), 2):
        shade = 0.2 + 0.75 * k / len(STEPS)
        family.plot(t, r["i_ion"][:, k] / 1e3, color=BLUE, alpha=shade, lw=1.4)
    family.set(title="Steps from rest to -50 … +80 mV", ylabel="outward current (mA/cm²)")

    apart.plot(t, r["i_ion"][:, shown] / 1e3, color=BLUE, label="both")
    apart.plot(t, blocked["k"]["i_ion"][:, shown] / 1e3, color=ORANGE, label="K blocked")
    apart.plot(t, blocked["na"]["i_ion"][:, shown] / 1e3, color=SKY, label="Na blocked")
    apart.set(title="The step to 0 mV, taken apart", ylabel="outward current (mA/cm²)")
    apart.legend()

    for name, colour, label in (
        ("na.m", ORANGE, "m, opens sodium"),
        ("na.h", GREY, "h, closes it while depolarised"),
        ("k.n", SKY, "n, opens potassium"),
    ):
        gates.plot(t, r[name][:, shown], color=colour, label=label)
    gates.set(title="The gates in this step", ylabel="part of gates open", ylim=(0, 1.05))
    gates.legend(loc="center right", bbox_to_anchor=(1, 0.36))
    for a in (family, apart, gates):
        a.set(xlabel="time in the step (ms)", xlim=(-0.3, LENGTH))

    peaks.axhline(0, color="0.8", lw=0.8, zorder=0)
    peaks.plot(STEPS, early(r) / 1e3, "o-", color=ORANGE, ms=4, label="sodium, at its peak")
    peaks.plot(STEPS, r["k.i"][-1] / 1e3, "o-", color=SKY, ms=4, label="potassium, at the end")
    peaks.set(xlabel="step to (mV)", ylabel="outward current (mA/cm²)", title="Against potential")
    peaks.legend()

    inactivation.plot(BEFORE, left, "o-", color=GREY, ms=4)
    inactivation.axvline(HOLDING, color="0.8", lw=0.8, zorder=0)
    inactivation.text(HOLDING + 1.5, 0.95, "rest", color="0.4")
    inactivation.set(xlabel="50 ms before at (mV)", ylabel="sodium current left", ylim=(0, 1.05))
    inactivation.set(title="What inactivation has left")


def early(r):
    """Sodium current where it is largest, with its sign."""
    i = r["na.i"]
    return i[np.abs(i).argmax(axis=0), np.arange(i.shape[1])]


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers."""
    cell = nj.cells.squid_axon()
    t, r = clamped(cell, STEPS)
    # A blocker leaves nothing of a conductance: TTX of sodium's, TEA of potassium's.
    blocked = {k: clamped(nj.replace(cell, {f"{k}.g_bar": 0.0}), STEPS)[1] for k in ("na", "k")}
    left = left_by(cell, BEFORE)

    figure = matplotlib.figure.Figure(figsize=(13.5, 8.2))
    grid = figure.add_gridspec(2, 6)
    places = [grid[0, :2], grid[0, 2:4], grid[0, 4:], grid[1, :3], grid[1, 3:]]
    axes = [figure.add_subplot(place) for place in places]
    draw(axes, t, r, blocked, left)
    figure.savefig(Path(folder) / "figure.png")

    shown = list(STEPS).index(SHOWN)
    at = -r["na.i"][:, shown]
    both = blocked["na"]["i_ion"] + blocked["k"]["i_ion"] - (r["i_ion"] - r["na.i"] - r["k.i"])
    reversal = np.interp(0.0, early(r)[8:], STEPS[8:])
    return {
        "peak_sodium": float(at.max()),
        "time_of_peak": float(t[at.argmax()]),
        "sodium_at_end": float(at[-1]),
        "potassium_at_end": float(r["k.i"][-1, shown]),
        "gates_at_end": {k: float(r[k][-1, shown]) for k in ("na.m", "na.h", "k.n")},
        "reversal_of_sodium": float(reversal),
        "left_at_rest": float(np.interp(HOLDING, BEFORE, left)),
        "half_left_at": float(np.interp(-0.5, -left, BEFORE)),
        "sum_of_parts_less_whole": float(np.abs(both - r["i_ion"]).max()),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
