"""Why a filter that lets potassium through keeps the smaller sodium out: a balance of energies.

After Doyle et al. 1998, Science 280:69, doi:10.1126/science.280.5360.69, and Eisenman 1962,
Biophys J 2:259. Run it to draw figure.png beside it.
"""

from pathlib import Path

import matplotlib.figure
import numpy as np

import neurojax as nj
from neurojax import plot

GIVE = 0.25  # Angstrom by which the filter's oxygens follow an ion that is too small
GIVES = np.linspace(0.0, 0.4, 161)
RADII = np.linspace(2.0, 1.2, 321)  # Angstrom, of an anionic site
BLUE, SKY, ORANGE, GREY = "#1b3a6b", "#2f7fb8", "#e07b39", "#9a9a9a"
COLOURS = {"li": "#7a5195", "na": ORANGE, "k": SKY, "rb": BLUE, "cs": GREY}
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI")

selectivity = nj.selectivity


def filter_for_potassium():
    """Eight carbonyl oxygens at potassium's distance, as strong as makes its passage flat."""
    charges = np.linspace(0.2, 0.4, 2001)
    gained = np.asarray(selectivity.Cage(charge=charges).binding()["k"])
    charge = np.interp(-selectivity.HYDRATION["k"], -gained, charges)
    return selectivity.Cage(charge=charge, give=GIVE)


def orders():
    """Eisenman's sequences as the field grows, and the radius (Angstrom) at which each begins."""
    binding = selectivity.anionic_site(RADII)
    energies = {ion: np.asarray(gained, np.float64) for ion, gained in binding.items()}
    found = {}
    for k, radius in enumerate(RADII):
        found.setdefault(selectivity.sequence({i: e[k] for i, e in energies.items()}), radius)
    return found


def draw_budget(axes, dehydration, bound):
    """What each ion pays to leave its water, what the filter gives back, and the sum."""
    x = np.arange(3)
    for shift, ion, name in ((-0.2, "k", "potassium"), (0.2, "na", "sodium")):
        values = np.array([dehydration[ion], bound[ion], dehydration[ion] + bound[ion]])
        axes.bar(x + shift, values, 0.38, color=COLOURS[ion], label=name)
        for at, value in zip(x + shift, values, strict=True):
            text = f"{round(value):+d}".replace("-", "\N{MINUS SIGN}") if abs(value) > 0.5 else "0"
            below = value < -0.5
            axes.text(
                at, value + (-8 if below else 8), text, ha="center", va="top" if below else "bottom"
            )
    axes.axhline(0, color="0.4", lw=0.8)
    axes.set_xticks(x, ["loses\nits water", "gains\nthe filter", "sum"])
    axes.set(ylim=(-430, 480), ylabel="free energy (kJ/mol)", title="The price of the passage")
    axes.legend(loc="upper right")


def draw_ratio(axes, ratios, chosen):
    """The ratio of permeabilities against how far the oxygens of the filter give way."""
    axes.semilogy(GIVES, ratios, color=BLUE)
    axes.axhline(1e-3, color="0.6", lw=1, ls=":")
    axes.text(0.005, 1.6e-3, "measured: less than 1 : 1000", color="0.4")
    axes.axhline(1, color="0.8", lw=0.8, zorder=0)
    axes.text(0.005, 1.6, "no preference", color="0.4")
    axes.plot([GIVE], [chosen], "o", color=ORANGE, ms=8)
    label = f"the filter at left,\n1 : {round(1 / chosen, -3):,.0f}"
    axes.text(GIVE + 0.02, chosen / 4, label, color=ORANGE, va="top")
    axes.text(0.02, 1e-12, "rigid: the whole price\nof dehydration", color=BLUE, va="top")
    axes.set(xlim=(0, 0.4), ylim=(1e-14, 1e4), xlabel="oxygens give way by (Å)")
    axes.set(ylabel="P$_{Na}$ / P$_K$", title="How snug it must be")


def draw_orders(axes, found):
    """The place of every ion in each of the orders: neighbours change places one pair at a time."""
    x = np.arange(len(found))
    for ion, colour in COLOURS.items():
        places = [order.split(">").index(ion) + 1 for order in found]
        axes.plot(x, places, "o-", color=colour, lw=2.5, ms=7)
        for at, place, side in ((-0.35, places[0], "right"), (x[-1] + 0.35, places[-1], "left")):
            name = f"{ion.capitalize()}$^+$"
            axes.text(at, place, name, color=colour, ha=side, va="center")
    axes.set_xticks(x, ROMAN[: len(found)])
    axes.set(xlim=(-1.8, x[-1] + 1.4), ylim=(5.5, 0.5), yticks=range(1, 6))
    axes.set(xlabel="weak field: water decides        strong field: the site decides")
    axes.set(ylabel="place (1: binds best)", title="Eisenman's eleven orders")


@plot.lecture
def main(folder=Path(__file__).parent):
    """Compute, draw `figure.png` in `folder`, and return the key numbers (kJ/mol)."""
    cage = filter_for_potassium()
    bound = {ion: float(gained) for ion, gained in cage.binding().items()}
    dehydration = {ion: -energy for ion, energy in selectivity.HYDRATION.items()}
    followed = selectivity.Cage(charge=cage.charge, give=GIVES).binding()
    ratios = np.asarray(selectivity.permeability_ratio(selectivity.preference(followed)["na"]))
    chosen = float(selectivity.permeability_ratio(dehydration["na"] + bound["na"]))
    found = orders()

    figure = matplotlib.figure.Figure(figsize=(13.5, 5))
    budget, ratio, order = figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    draw_budget(budget, dehydration, bound)
    draw_ratio(ratio, ratios, chosen)
    draw_orders(order, found)
    figure.savefig(Path(folder) / "figure.png")
    return {
        "charge": float(cage.charge),
        "bound": {ion: bound[ion] for ion in ("k", "na")},
        "sum": {ion: dehydration[ion] + bound[ion] for ion in ("k", "na")},
        "one_to": 1 / chosen,
        "rigid": float(ratios[0]),
        "gives_1000": float(GIVES[np.argmax(ratios > 1e-3)]),
        "gives_1": float(GIVES[np.argmax(ratios > 1)]),
        "sequences": tuple(found),
        "radii": [float(r) for r in found.values()],
    }


if __name__ == "__main__":
    nj.configure()
    for name, value in main().items():
        print(f"{name}: {value}")
