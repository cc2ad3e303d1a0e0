"""The electrode in the loop: a fit that ignores series resistance, and one that fits it too.

Run it to draw figure.png beside it.
"""

from dataclasses import replace
from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import channels, plot
from neurojax.membrane import pipette

DT, AREA = 0.02, 2e-6  # ms, cm2: 2 pF
R_S = (0.25, 0.5, 1.0, 2.0, 4.0)  # MOhm
LEVELS = (-40.0, -20.0, 0.0)  # mV
TRUE = {"na.g_bar": 120.0, "k.g_bar": 36.0}  # mS/cm2
BLUE, SKY, ORANGE = "#1b3a6b", "#2f7fb8", "#e07b39"


def axon(**parts):
    """A patch of squid axon, with what else is part of it."""
    own = {"na": channels.SquidNa(), "k": channels.SquidK(), "leak": channels.SquidLeak()}
    return nj.Cell(channels=own | parts, area=AREA)


def recorded(R_s, seed):
    """Sweeps of steps from -80 mV as an amplifier reads them, with noise of 5 pA."""
    cell, rng, sweeps = axon(pipette=nj.Pipette(R_s=R_s)), np.random.default_rng(seed), []
    for k, level in enumerate(LEVELS):
        t = np.arange(500) * DT
        command = np.where((t >= 5.2) & (t < 9.0), level, -80.0)
        trace = nj.Trace("voltage", DT, command, 0 * t, sweep=k, holding=-80.0)
        clamp = pipette.from_trace(trace, DT)
        start = pipette.clamped(pipette.before(cell, clamp), -80.0)
        i = np.asarray(nj.simulate(cell, clamp, DT, record=("i_amp",), initial=start).data["i_amp"])
        sweeps.append(replace(trace, i_pA=np.r_[i[0], i] + rng.normal(0, 5.0, t.size)))
    return sweeps


@plot.lecture
def main(folder=Path(__file__).parent):
    """Record, fit, draw `figure.png` in `folder`, and return fitted over true values."""
    free = {"na.g_bar": (20, 400), "k.g_bar": (5, 150), "na.v_shift": (-30, 30)}
    stages = [nj.fit.Draw(starts=16), nj.fit.Polish(iterations=40)]
    found = {"ignored": [], "fitted": []}
    for k, R_s in enumerate(R_S):
        sweeps = recorded(R_s, k)
        t = sweeps[0].t_ms  # both fits leave out 0.2 ms after a step, the capacitive transient
        keep = [~((t > 5.1) & (t < 5.4) | (t > 8.9))] * len(sweeps)
        found["ignored"].append(nj.fit.fit(axon(), sweeps, free, stages, keep=keep).values)
        prior = {"pipette.R_s": {"low": 0.1, "high": 20.0, "prior": (1.0, 1.0)}}
        cell = axon(pipette=nj.Pipette(R_s=1.0))
        found["fitted"].append(nj.fit.fit(cell, sweeps, free | prior, stages, keep=keep).values)
    draw(found, sweeps, Path(folder) / "figure.png")
    return {
        how: {name: [v[name] for v in values] for name in values[0]}
        for how, values in found.items()
    }


def draw(found, sweeps, path):
    """The figure: the steps, and what is fitted from them with and without the electrode."""
    figure = matplotlib.figure.Figure((13.5, 5.4))
    grid = figure.add_gridspec(2, 3, height_ratios=(1, 3))
    command, data = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    g, shift = (figure.add_subplot(grid[:, k]) for k in (1, 2))
    for sweep, level, colour in zip(sweeps, LEVELS, (SKY, BLUE, ORANGE), strict=True):
        command.plot(sweep.t_ms, sweep.v_mV, color=colour, label=f"{level:g} mV")
        data.plot(sweep.t_ms, sweep.i_pA * 1e-3, color=colour, lw=1.6, label=f"{level:g} mV")
    command.set(xlim=(4.8, 9.4), ylabel="command (mV)", yticks=(-80, *LEVELS))
    command.set_title(f"Steps, through {R_S[-1]:g} MΩ")
    command.tick_params(labelbottom=False)
    data.set(xlim=(4.8, 9.4), xlabel="time (ms)", ylabel="recorded current (nA)")
    data.legend(title="step to", loc="upper left")
    for how, colour in (("ignored", ORANGE), ("fitted", BLUE)):
        values = found[how]
        for name, style in (("na.g_bar", "o-"), ("k.g_bar", "s--")):
            part = [v[name] / TRUE[name] for v in values]
            g.plot(R_S, part, style, color=colour, label=f"{name}, R_s {how}")
        shift.plot(R_S, [v["na.v_shift"] for v in values], "o-", color=colour)
    g.set(xlabel="series resistance (MΩ)", ylabel="fitted over true", ylim=(0, 1.1))
    g.set_title("Conductances found")
    g.legend(loc="lower left")
    shift.set_title("Shift of sodium's gates found")
    shift.set(xlabel="series resistance (MΩ)", ylabel="na.v_shift (mV), true: 0")
    figure.savefig(path)


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
