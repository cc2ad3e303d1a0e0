"""Many whispers, one shout: synaptic potentials add up until a spike starts.

The regular-spiking cortical neuron of Pospischil et al. 2008, Biol Cybern 99:427,
doi:10.1007/s00422-008-0263-8, with excitatory synapses of 2 nS and inhibitory ones.
Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.025  # ms
NUMBERS = np.arange(1, 41)  # synapses at once
SPREADS = np.arange(0.0, 31.0, 1.0)  # ms, over which MANY of them are spread evenly
MANY = 25
RATES = np.arange(0.0, 4001.0, 400.0)  # Hz, of all excitatory synapses together
INHIBITION = np.arange(0.0, 30.0, 0.5)  # inhibitory synapses against some excitatory ones
SEEDS = 8
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"


def neuron():
    """The cell with an excitatory and an inhibitory synapse, 2 nS for an event of weight 1."""
    cell = nj.model.load_model("cortex_rs").cell
    synapses = {
        "exc": nj.channels.SynapseExp2(g_max=2.0, E_rev=0.0, tau_rise=0.5, tau_decay=3.0),
        "inh": nj.channels.SynapseExp2(g_max=2.0, E_rev=-75.0, tau_rise=0.5, tau_decay=8.0),
    }
    own = {"area": cell.area, "celsius": cell.celsius, "C_m": cell.C_m}
    return nj.Cell(channels=dict(cell.channels) | synapses, **own)


def run(cell, duration, folds=None, **events):
    """A run in which events arrive: v [step, cell]."""
    drive = nj.electrode.stimulus(nj.current_clamp(np.zeros(round(duration / DT))), **events)
    r = nj.simulate(cell, drive, DT, record=() if folds else ("v",), folds=folds)
    return r.folds if folds else np.asarray(r.v, np.float64)


def rate_of(cell, inhibited):
    """Firing rate (Hz) against the rate of excitation, mean of several trains of 1 s."""
    duration, cells = 1000.0, len(RATES) * SEEDS
    weights = np.ones(1)
    fastest = nj.poisson(RATES[-1], duration, seed=np.arange(SEEDS), weight=weights)
    # Of the fastest train each slower one keeps a part, so that all are one program.
    times = np.tile(np.asarray(fastest.times), (1, len(RATES)))
    part = np.repeat(RATES / RATES[-1], SEEDS)
    kept = np.random.default_rng(1).random(times.shape) < part
    events = {"exc": nj.Events(times=np.sort(np.where(kept, times, np.inf), axis=0))}
    own = nj.poisson(inhibited, duration, seed=100 + np.arange(cells), weight=weights)
    events["inh"] = own
    found = run(cell, duration, {"rate": nj.SpikeRate()}, **events)
    return np.asarray(found["rate"]).reshape(len(RATES), SEEDS).mean(axis=1)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers."""
    cell = neuron()
    rest = float(nj.at_rest(cell).v)
    t = DT * np.arange(1, round(80 / DT) + 1)

    at_once = nj.Events(times=[5.0], weight=NUMBERS[None, :].astype(float))
    v = run(cell, 80.0, exc=at_once)
    height = v.max(axis=0) - rest
    fires = v.max(axis=0) > 0
    needed = int(NUMBERS[fires.argmax()])

    times = 5.0 + np.linspace(0, 1, MANY)[:, None] * SPREADS
    spread = run(cell, 80.0, exc=nj.Events(times=times)).max(axis=0)
    widest = float(SPREADS[spread > 0].max())

    both = {"exc": nj.Events(times=[5.0], weight=needed + 3.0)}
    against = nj.Events(times=[5.0], weight=INHIBITION[None, :])
    blocked = run(cell, 80.0, **both, inh=against).max(axis=0) < 0
    enough = float(INHIBITION[blocked.argmax()])

    free, held = rate_of(cell, 0.0), rate_of(cell, 1000.0)

    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    number, time, firing = figure.subplots(1, 3)
    for n, colour in ((1, GREY), (10, SKY), (needed - 1, BLUE), (needed, ORANGE)):
        label = f"{n} synapse{'s' if n > 1 else ''}"
        number.plot(t, v[:, n - 1], color=colour, label=label)
    number.set(xlabel="time (ms)", ylabel="membrane potential (mV)", title="At once", xlim=(0, 60))
    number.legend()
    time.plot(SPREADS, spread, "o-", color=BLUE, ms=3)
    time.axhline(0, color="0.8", lw=0.8)
    time.set(xlabel=f"{MANY} synapses spread over (ms)", ylabel="peak of the potential (mV)")
    time.set_title("One after the other")
    firing.plot(RATES, free, "o-", color=ORANGE, ms=4, label="excitation alone")
    firing.plot(RATES, held, "o-", color=SKY, ms=4, label="with inhibition, 1000 Hz")
    firing.set(xlabel="excitatory events per second (Hz)", ylabel="spikes per second (Hz)")
    firing.set_title("Thousands of inputs, by chance")
    firing.legend()
    figure.savefig(Path(folder) / "figure.png")
    return {
        "rest": rest,
        "one": float(height[0]),
        "ten": float(height[9]),
        "just_below": float(height[needed - 2]),
        "needed": needed,
        "peak": float(v.max()),
        "widest": widest,
        "inhibition_that_blocks": enough,
        "rate_alone": dict(zip(RATES.tolist(), free.tolist(), strict=True)),
        "rate_inhibited": dict(zip(RATES.tolist(), held.tolist(), strict=True)),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
