"""Units as NMODL spells them, in the spelling of `neurojax.units`; constants such as (faraday)."""

from __future__ import annotations

import re

from neurojax.units import FARADAY, GAS_CONSTANT, UNITS

_CONSTANTS = {
    "faraday": FARADAY,
    "mole k": GAS_CONSTANT,
    "k-mole": GAS_CONSTANT,
    "pi": 3.14159265358979,
    "e": 1.602176634e-19,
    "avogadro": 6.02214076e23,
    "mole": 6.02214076e23,
    "k": 1.380649e-23,
}
"""By the name of the unit that it is, as `FARADAY = (faraday) (coulomb)` has it."""

_PREFIXES = {"": 1.0, "kilo": 1e3, "milli": 1e-3, "m": 1e-3, "micro": 1e-6, "10000": 1e4}
_SCALED = re.compile(
    r"(?P<scale>kilo|milli|micro|10000|m(?=V))?(coul(omb)?s?|C|joules?|J|V-coul(omb)?|1)?"
    r"(/(degC|degK|K|mol|mole))*"
)
"""The units that a constant may be asked for in: the right one, or some thousands of it."""

_SPELLED = {
    "": "1", "mho": "S", "siemens": "S", "mmho": "mS", "umho": "uS", "umhos": "uS",
    "micron": "um", "microns": "um", "millivolt": "mV", "volt": "V", "msec": "ms", "sec": "s",
    "hz": "Hz", "khz": "kHz", "/ms": "1/ms", "ms-1": "1/ms", "1/msec": "1/ms", "/s": "1/s",
    "/mV": "1/mV", "mV-1": "1/mV", "celsius": "degC", "degc": "degC", "DegC": "degC",
    "deg-C": "degC", "degreesC": "degC", "mho/cm2": "S/cm2", "mhos/cm2": "S/cm2",
    "siemens/cm2": "S/cm2", "mmho/cm2": "mS/cm2", "umho/cm2": "uS/cm2", "millimolar": "mM",
    "molar": "M", "micromolar": "uM", "milli/liter": "mM", "/mM-ms": "1/mM/ms",
    "/ms-mM": "1/mM/ms", "1/mM-ms": "1/mM/ms", "1/ms-mM": "1/mM/ms", "/ms/mM": "1/mM/ms",
    "ohm": "Ohm", "megohm": "MOhm", "mA/cm^2": "mA/cm2", "S/cm^2": "S/cm2", "mho/cm^2": "S/cm2",
}  # fmt: skip


def known_unit(text: str) -> str | None:
    """A unit of NMODL, without its parentheses, in this project's spelling; None for another."""
    name = re.sub(r"\s+", "", text)
    name = _SPELLED.get(name, name)
    return name if name in UNITS else None


def constant(of: str, unit: str) -> float | None:
    """What a constant such as (faraday) is in a unit; None for one that is not known."""
    value = _CONSTANTS.get(of.strip("() \t"))
    found = _SCALED.fullmatch(re.sub(r"\s+", "", unit.strip("()")))
    if value is None or found is None:
        return None
    return value / _PREFIXES[found["scale"] or ""]
