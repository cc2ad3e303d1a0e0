"""Rest is a tug of war that potassium almost wins: a membrane 40 times as permeable to it.

Goldman 1943, J Gen Physiol 27:37, doi:10.1085/jgp.27.1.37; Hodgkin & Katz 1949, J Physiol 108:37,
doi:10.1113/jphysiol.1949.sp004310. Run it to draw figure.png beside it.
"""

from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.1  # ms
CELSIUS = 37.0
RATIO = 40.0  # P_K / P_Na
STARTS = np.array([-110.0, -89.0, -40.0, 0.0, 40.0])  # mV
RATIOS = np.geomspace(0.01, 1000.0, 21)
CHLORIDE = 0.45  # P_Cl / P_K where chloride passes too
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"
IONS = {
    "k": nj.Ion(inside=140.0, outside=5.0),
    "na": nj.Ion(inside=10.0, outside=145.0),
    "cl": nj.Ion(valence=-1, inside=10.0, outside=110.0),
}


@nj.pytree
class PotassiumLeak(nj.ConstantField):
    """Channels that are always open, for potassium: i = P_bar times its constant-field current."""

    P_bar: Any = nj.param(1e-6, "cm/s", 0.0, 1e-3)
    valences = {"k": 1}


@nj.pytree
class SodiumLeak(nj.ConstantField):
    """Channels that are always open, for sodium: i = P_bar times its constant-field current."""

    P_bar: Any = nj.param(1e-6 / RATIO, "cm/s", 0.0, 1e-3)
    valences = {"na": 1}


def settling():
    """Time (ms) and what was recorded, `[step, start]`, on the way from each start to rest."""
    leaks = {"k": PotassiumLeak(), "na": SodiumLeak()}
    cell = nj.Cell(channels=leaks, ions=IONS, celsius=CELSIUS)
    still = nj.current_clamp(np.zeros(round(200.0 / DT)))
    names = ("v", "k.i", "na.i", "E_k", "E_na")
    r = nj.simulate(cell, still, DT, record=names, initial=STARTS)
    return np.asarray(r.t), {k: np.asarray(x, np.float64) for k, x in r.data.items()}


def rests():
    """Where membranes of all ratios settle, mV, without chloride and with it: `[2, ratio]`."""
    ratios = np.tile(RATIOS, 2)  # a population: all without chloride, then all with it
    P_k = 1e-6 * ratios / (ratios + 1)  # the sum of P_K and P_Na is the same in all
    chloride = np.repeat([0.0, CHLORIDE], RATIOS.size)
    leak = nj.channels.GoldmanLeak(P_bar=P_k, ratio_na=1 / ratios, ratio_cl=chloride)
    cell = nj.Cell(channels={"leak": leak}, ions=IONS, celsius=CELSIUS)
    still = nj.current_clamp(np.zeros(round(400.0 / DT)))
    settled = nj.simulate(cell, still, DT, every=4000, initial=-60.0).v[-1]
    return np.asarray(settled).reshape(2, RATIOS.size)


def goldman(ratios, chloride=0.0):
    P = {"k": 1.0, "na": 1 / ratios, "cl": chloride}
    return np.asarray(nj.goldman_potential(P, IONS, CELSIUS))


def draw_course(axes, t, r):
    """Potentials that start apart and meet at one rest between E_K and E_Na."""
    for k in range(STARTS.size):
        v = np.r_[STARTS[k], r["v"][:, k]]
        axes.plot(np.r_[0, t], v, color=BLUE, alpha=1 if STARTS[k] == -89 else 0.55)
    E_k, E_na, rest = r["E_k"][-1, 0], r["E_na"][-1, 0], r["v"][-1, 0]
    for E, name, colour in ((E_na, "E_{Na}", ORANGE), (E_k, "E_K", SKY)):
        axes.axhline(E, color=colour, lw=1.2, ls="--")
        axes.text(
            79,
            E + 3,
            f"${name}$ = {E:.0f} mV".replace("-", "\N{MINUS SIGN}"),
            color=colour,
            ha="right",
        )
    axes.text(
        79, rest + 3, f"rest {rest:.1f} mV".replace("-", "\N{MINUS SIGN}"), color=BLUE, ha="right"
    )
    axes.set(xlim=(0, 80), ylim=(-115, 92), xlabel="time (ms)")
    axes.set(ylabel="membrane potential (mV)", title="From everywhere to one rest")


def draw_forces(axes, forces, currents):
    """Driving forces and currents at rest, those of sodium and potassium side by side."""
    force, current = axes
    for a, values, unit, form in (
        (force, forces, 200.0, "{:+.0f}"),
        (current, currents, 1.5, "{:+.2f}"),
    ):
        a.axhline(0, color="0.4", lw=0.8)
        a.bar([0, 1], values, width=0.55, color=[SKY, ORANGE])
        for x, value in enumerate(values):
            text = form.format(value).replace("-", "\N{MINUS SIGN}")
            offset = 0.03 * unit * np.sign(value)
            a.text(x, value + offset, text, ha="center", va="bottom" if value > 0 else "top")
        a.set_xticks([0, 1], ["K", "Na"])
        a.set(xlim=(-0.6, 1.6), ylim=(-unit, unit))
    force.set(ylabel="$v - E$ (mV), outward up", title="Driving force")
    current.set(ylabel="outward current (µA/cm²)", title="Current")


def draw_ratios(axes, found):
    """The rest against the ratio of permeabilities, simulated and by Goldman's equation."""
    fine = np.geomspace(0.01, 1000.0, 301)
    axes.semilogx(fine, goldman(fine), color=BLUE, label="K and Na")
    label = f"and Cl, P$_{{Cl}}$ = {CHLORIDE} P$_K$"
    axes.semilogx(fine, goldman(fine, CHLORIDE), color=GREY, label=label)
    axes.semilogx(RATIOS, found[0], "o", ms=4, color=BLUE)
    axes.semilogx(RATIOS, found[1], "o", ms=4, color=GREY)
    rest = float(goldman(np.array(RATIO)))
    axes.plot([RATIO], [rest], "o", ms=9, mfc="none", mec=ORANGE, mew=2)
    axes.annotate("a neuron at rest, 40", (RATIO, rest), xytext=(0.013, rest - 8), color=ORANGE,
        arrowprops={"arrowstyle": "-", "color": ORANGE, "shrinkB": 5})  # fmt: skip
    axes.set(xlim=(0.009, 1100), ylim=(-98, 75), xlabel="P$_K$ / P$_{Na}$")
    axes.set(ylabel="resting potential (mV)", title="Permeabilities set the rest")
    axes.legend(loc="upper right")


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV, uA/cm2)."""
    t, r = settling()
    found = rests()
    v = float(r["v"][-1, 0])
    forces = [v - float(r[f"E_{ion}"][-1, 0]) for ion in ("k", "na")]
    currents = [float(r[f"{ion}.i"][-1, 0]) for ion in ("k", "na")]

    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    course, force, current, ratios = figure.subplots(1, 4, width_ratios=[1.6, 0.75, 0.75, 1.6])
    draw_course(course, t, r)
    draw_forces((force, current), forces, currents)
    draw_ratios(ratios, found)
    figure.savefig(Path(folder) / "figure.png")
    return {
        "rest": v,
        "spread": float(np.ptp(r["v"][-1])),
        "forces": forces,
        "currents": currents,
        "departure": float(np.abs(found - [goldman(RATIOS), goldman(RATIOS, CHLORIDE)]).max()),
        "with_chloride": float(goldman(np.array(RATIO), CHLORIDE)),
        "lowest_and_highest": [float(found[0].max()), float(found[0].min())],
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
