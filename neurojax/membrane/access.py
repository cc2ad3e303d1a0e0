"""access: what lies between amplifier and membrane, declared once: units, bounds, signs, formulas.

The electrode's voltage clamp, the pipette that is a part of a cell and the amplifier of a rig all
read it here. A potential is that of the membrane where it is `v`, that of the amplifier where it is
a command or a reading: the liquid junction potential lies between.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurojax.membrane.channel import Leaf, ParamInfo
from neurojax.units import PA, factor

R_S = ParamInfo(10.0, "MOhm", 0.1, 500.0, "log")
"""Series (access) resistance, as compensation leaves it."""

C_PIP = ParamInfo(1.0, "pF", 1e-3, 50.0, "log")
"""Stray capacitance of pipette and holder, as compensation leaves it."""

TAU_CLAMP = ParamInfo(0.01, "ms", 1e-4, 1.0, "log")
"""Time in which the amplifier brings the pipette to the command."""

JUNCTION = ParamInfo(0.0, "mV", -30.0, 30.0, "linear")
"""Liquid junction potential: the membrane is at what the amplifier says, less this."""

OFFSET = ParamInfo(0.0, "pA", -200.0, 200.0, "linear")
"""Current that the amplifier reads too much of, and the cell gets too little of."""

DRIFT = ParamInfo(0.0, "MOhm/min", -10.0, 10.0, "linear")
"""How fast the series resistance grows."""

COMPENSATION = ParamInfo(0.0, "1", 0.0, 0.99, "linear")
"""The part of the series resistance that the amplifier makes up for."""


def none_or(info: ParamInfo) -> ParamInfo:
    """The bounds of a setting that may be as small as one likes, or 0 for none.

    A free parameter may not: a pipette's equations divide by it.
    """
    return info._replace(low=0.0)


def kilohms(R_s_MOhm: Leaf) -> Leaf:
    """A series resistance in the unit of equations, kOhm: mV over it are uA."""
    return R_s_MOhm * factor("MOhm", "kOhm")


def conductance(R_s_MOhm: Leaf) -> Leaf:
    """What couples a membrane to its command through a series resistance, mS."""
    return 1 / kilohms(R_s_MOhm)


def left_by(compensation: Leaf, R_s_MOhm: Leaf) -> Leaf:
    """The series resistance that compensation leaves, MOhm."""
    return R_s_MOhm * (1 - compensation)


def drifted(R_s_MOhm: Leaf, drift: Leaf, minutes: Leaf, xp: Any = np) -> Leaf:
    """The series resistance after some minutes, MOhm.

    Where drift would make it negative it stays at a tenth. `xp` is the module of the arrays, numpy
    or jax.numpy.
    """
    return xp.maximum(R_s_MOhm + drift * minutes, 0.1 * R_s_MOhm)


def membrane_side(reading_mV: Leaf, junction_mV: Leaf) -> Leaf:
    """The potential at the pipette's mouth, mV, where the amplifier says `reading_mV`."""
    return reading_mV - junction_mV


def amplifier_side(v: Leaf, junction_mV: Leaf) -> Leaf:
    """What the amplifier says, mV, where the potential at the pipette's mouth is v."""
    return v + junction_mV


def arriving(i_cmd: Leaf, offset_pA: Leaf) -> Leaf:
    """What a cell gets of a current that is commanded, uA."""
    return i_cmd - offset_pA * PA


def charging(C_pF: Leaf, slope: Leaf) -> Leaf:
    """The current that charges a capacitance whose potential rises by `slope` mV/ms, pA."""
    return C_pF * slope
