"""The same synapse at many places of a dendrite: what the soma gets of it, how much and when.

After Rall 1967, J Neurophysiol 30:1138, doi:10.1152/jn.1967.30.5.1138. Run it to draw figure.png
beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

COMPARTMENTS, LENGTH = 31, 600.0  # of the dendrite, um
PLACES = np.arange(1, COMPARTMENTS + 1)  # 0 is the soma
CONDUCTANCE, ONSET = 0.5, 5.0  # nS, ms
DT, DURATION = 0.025, 60.0  # ms
SHOWN = (0, 10, 20, 30)  # of the places
COLOURS = ("#1b3a6b", "#2f7fb8", "#7fa6cf", "#e07b39")
BLUE, ORANGE = COLOURS[0], COLOURS[-1]


def neurons():
    """A passive soma and dendrite, with a synapse that can be anywhere."""
    channels = {
        "leak": nj.channels.CortexLeak(g_bar=0.05, E_rev=-70.0),
        "exc": nj.channels.SynapseExp2(g_max=CONDUCTANCE, tau_rise=0.5, tau_decay=3.0),
    }
    return nj.ball_and_stick(
        channels, soma=20.0, length=LENGTH, diameter=1.5, compartments=COMPARTMENTS, R_i=150.0
    )


def simulate(cell):
    """Time (ms), and depolarisations `[record, place]` of the soma and where the synapse is."""
    events = nj.Events(times=[ONSET], at=PLACES[None])
    drive = nj.electrode.stimulus(nj.current_clamp(np.zeros(round(DURATION / DT))), exc=events)
    run = nj.simulate(cell, drive, DT, initial=-70.0)
    v = np.asarray(run.v) + 70
    return np.asarray(run.t), v[:, 0], v[:, PLACES, PLACES - 1]


def draw(x, t, soma, here, path):
    """The figure: potentials at soma and synapse, peaks and their times against the distance."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 8.2))
    (at_synapse, peaks), (at_soma, times) = figure.subplots(2, 2, width_ratios=(1.3, 1))
    for k, colour in zip(SHOWN, COLOURS, strict=True):
        at_synapse.plot(t, here[:, k], color=colour, lw=2, label=f"{x[k]:.0f} µm")
        at_soma.plot(t, soma[:, k], color=colour, lw=2)
    at_synapse.set(ylim=(0, 6.4), ylabel="at the synapse (mV)")
    at_synapse.legend(title="synapse at")
    at_soma.set(ylim=(0, 6.4), ylabel="in the soma (mV)", xlabel="time (ms)")
    for axes in (at_synapse, at_soma):
        axes.set_xlim(0, 50)
    peaks.plot(x, here.max(0), color=ORANGE, lw=2, label="at the synapse")
    peaks.plot(x, soma.max(0), color=BLUE, lw=2, label="in the soma")
    peaks.set(ylim=(0, 6.4), ylabel="peak (mV)")
    peaks.legend(loc="upper left")
    times.plot(x, t[here.argmax(0)] - ONSET, color=ORANGE, lw=2)
    times.plot(x, t[soma.argmax(0)] - ONSET, color=BLUE, lw=2)
    times.set(ylim=(0, 13), ylabel="time to the peak (ms)", xlabel="synapse's distance (µm)")
    for axes in (peaks, times):
        axes.set_xlim(0, 600)
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV, ms)."""
    cell = neurons()
    x = cell.paths()[PLACES] - 10  # from the soma's end
    t, soma, here = simulate(cell)
    draw(x, t, soma, here, Path(folder) / "figure.png")
    shown = list(SHOWN)
    wide = (soma >= 0.5 * soma.max(0)).sum(0) * DT
    r = np.asarray(nj.electrotonus.input_resistance(cell, PLACES[[0, -1]]))
    charge = soma.sum(0) / soma.sum(0)[0]
    return {
        "soma_peak": soma.max(0)[shown].tolist(),
        "local_peak": here.max(0)[shown].tolist(),
        "soma_time": t[soma.argmax(0)][shown].tolist(),
        "local_time": t[here.argmax(0)][shown].tolist(),
        "half_width": wide[shown].tolist(),
        "steady_attenuation": float(nj.electrotonus.attenuation(cell, int(PLACES[-1]), 0)),
        "peak_attenuation": float(here.max(0)[-1] / soma.max(0)[-1]),
        "input_resistance": r.tolist(),
        "area_far_of_near": float(charge[-1]),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
