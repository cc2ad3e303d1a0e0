"""Light hyperpolarises a rod, sound depolarises a hair cell: graded potentials of two senses.

A rod after Torre et al. 1990 and Kamiyama et al. 2009, Vision Res 49:970,
doi:10.1016/j.visres.2009.03.003, and a hair cell of the frog's ear after Hudspeth & Lewis 1988,
J Physiol 400:237, doi:10.1113/jphysiol.1988.sp017119. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

PHOTONS = np.array([1.0, 6.25, 32.0, 62.5, 312.5, 6250.0])  # in a flash of 20 ms
MOVED = np.array([-0.5, 0.0, 0.05, 0.1, 0.3, 1.0])  # um, of the hair bundle
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"


def flashes():
    """A rod under flashes: time (ms), potential (mV) and current of the outer segment (pA)."""
    dt = 0.1
    light = nj.steps(PHOTONS / 0.02, start=100.0, stop=120.0, duration=1600.0, dt=dt)
    rig = nj.electrode.stimulus(nj.current_clamp(np.zeros(len(light))), light=light)
    r = nj.simulate(nj.cells.rod(), rig, dt, record=("v", "cgmp"), every=10)
    cgmp = 1e3 * np.asarray(r.data["cgmp"], np.float64)  # uM
    return np.asarray(r.t), np.asarray(r.v, np.float64), 5040 * cgmp**3 / (cgmp**3 + 1e3)


def displacements():
    """A hair cell whose bundle is moved: time (ms), potential (mV), transduction current (pA)."""
    dt, cell = 0.02, nj.cells.hair_cell()
    moved = nj.steps(MOVED, start=10.0, stop=70.0, duration=110.0, dt=dt)
    rig = nj.electrode.stimulus(nj.current_clamp(np.zeros(len(moved))), displacement=moved)
    r = nj.simulate(cell, rig, dt, record=("v", "met.i"), every=5)
    pA = np.asarray(r.data["met.i"], np.float64) * float(cell.area) * 1e6
    return np.asarray(r.t), np.asarray(r.v, np.float64), pA


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers."""
    t, v, dark = flashes()
    t_hair, v_hair, met = displacements()
    lit = v[0] - v.min(axis=0)
    peak = v_hair[: np.searchsorted(t_hair, 30.0)].max(axis=0) - v_hair[0]

    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    rod, hair, graded = figure.subplots(1, 3)
    for k, photons in enumerate(PHOTONS):
        shade = 0.25 + 0.75 * k / len(PHOTONS)
        rod.plot(t, v[:, k], color=ORANGE, alpha=shade, label=f"{photons:g}")
    rod.axvspan(100, 120, color="0.93", lw=0)
    rod.set(xlabel="time (ms)", ylabel="membrane potential (mV)", title="A rod sees flashes")
    rod.legend(title="photons", ncols=2)
    for k, x in enumerate(MOVED):
        shade = 0.25 + 0.75 * k / len(MOVED)
        hair.plot(t_hair, v_hair[:, k], color=BLUE, alpha=shade, label=f"{x:g}")
    hair.axvspan(10, 70, color="0.93", lw=0)
    hair.set(
        xlabel="time (ms)",
        ylabel="membrane potential (mV)",
        title="A hair cell hears",
        ylim=(-58, -37),
    )
    hair.legend(title="moved by (µm)", ncols=3)
    graded.semilogx(PHOTONS, lit, "o-", color=ORANGE, ms=4, label="rod, photons")
    graded.semilogx(100 * MOVED[2:], peak[2:], "o-", color=BLUE, ms=4, label="hair cell, 10 nm")
    graded.set(xlabel="photons, or 10 nm of movement", ylabel="potential moves by (mV)")
    graded.set_title("Graded, and it saturates")
    graded.legend()
    figure.savefig(Path(folder) / "figure.png")
    photons = [float(p) for p in PHOTONS]
    return {
        "rod_at_rest": float(v[0, 0]),
        "hyperpolarised_by": dict(zip(photons, lit.tolist(), strict=True)),
        "time_of_lowest": dict(zip(photons, (t[v.argmin(axis=0)] - 100).tolist(), strict=True)),
        "of_one_photon_pA": float((dark[0, 0] - dark[:, 0]).max()),
        "left_of_dark_current": float(dark[:, 2].min() / dark[0, 2]),
        "hair_cell_at_rest": float(v_hair[0, 1]),
        "depolarised_by": dict(zip(MOVED.tolist(), peak.tolist(), strict=True)),
        "other_way": float(v_hair[: np.searchsorted(t_hair, 40.0), 0].min() - v_hair[0, 0]),
        "adapted": float((v_hair[np.searchsorted(t_hair, 65.0), 3] - v_hair[0, 3]) / peak[3]),
        "largest_current_pA": float(-met.min()),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
