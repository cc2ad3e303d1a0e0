"""Channels that a chemical opens: dose and response, with and without desensitisation.

The endplate's receptor after Colquhoun & Sakmann 1985, J Physiol 369:501,
doi:10.1113/jphysiol.1985.sp015912, and a glutamate receptor that desensitises, after Destexhe,
Mainen & Sejnowski 1998. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.01  # ms
DOSES = np.geomspace(1e-3, 10.0, 33)  # mM
POTENTIALS = (-120.0, -60.0, 40.0)  # mV
PULSES = np.array([0.03, 0.1, 0.3, 1.0])  # mM, for 1 ms
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"


def opened(channel, name, ligand, v, state):
    """Which part of the channels is open, [step, cell], while the ligand [step, cell] is there."""
    cell = nj.Cell(channels={"r": channel}, inputs={name: 0.0})
    clamp = nj.voltage_clamp(np.broadcast_to(np.asarray(v, float), ligand.shape))
    r = nj.simulate(cell, nj.electrode.stimulus(clamp, **{name: ligand}), DT, record=(state,))
    return np.asarray(r.data[state], np.float64)


def held(doses, duration):
    """Doses that come at once and stay: [step, cell]."""
    return np.broadcast_to(doses, (round(duration / DT), len(doses)))


def half_and_slope(doses, response):
    """The dose of half of the largest response, and Hill's slope there."""
    part = response / response.max()
    logit = np.log(part[:-1] / (1 - part[:-1]))  # against the logarithm of the dose
    half = np.exp(np.interp(0.0, logit, np.log(doses[:-1])))
    slope = np.gradient(logit, np.log(doses[:-1]))
    return float(half), float(np.interp(np.log(half), np.log(doses[:-1]), slope))


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers."""
    endplate, ampa = nj.channels.EndplateAch(), nj.channels.HippocampusAmpa()
    t = DT * np.arange(1, round(12 / DT) + 1)
    pulses = np.where((t[:, None] > 1) & (t[:, None] <= 2), PULSES, 0.0)
    brief = opened(endplate, "ach", pulses, -80.0, "r.A2O")

    doses, v = np.tile(DOSES, len(POTENTIALS)), np.repeat(POTENTIALS, len(DOSES))
    steady = opened(endplate, "ach", held(doses, 40.0), v, "r.A2O")[-1].reshape(-1, len(DOSES))

    glutamate = opened(ampa, "glu", held(DOSES, 100.0), -70.0, "r.O")
    peak, left = glutamate.max(axis=0), glutamate[-1]

    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    time, curve, desensitised = figure.subplots(1, 3)
    for k, (dose, colour) in enumerate(zip(PULSES, (GREY, SKY, BLUE, ORANGE), strict=True)):
        time.plot(t, brief[:, k], color=colour, label=f"{dose:g} mM")
    time.axvspan(1, 2, color="0.93", lw=0)
    time.set(xlabel="time (ms)", ylabel="part of channels open", title="1 ms of acetylcholine")
    time.legend()
    for row, at, colour in zip(steady, POTENTIALS, (BLUE, SKY, ORANGE), strict=True):
        curve.semilogx(DOSES, row, "o-", ms=3, color=colour, label=f"{at:g} mV")
    curve.set(xlabel="acetylcholine (mM)", ylabel="part open, steady", title="Endplate: two bind")
    curve.legend()
    desensitised.semilogx(DOSES, peak, "o-", ms=3, color=BLUE, label="peak")
    desensitised.semilogx(DOSES, left, "o-", ms=3, color=ORANGE, label="after 100 ms")
    desensitised.set(xlabel="glutamate (mM)", ylabel="part open", title="AMPA: it does not last")
    desensitised.legend()
    for a in (time, curve, desensitised):
        a.set_ylim(bottom=0)
    figure.savefig(Path(folder) / "figure.png")
    half, slope = half_and_slope(DOSES, steady[0])
    return {
        "most_open": dict(zip(POTENTIALS, steady[:, -1].tolist(), strict=True)),
        "half_dose": half,
        "hill_slope": slope,
        "of_a_tenth": float(steady[0, 0] / steady[0, -1]),
        "brief_peaks": dict(zip(PULSES.tolist(), brief.max(axis=0).tolist(), strict=True)),
        "closing_ms": float(-1 / np.polyfit(t[500:900], np.log(brief[500:900, 3]), 1)[0]),
        "ampa_peak": float(np.interp(np.log(1.0), np.log(DOSES), peak)),
        "ampa_left": float(np.interp(np.log(1.0), np.log(DOSES), left)),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
