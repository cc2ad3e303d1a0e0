"""The heartbeat: a pacemaker that cannot rest, and a ventricle that cannot be hurried.

Sinus node: Fabbri et al. 2017, J Physiol 595:2365, doi:10.1113/JP273259. Ventricle: Luo & Rudy
1991, Circ Res 68:1501, doi:10.1161/01.RES.68.6.1501. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.02  # ms
SETTLING, PACING = 2000.0, 5000.0  # ms, of the sinus node: what is not looked at, and all
HEARTS = ("at rest", "funny channels shifted", "half of the funny channels")
SHOCK = 40.0  # mV
INTERVALS = np.arange(20.0, 505.0, 5.0)  # ms
STRENGTHS = np.array([40.0, 60.0])  # mV, second shocks
SHOWN = (150.0, 330.0, 350.0, 400.0)  # of the intervals
BLUE, ORANGE, SKY, GREY = "#1b3a6b", "#e07b39", "#2f7fb8", "#9a9a9a"


def sinus_node():
    """Time (ms) and potential of each heart, and currents of the first: [record, heart] each."""
    cell = nj.cells.sinus_fabbri()
    g = cell.channels["f"].g_bar
    hearts = {"f.g_bar": g * np.array([1.0, 1.0, 0.5]), "f.v_shift": np.array([0.0, 7.5, 0.0])}
    names = ("v", "f.i", "cal.i", "kr.i")
    nothing = nj.current_clamp(np.zeros(round(PACING / DT)))
    r = nj.simulate(nj.replace(cell, hearts), nothing, DT, record=names, every=25, initial=-45.0)
    return np.asarray(r.t) - SETTLING, {k: np.asarray(r.data[k]) for k in names}


def cycle(t, v):
    """The time between the last two upstrokes of each cell, ms."""
    lengths = []
    for one in v.T:
        k = np.flatnonzero((one[:-1] < -20) & (one[1:] >= -20))
        up = t[k] + (t[k + 1] - t[k]) * (-20 - one[k]) / (one[k + 1] - one[k])
        lengths.append(float(up[-1] - up[-2]))
    return lengths


def ventricle():
    """The potential of ventricles shocked twice, [record, strength, interval]; a record per 0.2 ms.

    A shock is a charge put on the membrane within one step: an instant displacement.
    """
    cell = nj.cells.ventricle_luo_rudy()
    i = np.zeros((round(560.0 / DT), STRENGTHS.size, INTERVALS.size), dtype=np.float32)
    i[0] = SHOCK / DT  # C_m is 1 uF/cm2
    for k, interval in enumerate(INTERVALS):
        i[round(interval / DT), :, k] = STRENGTHS / DT
    # A population has one axis: strengths and intervals side by side.
    r = nj.simulate(cell, nj.current_clamp(i.reshape(len(i), -1)), DT, every=10)
    v = np.asarray(r.v).reshape(-1, *i.shape[1:])
    return np.asarray(r.t), v, float(nj.at_rest(cell).v)


def own_rise(t, v):
    """How far the membrane rises of its own, mV, in the 20 ms after the second shock."""
    before = np.searchsorted(t, INTERVALS - 0.05)  # the last record without the shock
    left_at = v[before, :, np.arange(INTERVALS.size)].T + STRENGTHS[:, None]
    index = np.arange(1, 101)[:, None, None] + np.broadcast_to(before, left_at.shape)
    return np.take_along_axis(v, index, axis=0).max(axis=0) - left_at


def draw_sinus(course, currents, t, r, cycles):
    """Sinus node cells with different funny currents, and the currents between beats."""
    colours = (BLUE, ORANGE, SKY)
    for k, (name, colour) in enumerate(zip(HEARTS, colours, strict=True)):
        label = f"{name}: {60000 / cycles[k]:.0f} per minute"
        course.plot(t, r["v"][:, k], color=colour, lw=1.6, label=label)
    course.set(xlim=(0, 2500), ylim=(-66, 80), xlabel="time (ms)")
    course.set(ylabel="membrane potential (mV)", title="Sinus node: its own pacemaker")
    course.legend(loc="upper left")
    currents.axhline(0, color="0.8", lw=0.8, zorder=0)
    for key, colour in (("f", ORANGE), ("cal", BLUE)):
        currents.plot(t, r[f"{key}.i"][:, 0], color=colour, lw=1.6)
    currents.plot(t, r["kr.i"][:, 0], color=SKY, lw=1.6)
    currents.set(xlim=(0, 2500), ylim=(-0.3, 0.3), xlabel="time (ms)")
    currents.set(ylabel="outward current (µA/cm²)", title="What moves it between the beats")
    currents.text(740, 0.135, "potassium, $K_r$", color=SKY)
    currents.text(670, 0.012, "funny", color=ORANGE)
    currents.text(1180, -0.16, "L-type calcium", color=BLUE, ha="right")


def draw_ventricle(course, refractory, t, v, apd90, rise, absolute):
    """A second shock at several intervals, and when it makes an action potential again."""
    for interval, colour in zip(SHOWN, (GREY, SKY, ORANGE, "#7a5195"), strict=True):
        k = int(np.flatnonzero(interval == INTERVALS)[0])
        course.plot(t, v[:, 0, k], color=colour, lw=1.3, label=f"and at {interval:g} ms")
    alone = t < INTERVALS[-1]
    course.plot(t[alone], v[alone, 0, -1], color=BLUE, lw=1.8, label=f"{SHOCK:g} mV at 0 ms")
    course.set(xlim=(-10, 560), ylim=(-92, 90), xlabel="time (ms)")
    course.set(ylabel="membrane potential (mV)", title="Ventricle: a second shock")
    handles, labels = course.get_legend_handles_labels()
    course.legend(handles[-1:] + handles[:-1], labels[-1:] + labels[:-1], **LEGEND)
    refractory.axvspan(0, absolute, color=ORANGE, alpha=0.18, lw=0)
    refractory.text(absolute / 2, 60, "absolutely refractory", ha="center")
    refractory.axvline(apd90, color="0.5", lw=1, ls=":")
    refractory.text(apd90 + 5, 118, "APD$_{90}$", color="0.4")
    for k, colour in enumerate((BLUE, SKY)):
        refractory.plot(INTERVALS, rise[k], color=colour, lw=1.8, label=f"{STRENGTHS[k]:g} mV")
    refractory.set(xlim=(0, 500), ylim=(-8, 126), xlabel="interval after the first shock (ms)")
    refractory.set(
        ylabel="rise of the membrane's own (mV)", title="Refractory until it is back at rest"
    )
    refractory.legend(title="second shock", loc="upper left")


LEGEND = {"loc": "upper right", "ncols": 2}


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV, ms)."""
    t_sinus, sinus = sinus_node()
    cycles = cycle(t_sinus, sinus["v"])
    t, v, rest = ventricle()
    rise = own_rise(t, v)
    alone = v[:, 0, -1][t < INTERVALS[-1]]
    level = alone.max() - 0.9 * (alone.max() - rest)
    apd90 = float(t[np.flatnonzero(alone > level)[-1]])
    fires = rise > 10
    refractory = INTERVALS[np.argmax(fires, axis=1)]

    figure = matplotlib.figure.Figure(figsize=(13.5, 8.2))
    axes = figure.subplots(2, 2)
    draw_sinus(axes[0, 0], axes[1, 0], t_sinus, sinus, cycles)
    draw_ventricle(axes[0, 1], axes[1, 1], t, v, apd90, rise, refractory[0])
    figure.savefig(Path(folder) / "figure.png")
    return {
        "cycle": dict(zip(HEARTS, cycles, strict=True)),
        "lowest": float(sinus["v"][t_sinus > 0, 0].min()),
        "rest": rest,
        "peak": float(alone.max()),
        "apd90": apd90,
        "refractory": dict(zip(STRENGTHS.tolist(), refractory.tolist(), strict=True)),
        "rise_at_500": float(rise[0, INTERVALS == 500.0][0]),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
