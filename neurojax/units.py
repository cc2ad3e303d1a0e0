"""The unit table, physical constants and Nernst: the only place that knows a conversion factor.

Inside, everything is in one coherent set: mV, ms, uA, mS, uF, cm2 (and uA/cm2, mS/cm2, uF/cm2),
kOhm, mM, degC, and um for the depth of a pool. Then mS * mV = uA = uF * mV / ms, and no formula
of a membrane needs a factor.
"""

from __future__ import annotations

import difflib
import math
import numbers
import re
from collections.abc import Iterable
from typing import Any

GAS_CONSTANT = 8.314462618  # J/mol/K
FARADAY = 96485.33212  # C/mol
AVOGADRO = 6.02214076e23  # 1/mol
ZERO_CELSIUS = 273.15  # K

# unit -> (quantity, value of one such unit in the coherent set)
UNITS: dict[str, tuple[str, float]] = {
    "1": ("number", 1.0),
    "mV": ("voltage", 1.0),
    "V": ("voltage", 1e3),
    "uV": ("voltage", 1e-3),
    "1/mV": ("inverse voltage", 1.0),
    "1/V": ("inverse voltage", 1e-3),
    "ms": ("time", 1.0),
    "s": ("time", 1e3),
    "us": ("time", 1e-3),
    "1/ms": ("rate", 1.0),
    "1/s": ("rate", 1e-3),
    "Hz": ("rate", 1e-3),
    "kHz": ("rate", 1.0),
    "1/mM/ms": ("binding rate", 1.0),
    "1/uM/s": ("binding rate", 1.0),
    "1/M/s": ("binding rate", 1e-6),
    "uA": ("current", 1.0),
    "A": ("current", 1e6),
    "mA": ("current", 1e3),
    "nA": ("current", 1e-3),
    "pA": ("current", 1e-6),
    "uA/cm2": ("current density", 1.0),
    "mA/cm2": ("current density", 1e3),
    "A/m2": ("current density", 100.0),
    "mS": ("conductance", 1.0),
    "S": ("conductance", 1e3),
    "uS": ("conductance", 1e-3),
    "nS": ("conductance", 1e-6),
    "pS": ("conductance", 1e-9),
    "mS/cm2": ("conductance density", 1.0),
    "S/cm2": ("conductance density", 1e3),
    "uS/cm2": ("conductance density", 1e-3),
    "S/m2": ("conductance density", 0.1),
    "pS/um2": ("conductance density", 0.1),
    "uF": ("capacitance", 1.0),
    "nF": ("capacitance", 1e-3),
    "pF": ("capacitance", 1e-6),
    "uF/cm2": ("specific capacitance", 1.0),
    "F/m2": ("specific capacitance", 100.0),
    "cm2": ("area", 1.0),
    "mm2": ("area", 1e-2),
    "um2": ("area", 1e-8),
    "um": ("length", 1.0),
    "nm": ("length", 1e-3),
    "Angstrom": ("length", 1e-4),
    "mm": ("length", 1e3),
    "pN": ("force", 1.0),
    "fN": ("force", 1e-3),
    "kOhm": ("resistance", 1.0),
    "Ohm": ("resistance", 1e-3),
    "MOhm": ("resistance", 1e3),
    "GOhm": ("resistance", 1e6),
    "Ohm cm": ("resistivity", 1e-3),
    "kOhm cm": ("resistivity", 1.0),
    "Ohm m": ("resistivity", 0.1),
    "MOhm/min": ("drift of resistance", 1.0),
    "mM": ("concentration", 1.0),
    "M": ("concentration", 1e3),
    "uM": ("concentration", 1e-3),
    "nM": ("concentration", 1e-6),
    "mM/ms": ("concentration rate", 1.0),
    "uM/ms": ("concentration rate", 1e-3),
    "mM/s": ("concentration rate", 1e-3),
    "cm/s": ("permeability", 1.0),
    "um/s": ("permeability", 1e-4),
    "degC": ("temperature", 1.0),
}

_ALIASES = {"µ": "u", "μ": "u", "Ω": "Ohm", "²": "2", "^": "", "°C": "degC", "ohm": "Ohm"}


def nearest(word: str, known: Any) -> str:
    """A half sentence `; did you mean 'x'?` naming the nearest of the known words, or nothing."""
    known = list(known)
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if not found:
        folded = {k.lower(): k for k in known}
        found = [folded[m] for m in difflib.get_close_matches(word.lower(), folded, n=1)]
    return f"; did you mean {found[0]!r}?" if found else ""


def check_known(name: str, known: Iterable[str], what: str, place: str = "") -> None:
    """Raise ValueError for a name that is none of the known ones, with the nearest of them.

    `what` is what it should name, `place` begins the message: "[free]: no parameter 'na.gbar'; did
    you mean 'na.g_bar'? (have: ...)".
    """
    known = list(known)
    if name not in known:
        have = ", ".join(known) or "none"
        raise ValueError(f"{place}no {what} {name!r}{nearest(name, known)} (have: {have})")


def normalise(unit: str) -> str:
    """The table's spelling: `µA/cm^2` is `uA/cm2`. Raises ValueError for an unknown unit."""
    name = unit.strip()
    for alias, plain in _ALIASES.items():
        name = name.replace(alias, plain)
    if name not in UNITS:
        raise ValueError(f"unknown unit {unit!r}{nearest(name, UNITS)}")
    return name


_OF_WHOLE = {
    "conductance density": "conductance",
    "specific capacitance": "capacitance",
    "current density": "current",
}
"""What each density is times an area."""


def factor(unit: str, to: str, area: float | None = None) -> float:
    """How many `to` make one `unit`; of a membrane of an `area` (cm2) also nS make mS/cm2.

    Raises ValueError when they measure different quantities.
    """
    (q_from, f_from), (q_to, f_to) = UNITS[normalise(unit)], UNITS[normalise(to)]
    if q_from == q_to:
        return f_from / f_to
    whole = _OF_WHOLE.get(q_to) == q_from
    if whole and area is not None:
        return f_from / f_to / area
    hint = ": give the area of the cell, and it is taken" if whole else ""
    raise ValueError(f"{unit!r} is a unit of {q_from}, but {to!r} (a {q_to}) is expected{hint}")


_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*)?$")


def parse(value: float | int | str, to: str, what: str, area: float | None = None) -> float:
    """A number, or text such as `"50 mS/cm2"`, as a float in the unit `to`.

    Of a membrane of an `area` (cm2) that is known, a density may be told as a whole: "50 nS".
    Raises ValueError naming `what`, the value and the unit expected.
    """
    if isinstance(value, str):
        match = _QUANTITY.match(value)
        if match is None:
            raise ValueError(f"{what}: cannot read {value!r} as a quantity in {to}")
        number, unit = float(match[1]), match[2]
        try:
            number *= factor(unit, to, area) if unit else 1.0
        except ValueError as error:
            raise ValueError(f"{what} = {value!r}: {error}") from None
    elif isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{what}: expected a number or a quantity in {to}, got {value!r}")
    else:
        number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{what} = {value!r}: expected a finite number in {to}")
    return number


def thermal_voltage(celsius: Any) -> Any:
    """RT/F in mV."""
    return 1e3 * GAS_CONSTANT * (celsius + ZERO_CELSIUS) / FARADAY


def nernst(inside: float, outside: float, valence: int, celsius: float) -> float:
    """Nernst potential E = (RT/zF) ln(outside/inside) in mV, of concentrations in mM.

    Raises ValueError for a concentration that is not positive or a valence of zero.
    """
    if not (inside > 0 and outside > 0):
        raise ValueError(f"concentrations must be positive, got {inside} mM in, {outside} mM out")
    if valence == 0:
        raise ValueError("an uncharged solute has no Nernst potential (valence 0)")
    return thermal_voltage(celsius) / valence * math.log(outside / inside)


PA = factor("pA", "uA")
"""One picoampere in the coherent unit of current, uA."""

MINUTE = 6e4
"""ms"""
