"""A fold over a potential that is given, as a recorded one: the data's side of an objective."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.engine.folds import Carry, Fold
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import resample
from neurojax.membrane.rates import Leaf
from neurojax.recording.trace import Trace

_BARE = Cell(channels={})  # pyright: ignore[reportCallIssue]


def sampled(trace: Trace, record_ms: float) -> np.ndarray:
    """The potential of a trace, mV, at the start and at every record `[1 + record]`."""
    return np.r_[trace.v_mV[0], resample(trace.v_mV, trace.dt_ms, record_ms, at=1.0)]


def carried(fold: Fold, v: Leaf) -> Carry:
    """The last carry of a fold that looks at the potential alone.

    v is `[1 + record, *pop]`, mV: before the first record, and at each.
    """
    v = jnp.asarray(v, jnp.result_type(float))
    return _carried(fold, v)


def streamed(fold: Fold, v: Leaf, record_ms: float) -> Any:
    """The result of a fold that looks at the potential alone; see `carried`."""
    return fold.finish(carried(fold, v), (len(v) - 1) * record_ms)


@jax.jit
def _carried(fold: Fold, v: jax.Array) -> Carry:
    def state(v: jax.Array) -> State:
        return State(v=v, x={}, c={})

    def record(carry: Carry, xs: Any) -> tuple[Carry, None]:
        v, row = xs
        return fold.update(carry, _BARE, state(v), row), None

    carry = fold.init(_BARE, state(v[0]))
    rows = jax.tree.map(lambda a: jnp.asarray(a)[: len(v) - 1], fold.data)
    return jax.lax.scan(record, carry, (v[1:], rows))[0]
