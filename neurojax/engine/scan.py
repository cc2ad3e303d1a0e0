"""The reference engine: `step` inside nested scans, records of chosen observables in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.cell import Cell, State, step
from neurojax.electrode import Electrode, n_steps

Observe = Callable[[Cell, State], Any]


def split(electrode: Electrode, every: int) -> tuple[Electrode, Electrode, int]:
    """The electrode's constant fields, those in time as `[record, every, ...]`, and the records.

    Each is an Electrode with None where the field belongs to the other. Steps past the last whole
    record are left out.
    """
    records = n_steps(electrode) // every
    constant = Electrode(*(None if jnp.ndim(f) else f for f in electrode))
    varying = Electrode(
        *(
            f[: records * every].reshape(records, every, *f.shape[1:]) if jnp.ndim(f) else None
            for f in electrode
        )
    )
    return constant, varying, records


def merge(constant: Electrode, varying: Electrode) -> Electrode:
    """One tick from its constant and its varying fields."""
    return Electrode(*(c if v is None else v for c, v in zip(constant, varying, strict=True)))


def run(cell: Cell, s: State, electrode: Electrode, dt, observe: Observe, every: int = 1):
    """Integrate from state `s`; returns the last state and the observables `[record, ...]`.

    A record is taken after every `every` steps. Constant memory beyond the records.
    """
    constant, varying, _ = split(electrode, every)

    def tick(s, e):
        return step(cell, s, merge(constant, e), dt), None

    def record(s, es):
        s, _ = jax.lax.scan(tick, s, es)
        return s, observe(cell, s)

    return jax.lax.scan(record, s, varying)
