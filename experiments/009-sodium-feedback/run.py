"""Sodium that enters opens the way for more: the feedback that makes an action potential.

The squid axon of Hodgkin & Huxley 1952, J Physiol 117:500, doi:10.1113/jphysiol.1952.sp004764.
Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.005  # ms
BELOW, ABOVE = 6.0, 7.0  # mV, displacements on either side of the threshold
WARMTH = np.array([6.3, 8.0, 10.0, 12.0, 14.0, 16.0, 18.5, 20.0])  # degC
FARADAY = 96485.33  # C/mol
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"


def displaced(cell, mV, duration):
    """What follows when the membrane is displaced by mV within one step: [step, cell] each."""
    i = np.zeros((round(duration / DT), np.size(mV)))
    i[0] = np.asarray(mV) / DT  # C_m is 1 uF/cm2
    names = ("v", "i_ion", "na.i", "k.i", "na.m", "na.h")
    names = tuple(k for k in names if k in nj.observables(cell))
    r = nj.simulate(cell, nj.current_clamp(i), DT, record=names)
    return np.asarray(r.t), {k: np.asarray(x, np.float64) for k, x in r.data.items()}


def with_sodium_held(cell):
    """The same cell, its sodium conductance held at what it is at rest."""
    g = float(cell.channels["na"].conductance(nj.at_rest(cell).x["na"]))
    held = nj.channels.SquidLeak(g_bar=g, E_rev=cell.channels["na"].E_rev)
    return nj.Cell(channels=dict(cell.channels) | {"na": held}, celsius=cell.celsius)


def early_current(cell, v, opened):
    """Net current (uA/cm2) just after a step from rest to v: only m, if `opened`, has followed."""
    rest, there = nj.at_rest(cell).x, nj.steady_state(cell, v).x
    x = rest | {"na": rest["na"] | ({"m": there["na"]["m"]} if opened else {})}
    return np.asarray(sum(c.current(v, x[k], cell.celsius) for k, c in cell.channels.items()))


def sodium_entry(r, rest):
    """Charge of sodium (uC/cm2) that enters until the membrane is back at rest, and the height."""
    v = r["v"]
    over = np.maximum.accumulate(v < rest, axis=0)  # once below rest, the action potential is over
    charge = -(np.where(over, 0.0, r["na.i"])).sum(axis=0) * DT * 1e-3
    return charge, v.max(axis=0) - rest


def draw_course(axes, t, r, held, rest):
    """Responses in time; then gates and currents along the upstroke."""
    whole, gates, currents = axes
    whole.plot(t, r["v"][:, 1], color=BLUE, label=f"{ABOVE:g} mV")
    whole.plot(t, r["v"][:, 0], color=SKY, label=f"{BELOW:g} mV")
    label = f"{ABOVE:g} mV, Na conductance held"
    whole.plot(t, held["v"][:, 0], color=ORANGE, ls="--", label=label)
    whole.set(xlim=(0, 8), ylim=(-82, 105), xlabel="time after the shock (ms)")
    whole.set(ylabel="membrane potential (mV)", title="Below and above threshold")
    whole.legend(loc="upper left")
    peak = t[r["v"][:, 1].argmax()]
    window = (peak - 1.2, peak + 0.5)
    m, h = r["na.m"][:, 1], r["na.h"][:, 1]
    gates.plot(t, (r["v"][:, 1] - rest) / 115, color=GREY, label="v, way to $E_{Na}$")
    gates.plot(t, m, color=BLUE, label="m")
    gates.plot(t, h, color=SKY, label="h")
    gates.plot(t, m**3 * h, color=ORANGE, label="open, m³h")
    gates.set(xlim=window, ylim=(0, 1.05), xlabel="time after the shock (ms)")
    gates.set(ylabel="fraction", title="The upstroke: v opens m, m drives v")
    gates.legend(loc="upper left")
    currents.axhline(0, color="0.8", lw=0.8, zorder=0)
    currents.plot(t, r["na.i"][:, 1], color=ORANGE, label="sodium")
    currents.plot(t, r["k.i"][:, 1], color=SKY, label="potassium")
    currents.plot(t, r["i_ion"][:, 1], color=BLUE, label="net")
    currents.set(xlim=window, ylim=(-880, 880), xlabel="time after the shock (ms)")
    currents.set(ylabel="outward current (µA/cm²)", title="Currents")
    currents.legend(loc="upper left")


def draw_balance(axes, t, r, curve, warm):
    """The phase plane, the balance of currents near rest, and what a spike costs."""
    plane, balance, cost = axes
    plane.axhline(0, color="0.8", lw=0.8, zorder=0)
    plane.plot(r["v"][1:, 1], -r["i_ion"][1:, 1], color=BLUE)
    plane.set(xlim=(-80, 62), ylim=(-120, 560), xlabel="membrane potential (mV)")
    plane.set(ylabel="dv/dt (mV/ms)", title="The same in the phase plane")
    near = plane.inset_axes((0.2, 0.68, 0.34, 0.3))
    near.axhline(0, color="0.8", lw=0.8, zorder=0)
    for k, colour in ((1, BLUE), (0, SKY)):
        near.plot(r["v"][1:, k], -r["i_ion"][1:, k], color=colour)
    near.set(xlim=(-66, -52), ylim=(-3, 8))
    near.tick_params(labelsize=7)

    v, opened, shut, threshold = curve
    balance.axhline(0, color="0.8", lw=0.8, zorder=0)
    balance.plot(v, shut, color=GREY)
    balance.plot(v, opened, color=BLUE)
    balance.plot([threshold], [0], "o", color=ORANGE, ms=7)
    balance.annotate(
        "unstable balance", (threshold, 0), xytext=(-64.8, -3.3), color=ORANGE, ha="left",
        arrowprops={"arrowstyle": "-", "color": ORANGE},
    )  # fmt: skip
    balance.text(-66.6, 3.5, "Na conductance held", color="0.4")
    balance.text(-58.9, -4.6, "m has opened", color=BLUE, ha="right")
    balance.set(xlim=(-67, -55), ylim=(-6, 6), xlabel="membrane potential (mV)")
    balance.set(ylabel="early net current (µA/cm²)", title="More sodium out of balance")

    cost.plot(WARMTH, warm, "o-", color=BLUE)
    cost.axhline(1, color="0.6", lw=1, ls=":")
    cost.text(6, 1.3, "the least that would do", color="0.4")
    cost.set(xlim=(5, 21), ylim=(0, 14.5), xlabel="temperature (°C)")
    cost.set(ylabel="sodium charge / least charge C ∆v", title="Sodium that enters in one spike")


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers."""
    cell = nj.cells.squid_axon()
    rest = float(nj.at_rest(cell).v)
    t, r = displaced(cell, [BELOW, ABOVE], 12.0)
    _, held = displaced(with_sodium_held(cell), [ABOVE], 12.0)
    _, warm = displaced(nj.replace(cell, {"celsius": WARMTH}), np.full(WARMTH.size, 15.0), 12.0)
    charge, height = sodium_entry(warm, rest)  # C_m is 1 uF/cm2

    v = np.linspace(-67.0, -55.0, 2401)
    opened, shut = early_current(cell, v, True), early_current(cell, v, False)
    last = np.flatnonzero((opened[:-1] > 0) & (opened[1:] <= 0))[-1]

    figure = matplotlib.figure.Figure(figsize=(13.5, 8.2))
    axes = figure.subplots(2, 3)
    draw_course(axes[0], t, r, held, rest)
    draw_balance(axes[1], t, r, (v, opened, shut, v[last]), charge * 1e3 / height)
    figure.savefig(Path(folder) / "figure.png")
    slope = (opened[last + 20] - opened[last - 20]) / (v[last + 20] - v[last - 20])
    return {
        "peak_below": float(r["v"][:, 0].max()) - rest,
        "peak_above": float(r["v"][:, 1].max()) - rest,
        "peak_held": float(held["v"].max()) - rest,
        "balance_above_rest": float(v[last]) - rest,
        "slope_conductance": float(slope),
        "sodium_pmol": dict(zip(WARMTH.tolist(), (charge / FARADAY * 1e6).tolist(), strict=True)),
        "overlap": dict(zip(WARMTH.tolist(), (charge * 1e3 / height).tolist(), strict=True)),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
