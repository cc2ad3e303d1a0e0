"""The squid's action potential: threshold, all or none, and the refractory period.

After figure 12 of Hodgkin & Huxley 1952, J Physiol 117:500, doi:10.1113/jphysiol.1952.sp004764.
Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.01  # ms
SHOWN = (90.0, 15.0, 7.0, 6.0)  # displacements of figure 12, mV
CONDITIONING = 15.0  # mV, the first shock of a pair
LARGEST = 60.0  # mV, the strongest second shock tried
INTERVALS = np.arange(3.0, 30.25, 0.25)  # ms


def squid() -> nj.Cell:
    c = nj.channels
    return nj.Cell(channels={"na": c.SquidNa(), "k": c.SquidK(), "leak": c.SquidLeak()})


def shocks(duration, *times_and_sizes):
    """A current that puts charges on the membrane, each within one step: an instant displacement.

    Each pair is a time (ms) and a displacement (mV), numbers or one of each per cell.
    """
    sizes = [np.broadcast_arrays(t, mV) for t, mV in times_and_sizes]
    n_cells = max(mV.size for _, mV in sizes)
    i = np.zeros((round(duration / DT), n_cells))
    for t, mV in sizes:
        i[np.round(t / DT).astype(int), np.arange(n_cells)] += mV / DT  # C_m is 1 uF/cm2
    return nj.current_clamp(i)


def above_rest(electrode):
    """Membrane potential above rest, mV, [step, cell]; row k is half a step after k * DT."""
    return np.asarray(nj.simulate(squid(), electrode, DT).v) - float(nj.at_rest(squid()).v)


def bisect(fires, low, high, rounds):
    """The smallest size at which `fires`, each cell's own; `high` where none does."""
    low, high = np.array(low, dtype=float), np.array(high, dtype=float)
    never = ~fires(high)
    for _ in range(rounds):
        middle = 0.5 * (low + high)
        up = fires(middle)
        low, high = np.where(up, low, middle), np.where(up, middle, high)
    return np.where(never, np.nan, high)


def single_threshold():
    """The displacement from rest (mV) that just fires an action potential."""
    fires = lambda mV: above_rest(shocks(25.0, (0.0, mV))).max(axis=0) > 50  # noqa: E731
    return float(bisect(fires, [6.0], [7.0], 12)[0])


def second_threshold():
    """The second displacement (mV) that just fires again, for every interval after the first."""

    def fires(mV):
        v = above_rest(shocks(40.0, (0.0, CONDITIONING), (INTERVALS, mV)))
        k, cells = np.round(INTERVALS / DT).astype(int), np.arange(INTERVALS.size)
        left_at = v[k, cells]
        later = np.arange(len(v))[:, None] > k
        # A response of the membrane's own: it goes on rising by 10 mV from where the shock left it.
        return np.where(later, v, -np.inf).max(axis=0) > left_at + 10

    return bisect(fires, np.full(INTERVALS.size, 0.5), np.full(INTERVALS.size, LARGEST), 14)


def draw(t, family, sizes, peaks, threshold, second, path):
    """The figure: responses, their peaks against the shock, and the refractory period."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
    colours = ["#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"]
    for k, mV in enumerate(SHOWN):
        left.plot(t, family[:, k], color=colours[k], label=f"{mV:g} mV")
    left.axhline(0, color="0.8", lw=0.8, zorder=0)
    left.set(xlim=(0, 8), ylim=(-18, 118), xlabel="time after the shock (ms)")
    left.set(ylabel="membrane potential above rest (mV)", title="Response to a sudden displacement")
    left.legend(
        title="displaced by",
    )

    middle.plot(sizes, peaks, "o", ms=3, color=colours[0])
    middle.plot([0, 30], [0, 30], color="0.6", lw=1, ls=":")
    middle.annotate("the shock alone", (19, 19), xytext=(17, 32), color="0.4")
    middle.axvline(threshold, color=colours[2], lw=1.2)
    middle.text(threshold + 0.6, 62, f"threshold\n{threshold:.3f} mV", color=colours[2])
    middle.set(xlim=(0, 30), ylim=(0, 118), xlabel="displacement (mV)")
    middle.set(ylabel="peak above rest (mV)", title="All or none")

    absolute = INTERVALS[np.flatnonzero(np.isnan(second))[-1]]
    right.axvspan(0, absolute, color="#e07b39", alpha=0.18, lw=0)
    right.text(absolute / 2, 32, "absolutely refractory", ha="center", va="center", rotation=90)
    right.plot(INTERVALS, second, color=colours[0])
    right.axhline(threshold, color="0.6", lw=1, ls=":")
    right.text(29.5, threshold + 2, "threshold at rest", ha="right", color="0.4")
    right.annotate("supernormal", (19, np.nanmin(second)), xytext=(19, 0.8), color=colours[0])
    right.set(xlim=(0, 30), ylim=(0, 62), xlabel="interval after the first shock (ms)")
    right.set(ylabel="second shock that fires again (mV)", title="Refractory period")
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV, ms)."""
    family = above_rest(shocks(20.0, (0.0, np.array(SHOWN))))
    t = (np.arange(len(family)) + 0.5) * DT
    sizes = np.arange(0.5, 30.5, 0.5)
    peaks = above_rest(shocks(20.0, (0.0, sizes))).max(axis=0)
    threshold, second = single_threshold(), second_threshold()
    draw(t, family, sizes, peaks, threshold, second, Path(folder) / "figure.png")
    recovered = INTERVALS[np.argmax(second <= threshold)]
    return {
        "threshold": threshold,
        "peak": dict(zip(SHOWN, family.max(axis=0).tolist(), strict=True)),
        "time_of_peak": dict(zip(SHOWN, t[family.argmax(axis=0)].tolist(), strict=True)),
        "undershoot": float(family[:, SHOWN.index(7.0)].min()),
        "gap": float(np.diff(peaks).max()),
        "absolutely_refractory": float(INTERVALS[np.flatnonzero(np.isnan(second))[-1]]),
        "relatively_refractory": float(recovered),
        "second_threshold_at_10": float(second[INTERVALS == 10.0][0]),
        "lowest_second_threshold": float(np.nanmin(second)),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
