"""What a sodium pump is for: stop it, and gradients and potential run down; what it costs.

After the pumps' electrogenic part in Mullins & Noda 1963, J Gen Physiol 47:117,
doi:10.1085/jgp.47.1.117. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT, EVERY = 50.0, 20  # ms, steps between records
PART = 12_000  # steps: ten minutes
STOPPED, RESTARTED, END = 1, 7, 11  # parts: until then
MINUTE = 60_000.0  # ms
RADIUS = 10.0  # um
RATIO_NA = 0.025  # P_Na / P_K
CELSIUS = 37.0
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"


def cell():
    """A sphere in which the pump takes out the sodium that leaks in, at the rest that they make."""
    depth = RADIUS / 3  # volume over area
    ions = {
        "k": nj.Ion(inside=140.0, outside=5.0, depth=depth),
        "na": nj.Ion(inside=10.0, outside=145.0, depth=depth),
        "cl": nj.Ion(valence=-1, inside=10.0, outside=150.0),
    }
    leak = nj.channels.GoldmanLeak(P_bar=1e-6, ratio_na=RATIO_NA)
    v = nj.goldman_potential({"k": 1.0, "na": RATIO_NA}, ions, CELSIUS, pump=1.5)
    around = {f"{k}_i": ion.inside for k, ion in ions.items()}
    around |= {f"{k}_o": ion.outside for k, ion in ions.items()}
    leaking = leak.ion_fluxes(None, v, {}, CELSIUS, **around)["na"]
    whole = nj.channels.HippocampusNaKPump(i_max=1.0).current(v, {}, na_i=10.0, k_o=5.0)
    pump = nj.channels.HippocampusNaKPump(i_max=float(-leaking / 3 / whole))
    area = 4 * np.pi * RADIUS**2 * 1e-8
    return nj.Cell(channels={"leak": leak, "pump": pump}, ions=ions, area=area, celsius=CELSIUS)


def course(whole):
    """Time (min) from the stop and what was recorded, and the state in which the pump stops."""
    silent = nj.replace(whole, {"pump.i_max": 0.0})
    still = nj.current_clamp(np.zeros(PART))
    names = ("v", "na_i", "k_i", "E_k", "E_na", "pump.i")
    state, parts, at_stop = nj.at_rest(whole), [], None
    for part in range(END):
        on = part < STOPPED or part >= RESTARTED
        if part == STOPPED:
            at_stop = state
        now = whole if on else silent
        r = nj.simulate(now, still, DT, record=names, every=EVERY, initial=state)
        state = r.final
        parts.append({k: np.asarray(x, np.float64) for k, x in r.data.items()})
    joined = {k: np.concatenate([part[k] for part in parts]) for k in names}
    t = (np.arange(len(joined["v"])) + 1) * DT * EVERY / MINUTE - STOPPED * PART * DT / MINUTE
    return t, joined, at_stop


def at_once(whole, state):
    """The potential (mV) in the first 100 ms after the pump stopped, every 0.1 ms."""
    silent = nj.replace(whole, {"pump.i_max": 0.0})
    still = nj.current_clamp(np.zeros(1000))
    return np.asarray(nj.simulate(silent, still, 0.1, initial=state).v, np.float64)


def atp(whole, i):
    """ATP molecules that a cell's pumps split in a second."""
    area_um2 = float(whole.area) * 1e8
    return np.asarray(whole.channels["pump"].atp * nj.elementary_charges(i * 1e3, area_um2))


def draw(t, r, first, cost, path):
    """The figure: the potential, the concentrations and the cost in ATP, the pump stopped."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    potential, inside, price = figure.subplots(1, 3, width_ratios=[1.2, 1, 1])
    potential.plot(t, r["E_k"], color=SKY, lw=1.4, ls="--")
    potential.plot(t, r["v"], color=BLUE)
    potential.text(30, -66, "v", color=BLUE)
    potential.text(33, -79, "$E_K$", color=SKY, va="top")
    potential.set(ylim=(-105, -8), ylabel="potential (mV)", title="The potential runs down")
    near = potential.inset_axes((0.19, 0.67, 0.34, 0.3))
    before = r["v"][t <= 0][-1]
    ms = np.r_[-20, 0, (np.arange(first.size) + 1) * 0.1]
    near.plot(ms, np.r_[before, before, first], color=BLUE)
    near.set(xlim=(-20, 80), ylim=(before - 1, before + 6))
    near.set_xlabel("ms after the stop")
    near.set_ylabel("mV")
    near.tick_params(labelsize=8)
    step = f"{first[-1] - before:.1f} mV"
    near.text(40, first[-1] + 0.4, step, color=BLUE)

    inside.plot(t, r["k_i"], color=SKY)
    inside.plot(t, r["na_i"], color=ORANGE)
    inside.text(-8, 146, "potassium", color=SKY)
    inside.text(14, 15, "sodium", color=ORANGE)
    inside.set(ylim=(0, 160), ylabel="concentration inside (mM)", title="Gradients run down")

    price.plot(t, cost / 1e6, color=BLUE)
    price.axhline(cost[0] / 1e6, color="0.6", lw=1, ls=":")
    price.text(30, cost[0] / 1e6 + 3, f"at rest {cost[0] / 1e6:.0f}", ha="center", color="0.4")
    price.set(ylim=(0, None), ylabel="ATP per second and cell (millions)", title="What it costs")
    for axes in (potential, inside, price):
        axes.axvspan(0, (RESTARTED - STOPPED) * PART * DT / MINUTE, color="0.93", zorder=-1, lw=0)
        axes.set(xlim=(-10, 100), xlabel="minutes after the pump stopped")
    price.text(30, 0.04, "pump stopped", color="0.4", ha="center", va="bottom",
        transform=price.get_xaxis_transform())  # fmt: skip
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV, mM, 1/s)."""
    whole = cell()
    t, r, at_stop = course(whole)
    first = at_once(whole, at_stop)
    cost = atp(whole, r["pump.i"])
    draw(t, r, first, cost, Path(folder) / "figure.png")
    minutes = (RESTARTED - STOPPED) * PART * DT / MINUTE
    stop, last = (np.flatnonzero(t < at + 1e-3)[-1] for at in (0.0, minutes))
    return {
        "i_max": float(whole.channels["pump"].i_max),
        "rest": float(r["v"][stop]),
        "step": float(first[-1] - r["v"][stop]),
        "v_after": float(r["v"][last]),
        "na_after": float(r["na_i"][last]),
        "k_after": float(r["k_i"][last]),
        "lowest_after_restart": float(r["v"][last + 1 :].min()),
        "jump_back": float(r["v"][last + 1] - r["v"][last]),
        "v_end": float(r["v"][-1]),
        "na_end": float(r["na_i"][-1]),
        "atp_at_rest": float(cost[stop]),
        "atp_highest": float(cost.max()),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
