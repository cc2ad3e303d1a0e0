"""Saltatory conduction: from node to node, slower where myelin is thin, and not at all without.

After Huxley & Stampfli 1949, J Physiol 108:315, doi:10.1113/jphysiol.1949.sp004335, and Koles &
Rasminsky 1972, J Physiol 227:351, doi:10.1113/jphysiol.1972.sp010036. Run it to draw figure.png
beside it.
"""

import dataclasses
from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

FIBRE = 8.0  # um, with myelin
NODES, PIECES, LAMELLAE = 25, 5, 96  # pieces of an internode
BEFORE = 12  # the node after which internodes have thin myelin, in some cells
LEFT = np.array([LAMELLAE, 48, 24, 12, 8, 6, 5, 4, 3, 2, 1, 0])  # lamellae there
SHOWN = (0, 5, 11)  # of LEFT
DT, DURATION = 0.005, 3.0  # ms
BLUE, ORANGE, SKY = "#1b3a6b", "#e07b39", "#2f7fb8"


def channels():
    """The squid's, eight times as dense: those of the nodes."""
    c = nj.channels
    return {
        "na": c.SquidNa(g_bar=960.0),
        "k": c.SquidK(g_bar=288.0),
        "leak": c.SquidLeak(g_bar=2.4),
    }


def fibre(lamellae):
    return nj.myelinated_axon(
        channels(), nodes=NODES, internode=100 * FIBRE, diameter=0.7 * FIBRE,
        node_diameter=0.35 * FIBRE, lamellae=lamellae, compartments=PIECES, R_i=70.0, celsius=18.5,
    )  # fmt: skip


def node(k):
    """The compartment of a node."""
    return k * (PIECES + 1)


def fibres(lost):
    """Cells in which so many internodes have LEFT of their lamellae."""
    whole = fibre(LAMELLAE)
    thin = [fibre(int(lamellae)) for lamellae in LEFT]
    there = np.zeros(len(whole.parents), bool)
    there[node(BEFORE) : node(BEFORE + lost)] = True
    there &= np.asarray(whole.regions) == "internode"

    def mixed(of):
        rows = [np.where(there, of(one), of(whole)) for one in thin]
        return np.stack(rows, axis=-1)

    density = whole.density | {"leak": mixed(lambda cell: cell.density["leak"])}
    return dataclasses.replace(whole, C_m=mixed(lambda cell: cell.C_m), density=density)


def simulate(cell):
    """Time (ms), and potentials `[record, comp, cell]` after a pulse into the first node."""
    pulse = nj.current_clamp(nj.steps(2e-3, start=0.0, stop=0.1, duration=DURATION, dt=DT))
    run = nj.simulate(cell, pulse, DT)
    return np.asarray(run.t), np.asarray(run.v)


def draw(cell, arrived, currents, delays, path):
    """The figure: arrival along the fibre, inward current, delay against the myelin left."""
    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    along, inward, delay = figure.subplots(1, 3)
    x = 1e-3 * cell.places()[:, 1, 0]
    for k, colour in zip(SHOWN, (BLUE, SKY, ORANGE), strict=True):
        along.plot(x, arrived[:, k], color=colour, label=f"{LEFT[k]} lamellae left")
    along.plot(x[:: PIECES + 1], arrived[:: PIECES + 1, 0], "o", color=BLUE, ms=4)
    along.axvspan(x[node(BEFORE)], x[node(BEFORE + 2)], color="0.92", lw=0)
    along.set(xlabel="distance (mm)", ylabel="arrival (ms)", xlim=(0, x[-1]), ylim=(0, None))
    along.set_title("two internodes lose myelin")
    along.legend()
    here = slice(node(8), node(13) + 1)
    colours = [ORANGE if r == "node" else "0.7" for r in np.asarray(cell.regions)[here]]
    inward.bar(x[here], currents[here], width=0.07, color=colours)
    inward.set(xlabel="distance (mm)", ylabel="largest inward current (nA)")
    inward.set_title("current enters at the nodes")
    for number, colour in ((1, SKY), (2, BLUE)):
        known = np.isfinite(delays[number])
        name = f"{number} internode" + "s" * (number > 1)
        delay.loglog(LEFT[known], delays[number][known], "o-", color=colour, label=name)
        delay.axvspan(0.5, LEFT[~known].max() + 0.4, color=colour, alpha=0.15, lw=0)
    delay.set(xlabel="lamellae left", ylabel="delay across (ms)", xlim=(0.5, 110))
    delay.set_xticks([1, 3, 10, 30, 96], ["1", "3", "10", "30", "96"])
    delay.set_title("slower, then blocked (shaded)")
    delay.set_yticks([0.1, 0.2, 0.4], ["0.1", "0.2", "0.4"], minor=False)
    delay.tick_params(axis="y", which="minor", labelleft=False)
    delay.legend()
    figure.savefig(path)


@plot.lecture
def main(folder=Path(__file__).parent):
    """Simulate, draw `figure.png` in `folder`, and return the key numbers (m/s, ms)."""
    delays, blocked = {}, {}
    for lost in (1, 2):
        cell = fibres(lost)
        _, v = simulate(cell)
        arrived = nj.features.arrival(v, DT)
        first, last = node(BEFORE - 1), node(BEFORE + lost + 1)
        through = np.isfinite(arrived[node(NODES - 3)])
        delays[lost] = np.where(through, arrived[last] - arrived[first], np.nan)
        blocked[lost] = LEFT[~through].tolist()
    whole = fibre(LAMELLAE)
    healthy = v[..., 0]
    at = np.array([nj.extracellular.membrane_currents(whole, one) for one in healthy[40:240:2]])
    inward = -1e3 * at.min(axis=0)
    draw(whole, arrived, inward, delays, Path(folder) / "figure.png")
    two = healthy[:, [node(5), node(20)]]
    far = 15 * (100 * FIBRE + 1.0)
    nodes = np.asarray(whole.regions) == "node"
    between = arrived[node(5) : node(20) + 1, 0][:: PIECES + 1]
    return {
        "velocity": float(nj.features.conduction_velocity(two, DT, far)),
        "from_node_to_node": float(np.diff(between).mean()),
        "inward_at_nodes": float(inward[nodes][8:13].mean() / inward[~nodes][40:65].mean()),
        "delays": {k: x.tolist() for k, x in delays.items()},
        "blocked": blocked,
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
