"""Sensitivity: how much of a result's variance each parameter explains, by Sobol indices.

Needs SALib, of the extra `sensitivity`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from neurojax.sweep.axes import Range, Table, check_limits


class Indices(NamedTuple):
    """Sobol indices of a result, by parameter, and the half widths of their 95 % intervals."""

    names: tuple[str, ...]
    first: Float[np.ndarray, " parameter"]  # the part of the variance that is its alone
    first_error: Float[np.ndarray, " parameter"]
    total: Float[np.ndarray, " parameter"]  # with all in which it takes part
    total_error: Float[np.ndarray, " parameter"]

    def sentences(self) -> list[str]:
        """They in words, the most important one first."""
        order = np.argsort(-self.total)
        return [
            f"{self.names[k]}: {self.first[k]:.2f} +- {self.first_error[k]:.2f} alone, "
            f"{self.total[k]:.2f} +- {self.total_error[k]:.2f} in all"
            for k in order
        ]


def _salib(part: str) -> Any:
    try:
        return importlib.import_module(f"SALib.{part}.sobol")
    except ImportError:
        raise ValueError('SALib is not installed: pip install "neurojax[sensitivity]"') from None


def _problem(names: Sequence[str]) -> dict[str, Any]:
    return {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}


def saltelli(ranges: Mapping[str, Sequence[Any]], points: int, seed: int = 0) -> Table:
    """The samples from which `sobol_indices` are found: points (parameters + 2) rows.

    ranges: a `Range` or (low, high) by path name. points: a power of two. Source: Saltelli et al.
    2010, Comput Phys Commun 181:259, doi:10.1016/j.cpc.2009.09.018.

    Raises ValueError for a range that is reversed or where SALib is not installed.
    """
    limits = {name: Range(*r) for name, r in ranges.items()}
    for name, one in limits.items():
        check_limits(name, *one)
    if points < 1 or points & (points - 1):
        raise ValueError(f"points = {points}: expected a power of two")
    sample = _salib("sample").sample
    u = sample(_problem(list(limits)), points, calc_second_order=False, seed=seed)
    return Table({name: one.value(u[:, k]) for k, (name, one) in enumerate(limits.items())})


def sobol_indices(
    names: Sequence[str], values: Float[np.ndarray, " row"], seed: int = 0
) -> Indices:
    """The indices of a result in the rows of `saltelli`, in its order of parameters.

    Raises ValueError for another number of rows, or a result that some cells do not have.
    """
    values = np.asarray(values, float)
    if values.ndim != 1 or values.size % (len(names) + 2):
        raise ValueError(
            f"{values.shape} results: expected one for each row of `saltelli`, a multiple of "
            f"{len(names) + 2}"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} cells have no such result: take "
            "one that all have, as the rate"
        )
    analyze = _salib("analyze").analyze
    found = analyze(_problem(names), values, calc_second_order=False, seed=seed)
    keys = ("S1", "S1_conf", "ST", "ST_conf")
    return Indices(tuple(names), *(np.asarray(found[k]) for k in keys))
