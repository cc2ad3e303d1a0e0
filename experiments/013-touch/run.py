"""Touch: a graded receptor potential becomes a train of spikes, by channels that adapt.

Time constants after Gerling et al. 2018, PLoS Comput Biol 14:e1006264,
doi:10.1371/journal.pcbi.1006264. Run it to draw figure.png beside it.
"""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot
from neurojax.membrane import rates

DT, EVERY = 0.025, 4  # ms, steps between records
DURATION, ONSET, OFFSET = 400.0, 50.0, 350.0  # ms
INDENTATIONS = np.array([0.0, 2.0, 4.0, 6.0, 8.0, 12.0])  # um
STIMULI = INDENTATIONS.size + 1  # and a vibration
VIBRATION, FREQUENCY = 12.0, 50.0  # um from valley to peak, Hz
SHOWN = (1, 2, 3, 5)  # of the indentations
BLUE, ORANGE, SKY = "#1b3a6b", "#e07b39", "#2f7fb8"
COLOURS = ("#b3c1d6", "#7fa6cf", "#2f7fb8", "#1b3a6b")


@nj.pytree
class Transducer(nj.Channel):
    """Cation channel that indentation opens until it has adapted: i = g_bar p (v - E_rev).

    p is a Boltzmann curve of displacement - a, where a follows the displacement, but for the part
    that is `left` in the end: a' = ((1 - left) displacement - a) / tau.

    Source: Gerling et al. 2018, PLoS Comput Biol 14:e1006264, doi:10.1371/journal.pcbi.1006264, for
    tau of rapidly (8 ms) and slowly (200 ms) adapting currents.
    Deviates: the curve is shifted, not scaled, and skin has no mechanics; the other numbers are
    chosen.
    """

    g_bar: Any = nj.param(0.1, "mS/cm2", 0.0, 10.0)
    E_rev: Any = nj.param(0.0, "mV", -30.0, 30.0)
    half: Any = nj.param(5.0, "um", 0.1, 100.0)
    slope: Any = nj.param(1.0, "um", 0.1, 20.0)
    tau: Any = nj.param(8.0, "ms", 0.1, 1000.0)
    left: Any = nj.param(0.0, "1", 0.0, 1.0)
    powers = {"a": 1}
    reads = ("displacement",)

    def gating(self, v, displacement):
        ones = jnp.ones_like(v)
        return {"a": rates.from_inf((1 - self.left) * displacement * ones, ones / self.tau)}

    def current(self, v, x, celsius=None, *, displacement):
        p = rates.sigmoid((displacement - x["a"] - self.half) / self.slope)
        return self.g_bar * p * (v - self.E_rev)


def endings(sodium):
    """Endings with the channels of their fibre: one of each for every stimulus.

    First all that adapt rapidly, then all that adapt slowly.
    """
    fibre = nj.cells.interneuron_wang_buzsaki()
    slow = np.repeat([0.0, 1.0], STIMULI)  # the slow ones have both kinds of transducer
    touch = {
        "rapid": Transducer(g_bar=0.15, tau=8.0),
        "slow": Transducer(g_bar=0.06 * slow, tau=200.0, left=0.5),
    }
    cell = nj.Cell(channels=fibre.channels | touch, inputs={"displacement": 0.0})
    return nj.replace(cell, {"na.g_bar": cell.channels["na"].g_bar * sodium})


def stimuli():
    """Indentations that are held, and a vibration, on the endings of either kind: um."""
    t = (np.arange(round(DURATION / DT)) + 0.5) * DT
    on = ((t >= ONSET) & (t < OFFSET))[:, None]
    held = on * INDENTATIONS
    shaken = on[:, 0] * VIBRATION * 0.5 * (1 - np.cos(2e-3 * np.pi * FREQUENCY * (t - ONSET)))
    all_of_them = np.concatenate([held, shaken[:, None]], axis=1)
    return np.tile(all_of_them, 2).astype(np.float32)


def simulate(sodium):
    """Time (ms) from the onset, and the potential `[record, ending, stimulus]`."""
    touched = nj.electrode.stimulus(displacement=stimuli())
    r = nj.simulate(endings(sodium), touched, DT, every=EVERY)
    return np.asarray(r.t) - ONSET, np.asarray(r.v).reshape(-1, 2, STIMULI)


def draw_ending(graded_axes, raster_axes, name, t, graded, times):
    """Receptor potentials of one ending, and its spikes."""
    for k, colour in zip(SHOWN, COLOURS, strict=True):
        course = graded[:, k] - graded[0, k]
        graded_axes.plot(t, course, color=colour, label=f"{INDENTATIONS[k]:g} µm")
    graded_axes.set(xlim=(-20, 340), ylim=(-3, 28), ylabel="receptor potential (mV)")
    graded_axes.set_title(f"{name}: sodium channels blocked")
    labels = [f"{mm:g} µm" for mm in INDENTATIONS[1:]] + [f"{FREQUENCY:g} Hz"]
    raster_axes.axvspan(0, OFFSET - ONSET, color="0.93", lw=0)
    for row, one in enumerate(times[1:]):
        colour = ORANGE if row == len(labels) - 1 else BLUE
        raster_axes.plot(one, np.full(one.shape, row), "|", color=colour, ms=11, mew=1.4)
    raster_axes.set(xlim=(-20, 340), ylim=(-0.6, len(labels) - 0.4))
    raster_axes.set_yticks(range(len(labels)), labels)
    raster_axes.set_title(f"{name}: spikes")


def draw(t, v, graded, times, number, path):
    """The figure: an ending a row; on the right the vibration, and spikes against indentation."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 8.2))
    axes = figure.subplots(2, 3, width_ratios=(1, 1.1, 1))
    for k, name in enumerate(("rapidly adapting", "slowly adapting")):
        draw_ending(*axes[k, :2], name, t, graded[:, k], times[k])
    axes[0, 0].legend(loc="upper right", ncols=2)
    shaken, count = axes[:, 2]
    shaken.plot(t, v[:, 0, -1], color=ORANGE, lw=1.2)
    phase = 2e-3 * np.pi * FREQUENCY * np.clip(t, 0, None)
    shaken.plot(t, -105 + 10 * (1 - np.cos(phase)), color="0.5", lw=1.2)
    shaken.text(98, -118, f"{VIBRATION:g} µm, {FREQUENCY:g} Hz", color="0.4", ha="right")
    shaken.set(xlim=(-5, 100), ylim=(-122, 60), ylabel="membrane potential (mV)")
    shaken.set_title("rapidly adapting: one spike a cycle")
    for k, (colour, name) in enumerate(((SKY, "rapidly"), (BLUE, "slowly"))):
        count.plot(INDENTATIONS, number[k, :-1], "o-", color=colour, label=f"{name} adapting")
    count.set(xlim=(0, 12.5), ylim=(-1, 52), xlabel="indentation that is held (µm)")
    count.set(ylabel="spikes in 0.3 s")
    count.legend(loc="upper left")
    shaken.set_xlabel("time from the onset (ms)")
    for one in axes[1, :2]:
        one.set_xlabel("time from the onset (ms)")
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV, ms)."""
    t, v = simulate(1.0)
    _, graded = simulate(0.0)
    times = nj.features.spikes(v, DT * EVERY).times - ONSET + DT * EVERY
    touched = times < OFFSET - ONSET
    times = np.where(touched, times, np.nan)
    number = touched.sum(axis=-1)
    draw(t, v, graded, times, number, Path(folder) / "figure.png")
    height = (graded - graded[0]).max(axis=0)
    left = (graded - graded[0])[np.searchsorted(t, OFFSET - ONSET - 1.0)]
    phases = (times[0, -1] * 1e-3 * FREQUENCY) % 1.0
    cycles = phases[2:][np.isfinite(phases[2:])]  # after the first two, which are of the onset
    names = ("rapid", "slow")
    return {
        "spikes": {k: number[n].tolist() for n, k in enumerate(names)},
        "first_spike": {k: times[n, :, 0].tolist() for n, k in enumerate(names)},
        "receptor_potential": {k: height[n].tolist() for n, k in enumerate(names)},
        "left_of_it": {k: left[n].tolist() for n, k in enumerate(names)},
        "spread_of_phase": float(cycles.std()),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
