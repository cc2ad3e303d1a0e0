"""A bag that only potassium can leave: diffusion pushes ions out until the field holds them back.

Nernst 1888, Z phys Chem 2:613. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

DT = 0.05  # ms
CELSIUS = 37.0
INSIDE, OUTSIDE = 140.0, 5.0  # mM of potassium
RADII = np.array([0.05, 0.2, 1.0, 3.0, 10.0, 30.0])  # um
SHOWN = 4  # of the radii
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"


def bag():
    """Spheres of all radii, permeable to potassium only, neutral: the anions are proteins."""
    ions = {
        "k": nj.Ion(inside=INSIDE, outside=OUTSIDE, depth=RADII / 3),  # volume over area
        "na": nj.Ion(inside=10.0, outside=145.0),
        "cl": nj.Ion(valence=-1, inside=10.0, outside=150.0),
    }
    leak = nj.channels.GoldmanLeak(P_bar=1e-6, ratio_na=0.0, ratio_cl=0.0)
    return nj.Cell(channels={"k": leak}, ions=ions, celsius=CELSIUS)


def simulate():
    """Time (ms), and what was recorded, `[step, radius]`: the bag starts uncharged, at 0 mV."""
    still = nj.current_clamp(np.zeros(round(200.0 / DT)))
    r = nj.simulate(bag(), still, DT, record=("v", "E_k", "k_i"), initial=0.0)
    return np.asarray(r.t), {k: np.asarray(x, np.float64) for k, x in r.data.items()}


def crossed(v):
    """Of a bag's potassium the part that left, of each radius: the charge that is now missing."""
    within = INSIDE * 1e-18 * 4 / 3 * np.pi * RADII**3 * 6.02214076e23  # mM um3
    left = -nj.elementary_charges(v, 4 * np.pi * RADII**2)  # C_m is 1 uF/cm2
    return np.asarray(left), np.asarray(left) / within


def draw(t, r, ions, part, path):
    """The figure: the potential's course, the two forces on potassium, how few ions crossed."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    course, forces, few = figure.subplots(1, 3)
    v, E = r["v"][:, SHOWN], r["E_k"][:, SHOWN]
    t, v, E = (np.r_[first, x] for first, x in ((0, t), (0, v), (E[0], E)))
    course.plot(t, v, color=BLUE, lw=2)
    course.axhline(E[-1], color="0.5", lw=1, ls=":")
    label = f"Nernst potential {E[-1]:.0f} mV".replace("-", "\N{MINUS SIGN}")
    course.text(2, E[-1] + 1.5, label, color="0.4")
    course.set(xlim=(0, 60), ylim=(-96, 4), xlabel="time (ms)")
    course.set(
        ylabel="membrane potential (mV)", title="Potassium leaves, the inside turns negative"
    )

    forces.axhline(0, color="0.8", lw=0.8, zorder=0)
    forces.plot(t, -E, color=ORANGE, lw=2)
    forces.plot(t, v, color=SKY, lw=2)
    forces.plot(t, v - E, color=BLUE, lw=2)
    forces.fill_between(t, 0, v - E, color=BLUE, alpha=0.08, lw=0)
    forces.text(58, 81, "chemical: out, $-E_K$", color=ORANGE, ha="right")
    forces.text(58, -80, "electrical: in, $v$", color=SKY, ha="right")
    forces.text(14, 28, "net, $v - E_K$", color=BLUE)
    forces.set(xlim=(0, 60), ylim=(-102, 102), xlabel="time (ms)")
    forces.set(ylabel="force on potassium, outward (mV)", title="Tug of war")

    few.loglog(RADII, part, "o-", color=BLUE)
    few.annotate(
        f"{ions[SHOWN] / 1e6:.1f} million ions,\n1 of {round(1 / part[SHOWN], -3):,.0f}",
        (RADII[SHOWN], part[SHOWN]), xytext=(0.06, 1.3e-5), color=BLUE, va="center",
        arrowprops={"arrowstyle": "-", "color": GREY},
    )  # fmt: skip
    few.text(0.065, part[0], "a small vesicle", color="0.4", va="center")
    few.set(xlim=(0.04, 40), ylim=(4e-6, 1e-2), xlabel="radius of the bag (µm)")
    few.set(ylabel="part of the potassium that left", title="Very few ions cross")
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (mV, ms)."""
    t, r = simulate()
    ions, part = crossed(r["v"][-1])
    draw(t, r, ions, part, Path(folder) / "figure.png")
    v = r["v"][:, SHOWN]
    return {
        "v_end": float(v[-1]),
        "E_k": float(r["E_k"][-1, SHOWN]),
        "half_time": float(t[np.argmax(v < 0.5 * v[-1])]),
        "ions": float(ions[SHOWN]),
        "part": dict(zip(RADII.tolist(), part.tolist(), strict=True)),
        "v_end_of_smallest": float(r["v"][-1, 0]),
        "missing_in_smallest": float(1 - r["k_i"][-1, 0] / INSIDE),
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
