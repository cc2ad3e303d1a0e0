"""Objectives on how the potential follows a step that makes no spikes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine.folds import Carry, Residuals
from neurojax.loss.features import along
from neurojax.loss.stream import carried, sampled
from neurojax.loss.tolerances import chosen_tolerances
from neurojax.membrane.channel import Leaf, field, pytree
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.observables import amplifier_potential
from neurojax.membrane.sums import zero_sum
from neurojax.recording.features import TOLERANCES
from neurojax.recording.trace import Trace

STEP_FEATURES = ("base", "steady", "sag", "tau")
"""Every feature of a step's response."""

_BEFORE = 50.0  # ms before the step that tell the base
_LATE = 0.1  # the last part of the step tells its steady end


class _Weights(NamedTuple):
    """What each record counts, `[record]` each."""

    base: Any
    steady: Any
    step: Any


@pytree
class StepResponse(Residuals):
    """Sum of squared differences of a step's response from data, in tolerances.

    - base, mV: the mean of the 50 ms before the step
    - steady, mV: the mean of the step's last tenth
    - sag, mV: how far v goes beyond `steady` during the step, in the direction of the step
    - tau, ms: the area between v and `steady` over the height of the step; of a single exponential
      its time constant, as long as the step is longer by far
    """

    unit: ClassVar[str] = "tolerances"
    step_ms: Leaf  # how long the step is
    direction: Leaf  # 1 of a depolarising step, else -1
    tolerances: dict[str, Leaf]
    target: Any = field(None, axes=("feature",))  # in the order of the tolerances' names

    def init(self, cell: Cell, s: State) -> Carry:
        zero = zero_sum(s.v.shape, s.v.dtype)
        return _Weights(zero, zero, zero), jnp.full_like(s.v, -1e3)  # below any potential

    def update(self, carry: Carry, cell: Cell, s: State, row: Any) -> Carry:
        (sums, beyond), v = carry, amplifier_potential(cell, s)
        sums = _Weights(*(total.plus(w * v) for total, w in zip(sums, row, strict=True)))
        further = jnp.maximum(beyond, self.direction * v)
        return sums, jnp.where(row.step > 0, further, beyond)

    def features(self, carry: Any) -> dict[str, Any]:
        """Base, steady, sag and tau, `[*pop]` each."""
        sums, beyond = carry
        base, steady, mean = (total.value() for total in sums)
        height = steady - base
        some = jnp.abs(height) > 1e-2
        return {
            "base": base,
            "steady": steady,
            "sag": beyond - self.direction * steady,
            "tau": self.step_ms
            * jnp.where(some, steady - mean, 0.0)
            / jnp.where(some, height, 1.0),
        }

    def in_tolerances(self, carry: Any) -> Any:
        """The features that count, `[feature, *pop]`."""
        found = self.features(carry)
        return jnp.stack([found[k] / t for k, t in sorted(self.tolerances.items())])

    def residuals(self, carry: Carry, duration: Leaf) -> jax.Array:
        value = self.in_tolerances(carry)
        return value - along(self.target, value)


def step_response(
    trace: Trace,
    record_ms: float,
    tolerances: Mapping[str, float] | Iterable[str] = STEP_FEATURES,
) -> StepResponse:
    """The objective that a run responds to a trace's step as the trace does, below threshold.

    tolerances: which features count, and what difference of each counts as one; of names alone
    those of `features.TOLERANCES`. Raises ValueError for an unknown feature, or a trace without a
    step or without time before it.
    """
    known = {name: t.at() for name, t in TOLERANCES.items()}
    tolerances = chosen_tolerances(tolerances, known, STEP_FEATURES, "step feature")
    v = sampled(trace, record_ms)
    on, off, height = trace.step_window()
    at = (np.arange(v.size - 1) + 1) * record_ms
    windows = [(on - _BEFORE, on), (off - _LATE * (off - on), off), (on, off)]
    inside = [(at > a) & (at <= b) for a, b in windows]
    if not height or not all(w.any() for w in inside):
        raise ValueError(f"sweep {trace.sweep} has no step with some time before it")
    bare = StepResponse(
        step_ms=off - on,
        direction=float(np.sign(height)),
        tolerances={k: float(t) for k, t in tolerances.items()},
        data=_Weights(*(w / w.sum() for w in inside)),
    )
    target = np.asarray(bare.in_tolerances(carried(bare, v)), dtype=float)
    return dataclasses.replace(bare, target=target)
