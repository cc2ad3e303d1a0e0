"""Pages with the equations of Nernst and of Goldman, Hodgkin and Katz."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax

from neurojax.explore.javascript import written
from neurojax.explore.paper import filled
from neurojax.fit.precision import computing
from neurojax.plot.look import CYCLE, INK
from neurojax.theory.equilibrium import VALENCE, ghk, nernst

MAMMAL = {"k": (140.0, 3.5), "na": (12.0, 145.0), "cl": (5.0, 110.0), "ca": (1e-4, 1.5)}
"""Concentrations inside and outside of a mammalian neuron, mM, rounded as textbooks have them."""

PERMEABLE = {"k": 1.0, "na": 0.05, "cl": 0.1}
"""Relative permeabilities at rest, as textbooks have them."""

_SPOKEN = {"k": "potassium", "na": "sodium", "cl": "chloride", "ca": "calcium"}
_NAMES = {"k": "K", "na": "Na", "cl": "Cl", "ca": "Ca"}


def nernst_page() -> str:
    """The equilibrium potential of four ions: sliders of concentrations and temperature."""
    told = "At which potential does an ion rest? There its pull inwards and outwards are equal: "
    told += "E = (RT/zF) ln(outside / inside), after Nernst 1888."
    return _page("The Nernst potential", told, MAMMAL, {})


def goldman_page() -> str:
    """The potential of a membrane through which several ions pass: permeabilities, too."""
    told = "Where does a membrane rest through which several ions pass? Where their currents "
    told += "cancel: between their own potentials, nearest to that of the most permeable; after "
    told += "Goldman 1943 and Hodgkin & Katz 1949."
    ions = {name: MAMMAL[name] for name in PERMEABLE}
    return _page("The Goldman-Hodgkin-Katz potential", told, ions, PERMEABLE)


def _page(
    title: str,
    told: str,
    ions: Mapping[str, tuple[float, float]],
    permeable: Mapping[str, float],
) -> str:
    controls = [_control("temperature", "temperature", "degC", 37.0, (0.0, 45.0), INK)]
    marks = []
    colours = dict(zip(ions, CYCLE, strict=False))
    for name, (inside, outside) in ions.items():
        sides = (f"{_NAMES[name]} inside", inside), (f"{_NAMES[name]} outside", outside)
        marks.append({"name": f"E_{_NAMES[name]}", "colour": colours[name]})
        for label, value in sides:
            span = (value / 30, value * 30)
            controls.append(_control(label, _SPOKEN[name], "mM", value, span, colours[name]))
        if name in permeable:
            label = f"permeability to {_NAMES[name]}"
            span = (1e-3, 30.0)
            controls.append(
                _control(label, _SPOKEN[name], "1", permeable[name], span, colours[name])
            )
    if permeable:
        marks.append({"name": "V_m", "colour": CYCLE[4]})
    values = {one["name"]: one["value"] for one in controls}

    def potentials(at: Mapping[str, Any]) -> list[jax.Array]:
        inside = {k: at[f"{_NAMES[k]} inside"] for k in ions}
        outside = {k: at[f"{_NAMES[k]} outside"] for k in ions}
        celsius = at["temperature"]
        found = [nernst(outside[k], inside[k], VALENCE[k], celsius) for k in ions]
        if permeable:
            P = {k: at[f"permeability to {_NAMES[k]}"] for k in permeable}
            found.append(ghk(P, outside, inside, celsius))
        return found

    with computing("exact"):
        source = written("potentials", potentials, values)
    data = {"controls": controls, "order": sorted(values), "marks": marks, "against": "K outside"}
    return filled(title, told, "potentials", source, data)


def _control(
    name: str, group: str, unit: str, value: float, span: tuple[float, float], colour: str
) -> dict[str, Any]:
    low, high = span
    told = {"name": name, "unit": unit, "value": value, "low": low, "high": high}
    return told | {"log": low > 0, "group": group, "colour": "" if colour == INK else colour}
