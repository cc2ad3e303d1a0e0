"""Quantities of NeuroML, as "10 mS_per_cm2", in this project's coherent set."""

from __future__ import annotations

import math
import re

from neurojax.units import UNITS

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-z_0-9]*)\s*")

_OTHERS: dict[str, float] = {
    "": 1.0, "per_s": 1e-3, "per_ms": 1.0, "per_mV": 1.0, "per_V": 1e-3, "K": 1.0,
    "min": 6e4, "hour": 3.6e6, "m": 1e6, "cm": 1e4, "m2": 1e4, "m3": 1e18, "cm3": 1e12,
    "um3": 1.0, "litre": 1e15, "mol_per_m3": 1.0, "mol_per_cm3": 1e6, "ohm": 1e-3, "kohm": 1.0,
    "Mohm": 1e3, "C_per_mol": 1.0, "C": 1e9, "J_per_K_per_mol": 1e3, "fA": 1e-9,
    "fS": 1e-12, "mol_per_m_per_A_per_s": 1e-5, "mol_per_cm_per_uA_per_ms": 1e6,
    "ohm_m": 100.0, "ohm_cm": 1.0, "kohm_cm": 1e3, "m_per_s": 100.0, "um_per_ms": 0.1,
    "cm_per_ms": 1e3, "F": 1e6,
}  # fmt: skip
"""What one of a unit is: mV, ms, mM, um, K, uA, mS, uF, Ohm cm, and mM/ms per uA/cm2 (of rho)."""


def value_of(text: str, what: str) -> float:
    """A quantity in the coherent set, temperatures in K. Raises ValueError naming `what`."""
    match = _QUANTITY.fullmatch(text)
    if match is None or not math.isfinite(float(match[1])):
        raise ValueError(f"{what} = {text!r}: expected a number with a unit")
    number, unit = float(match[1]), match[2]
    if unit == "degC":
        return number + 273.15
    factor = unit_factor(unit)
    if factor is None:
        raise ValueError(f"{what} = {text!r}: the unit {unit!r} is not known")
    return number * factor


def unit_factor(unit: str) -> float | None:
    """How many of the coherent set one of a unit is; None where it is not known."""
    if unit in _OTHERS:
        return _OTHERS[unit]
    known = UNITS.get(unit.replace("_per_", "/"))
    return None if known is None else known[1]


COHERENT = {
    "voltage": "mV", "time": "ms", "per_time": "1/ms", "concentration": "mM", "none": "1",
    "per_voltage": "1/mV",
}  # fmt: skip
"""This project's units of LEMS's dimensions."""
