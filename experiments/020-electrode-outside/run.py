"""An axon excited from outside: why the cathode does it, and where the anode does.

After Rattay 1986, IEEE Trans Biomed Eng 33:974, doi:10.1109/TBME.1986.325670. Run it to draw
figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

LENGTH, DIAMETER, COMPARTMENTS = 5000.0, 5.0, 101  # um
MIDDLE, LOOKED_AT = COMPARTMENTS // 2, 10
AWAY = 200.0  # um, of the electrode from the axon
DT, PULSE, DURATION = 0.01, 0.2, 6.0  # ms
LOW, HIGH, TRIED = 20.0, 2000.0, 20  # uA, and how many currents are tried at a time
DISTANCES = np.array([100.0, 200.0, 400.0])  # um
BLUE, ORANGE = "#1b3a6b", "#e07b39"
NAMES = {-1: "cathode", 1: "anode"}


def axon():
    c = nj.channels
    squid = {"na": c.SquidNa(), "k": c.SquidK(), "leak": c.SquidLeak()}
    return nj.cylinder(LENGTH, DIAMETER, COMPARTMENTS, squid, R_i=100.0, celsius=6.3)


def under(cell, current, away, at=None):
    """Time, and potentials under pulses `[cell]` (uA) of electrodes so far away `[cell]` (um)."""
    i = nj.steps(current, start=0.0, stop=PULSE, duration=DURATION, dt=DT)
    places = np.stack([np.full_like(away, LENGTH / 2), away, np.zeros_like(away)])
    drive = nj.electrode.in_field(None, nj.extracellular.point_source(cell, i, places))
    run = nj.simulate(cell, drive, DT, at=at)
    return np.asarray(run.t), np.asarray(run.v)


def thresholds(cell):
    """The least currents, uA, that excite: `[sign, distance]`, to 1.3 %."""
    low, high = np.full((2, len(DISTANCES)), LOW), np.full((2, len(DISTANCES)), HIGH)
    for _ in range(2):
        tried = np.geomspace(low, high, TRIED, axis=-1)
        current = tried * np.array([-1.0, 1.0])[:, None, None]
        away = np.broadcast_to(DISTANCES[:, None], tried.shape)
        _, v = under(cell, current.ravel(), away.ravel(), at=[LOOKED_AT])
        fires = v[:, 0].max(axis=0).reshape(tried.shape) > 0
        first = fires.argmax(axis=-1)[..., None]
        low, high = (np.take_along_axis(tried, k, -1)[..., 0] for k in (first - 1, first))
    return high


def draw(x, t, moved, v, least, path):
    """The figure: what the pulse does at once, and the potential along the axon in time."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    first, *images, last = figure.subplots(1, 4, width_ratios=(1.2, 1, 1, 0.9))
    for k, (sign, colour) in enumerate(((-1, BLUE), (1, ORANGE))):
        first.plot(x, moved[:, k], color=colour, lw=2, label=NAMES[sign])
        frame = (x[0], x[-1], t[-1], 0)
        shown = images[k].imshow(v[..., k], extent=frame, aspect="auto", vmin=-90, vmax=45)
        images[k].set_title(f"{NAMES[sign]}, {1.1 * least[k, 1]:.0f} µA")
        images[k].set(xlabel="distance (mm)", ylabel="time (ms)", ylim=(3.0, 0.0))
        last.loglog(DISTANCES, least[k], "o-", color=colour, lw=2)
    figure.colorbar(shown, ax=images, label="mV", shrink=0.8)
    first.axhline(0, color="0.7", lw=1)
    first.set(xlabel="distance (mm)", ylabel="membrane potential moves by (mV)", xlim=(-1.5, 1.5))
    first.set_title("after 0.05 ms of 50 µA")
    first.legend()
    last.set(xlabel="electrode's distance (µm)", ylabel="threshold (µA)")
    last.set_xticks(DISTANCES, [f"{d:g}" for d in DISTANCES])
    last.minorticks_off()
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (uA, mV, mm)."""
    cell = axon()
    x = 1e-3 * (cell.places()[:, 1, 0] - LENGTH / 2)
    least = thresholds(cell)
    both = np.array([AWAY, AWAY])
    t, weak = under(cell, np.array([-50.0, 50.0]), both)
    moved = weak[round(0.05 / DT) - 1] - np.asarray(nj.at_rest(cell).v)[:, None]
    t, v = under(cell, 1.1 * least[:, 1] * [-1, 1], both)
    draw(x, t, moved, v, least, Path(folder) / "figure.png")
    begins = [np.nanargmin(nj.features.arrival(v[..., k], DT)) for k in (0, 1)]
    return {
        "threshold": {NAMES[s]: least[k].tolist() for k, s in enumerate((-1, 1))},
        "ratio": float(least[1, 1] / least[0, 1]),
        "begins_at": [abs(float(x[k])) for k in begins],
        "moved": [float(moved[MIDDLE, k]) for k in (0, 1)],
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
