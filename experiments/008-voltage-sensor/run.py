"""The voltage sensor at work: the charge that it moves, and the channel that opens after it.

Shaker channels of Zagotta, Hoshi & Aldrich 1994, J Gen Physiol 103:321, doi:10.1085/jgp.103.2.321.
Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.01  # ms
V_T = 25.2617  # mV, RT/F at 20 degC
HOLDING = -100.0  # mV
TESTS = np.arange(-90.0, 41.0, 5.0)  # mV
BEFORE, ON, OFF = 1.0, 30.0, 30.0  # ms
SHOWN = (-60.0, -40.0, -20.0, 0.0, 20.0)
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"
COLOURS = ("#c9c9c9", "#7fa6cf", "#2f7fb8", "#1b3a6b", "#e07b39")


def pulses():
    """Time (ms) from the onset, and gating current, charge and opening `[step, test]`."""
    before, on, off = (round(part / DT) for part in (BEFORE, ON, OFF))
    command = np.full((before + on + off, TESTS.size), HOLDING)
    command[before : before + on] = TESTS
    cell = nj.Cell(channels={"k": nj.channels.Shaker(g_bar=0.0)})  # blocked: no ionic current
    clamped = nj.electrode.voltage_clamp(command)
    names = ("k.i_gate", "k.q", "k.s44")
    r = nj.simulate(cell, clamped, DT, record=names, initial=HOLDING)
    return np.asarray(r.t) - BEFORE, {k: np.asarray(x, np.float64) for k, x in r.data.items()}


def steady(v):
    """Charge (elementary charges) and open probability when v is held for ever."""
    channel = nj.channels.Shaker()
    x = channel.steady_state(np.asarray(v))
    return np.asarray(channel.gating_charge(x)), np.asarray(x["s44"])


def smooth(i):
    """A current as it is seen at a bandwidth of about 5 kHz: the mean of 0.1 ms."""
    n = round(0.1 / DT)
    return np.convolve(i, np.full(n, 1 / n), mode="same")


def half(v, y):
    """Where a rising curve passes the half of its largest value."""
    return float(np.interp(0.5 * y[-1], y, v))


def draw_currents(current, opening, t, r):
    """Gating currents of steps to several potentials, and the open probability."""
    for colour, v in zip(COLOURS, SHOWN, strict=True):
        k = int(np.flatnonzero(v == TESTS)[0])
        label = f"{v:+.0f} mV".replace("-", "\N{MINUS SIGN}") if v else "0 mV"
        current.plot(t, smooth(r["k.i_gate"][:, k]), color=colour, label=label)
        opening.plot(t, r["k.s44"][:, k], color=colour)
    current.axhline(0, color="0.8", lw=0.8, zorder=0)
    current.set(xlim=(-1, 45), ylim=(-11, 13), ylabel="gating current,\nelementary charges/ms")
    current.set_title("Gating current, the pore being blocked")
    current.legend(ncols=2, loc="upper right")
    current.text(4.5, 2.0, "ON", color="0.4")
    current.text(34.5, -4.5, "OFF", color="0.4")
    current.tick_params(labelbottom=False)
    opening.set(xlim=(-1, 45), ylim=(-0.02, 1.05), xlabel="time after the step (ms)")
    opening.set(ylabel="open probability", title="Open when all four sensors have moved")


def draw_early(axes, t, r, k):
    """The first milliseconds of one step: current, its charge, opening, each of its largest."""
    on = t < ON
    for name, colour, label in (
        ("k.i_gate", GREY, "gating current"),
        ("k.q", SKY, "charge moved"),
        ("k.s44", BLUE, "open"),
    ):
        y = r[name][on, k] - (r[name][0, k] if name == "k.q" else 0.0)
        axes.plot(t[on], y / y.max(), color=colour, label=label)
    axes.set(xlim=(-0.3, 6), ylim=(0, 1.05), xlabel="time after the step to 0 mV (ms)")
    axes.set(ylabel="part of the largest", title="First charge, then opening")
    axes.legend(loc="center right")


def draw_curves(axes, moved, opened, fit, halves):
    """Charge and conductance against the potential, each as a part of its largest."""
    v = np.linspace(HOLDING, 40.0, 281)
    q, p = steady(v)
    largest_q, largest_p = q[-1], p[-1]
    axes.plot(v, q / largest_q, color=SKY, label="charge, Q")
    axes.plot(v, p / largest_p, color=BLUE, label="conductance, G")
    axes.plot(v, fit(v) / fit.amplitude, color=ORANGE, ls="--", label="Boltzmann")
    axes.plot(TESTS, moved / largest_q, "o", color=SKY, ms=5)
    axes.plot(TESTS, opened / largest_p, "o", color=BLUE, ms=5)
    axes.plot(halves, [0.5, 0.5], color="0.4", lw=2)
    axes.text(halves[1] + 4, 0.5, f"{halves[1] - halves[0]:.1f} mV", color="0.4", va="center")
    axes.set(xlim=(HOLDING, 40), ylim=(-0.02, 1.05), xlabel="membrane potential (mV)")
    axes.set(ylabel="part of the largest", title="G lies to the right of Q")
    axes.legend(loc="lower right")


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV, e, ms)."""
    t, r = pulses()
    end = np.flatnonzero(t < ON - 0.5 * DT)[-1]
    moved, opened = r["k.q"][end] - r["k.q"][0], r["k.s44"][end]
    went = r["k.i_gate"][: end + 1].sum(axis=0) * DT
    fit = nj.iv_curves.fit_boltzmann(TESTS, moved)
    v = np.linspace(HOLDING, 60.0, 3201)
    halves = [half(v, curve) for curve in steady(v)]
    zero = int(np.flatnonzero(TESTS == 0.0)[0])

    figure = matplotlib.figure.Figure(figsize=(13.5, 5.6))
    grid = figure.add_gridspec(2, 3, width_ratios=[1.25, 1, 1])
    above, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    early, curves = figure.add_subplot(grid[:, 1]), figure.add_subplot(grid[:, 2])
    draw_currents(above, below, t, r)
    draw_early(early, t, r, zero)
    draw_curves(curves, moved, opened, fit, halves)
    figure.savefig(Path(folder) / "figure.png")

    def time_of_half(y):
        return float(t[np.argmax(y[: end + 1] >= 0.5 * y[end])])

    return {
        "charge_of_all": float(moved[-1]),
        "half_charge": halves[0],
        "half_conductance": halves[1],
        "boltzmann_half": fit.V_half,
        "boltzmann_k": fit.k,
        "apparent_charge": V_T / fit.k,
        "not_returned": float(np.abs(r["k.q"][-1] - r["k.q"][0]).max()),
        "went_at_0": float(went[zero]),
        "time_of_half_charge": time_of_half(r["k.q"][:, zero] - r["k.q"][0, zero]),
        "time_of_half_open": time_of_half(r["k.s44"][:, zero]),
        "open_at_0": float(opened[zero]),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
