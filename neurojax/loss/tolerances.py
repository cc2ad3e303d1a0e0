"""Which features an objective compares, and the tolerance of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import nan

from neurojax.units import check_known


def chosen_tolerances(
    asked: Mapping[str, float] | Iterable[str],
    known: Mapping[str, float],
    names: Iterable[str],
    what: str,
) -> dict[str, float]:
    """The tolerance of each feature that is asked for: as given, or of a name alone the known one.

    Raises ValueError for a feature that is none of the names, or a tolerance that is not positive.
    """
    if not isinstance(asked, Mapping):
        asked = {name: known.get(name, nan) for name in asked}
    for name, tolerance in asked.items():
        check_known(name, names, what)
        if not tolerance > 0:
            raise ValueError(f"tolerance of {name!r} is {tolerance}: expected a positive number")
    return {name: float(tolerance) for name, tolerance in asked.items()}
