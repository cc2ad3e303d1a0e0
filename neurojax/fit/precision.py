"""The precision in which a fit simulates.

Parameters, and the linear algebra of steps, are float64 on the host in either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import jax
import numpy as np

from neurojax.config import float64
from neurojax.engine.processes import fetched
from neurojax.membrane.compartment import Cell

Precision = Literal["single", "exact"]
"""States and tangents: float32, as kernels of a GPU compute; or float64, for the last digits."""

RESOLUTION = {"single": 1e-6, "exact": 1e-12}
"""Relative change of a sum of squares that rounding in the simulation can cause."""

ROUNDING = {"single": 1e-6, "exact": 1e-14}
"""Eigenvalues of a Gauss-Newton matrix of unit diagonal that are below this may be rounding."""


def checked(precision: str) -> Precision:
    """The precision. Raises ValueError for a word that is none."""
    if precision not in RESOLUTION:
        known = ", ".join(RESOLUTION)
        raise ValueError(f"precision is {precision!r}: expected one of {known}")
    return precision  # pyright: ignore[reportReturnType]


@contextmanager
def computing(precision: Precision) -> Generator[None]:
    """JAX computes in this precision inside the `with` block: "exact" on the CPU only.

    A GPU would have to do without kernels in float64, and be slower than the CPU beside it.
    """
    with float64(precision == "exact"):
        if precision == "single" or jax.default_backend() == "cpu":
            yield
        else:
            with jax.default_device(jax.devices("cpu")[0]):
                yield


def suited(cell: Cell, precision: Precision) -> Cell:
    """The cell with JAX arrays of the other precision as NumPy arrays, which suit either."""
    other = np.dtype(np.float64 if precision == "single" else np.float32)

    def copied(a: Any) -> Any:
        return np.asarray(a, np.float64) if isinstance(a, jax.Array) and a.dtype == other else a

    made = jax.tree.map(copied, cell)
    # JAX gives dictionaries back in the order of the alphabet: channels keep the cell's.
    parts = {f.name: getattr(cell, f.name) for f in dataclasses.fields(cell)}
    ordered = {
        name: {key: getattr(made, name)[key] for key in part}
        for name, part in parts.items()
        if isinstance(part, dict)
    }
    return dataclasses.replace(made, **ordered)


def on_host(tree: Any) -> Any:
    """The arrays of a tree as NumPy arrays, real ones in float64."""

    def copied(a: Any) -> np.ndarray:
        a = fetched(a)
        return a.astype(np.float64) if a.dtype.kind == "f" else a

    return jax.tree.map(copied, tree)
