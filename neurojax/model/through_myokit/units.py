"""Units of Myokit in this project's coherent set."""

from __future__ import annotations

from functools import cache
from typing import Any

_SPELLED = {
    "mV": "mV", "ms": "ms", "1/ms": "1/ms", "1/mV": "1/mV", "uA/cm2": "uA/cm^2",
    "mS/cm2": "mS/cm^2", "uF/cm2": "uF/cm^2", "uA": "uA", "mS": "mS", "uF": "uF", "cm2": "cm^2",
    "um": "um", "mM": "mol/m^3", "mM/ms": "mol/m^3/ms", "1/mM/ms": "m^3/mol/ms", "kOhm": "kOhm",
}  # fmt: skip
"""Coherent units as Myokit spells them."""


@cache
def _coherent() -> dict[str, Any]:
    import myokit

    return {name: myokit.parse_unit(text) for name, text in _SPELLED.items()}


def unit_of(variable: Any) -> Any:
    """The unit of a variable, or of the number that it is; None without one."""
    import myokit

    if variable.unit() is not None:
        return variable.unit()
    try:
        return variable.rhs().eval_unit(myokit.UNIT_TOLERANT)
    except myokit.IncompatibleUnitError:
        return None


def conversion(unit: Any, to: str) -> float | None:
    """How many `to` one of a Myokit unit is; None where it is of another quantity."""
    import myokit

    if unit is None or not myokit.Unit.can_convert(unit, _coherent()[to]):
        return None
    factor: Any = myokit.Unit.conversion_factor(unit, _coherent()[to])
    return float(factor)


def coherent_unit(unit: Any, name: str) -> tuple[str, float]:
    """The coherent unit of a variable, and how many of it one of the variable's is.

    ("1", 1) where there is none. Myokit cannot tell a conductance per capacitance from a rate: the
    one is named g... Per capacitance, currents and conductances are per area at 1 uF/cm2.
    """
    if unit is None:
        return "1", 1.0
    if name.lower().startswith("g") and (factor := conversion(unit, "1/ms")) is not None:
        return "mS/cm2", factor
    for known in _SPELLED:
        if (factor := conversion(unit, known)) is not None:
            return known, factor
    return "1", 1.0
