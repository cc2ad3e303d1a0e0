"""What a channel does at every potential: steady states, time constants, and its I-V curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.linalg import expm

from neurojax.membrane.channel import Channel
from neurojax.membrane.markov import Scheme

Curve = Float[np.ndarray, " v"]

REVERSAL = {"k": -90.0, "na": 60.0, "ca": 120.0, "cl": -70.0}
"""mV, of a channel whose potential is that of its ion: as textbooks round them."""

HOLDING = -100.0  # mV
_INSTANTS = np.concatenate([[0.0], np.geomspace(0.01, 1e4, 241)])  # ms after a step


class ChannelCurves(NamedTuple):
    """A channel against potential, alone in a membrane under an ideal clamp."""

    v: Curve  # mV
    steady: dict[str, Curve]  # of every gate, of a scheme what is "open": v was held for ever
    tau: dict[str, Curve]  # ms, of those with a time course of their own
    i_steady: Curve  # uA/cm2, after v was held for ever
    i_peak: Curve  # uA/cm2, the largest current in a step from `holding`
    holding: float  # mV
    E_ion: float | None  # mV, where it reverses if that is its ion's to say


def channel_curves(
    channel: Channel,
    v: Any,
    celsius: float | None = None,
    at: Mapping[str, float] | None = None,
    holding: float = HOLDING,
) -> ChannelCurves:
    """Steady states, time constants (ms) and currents (uA/cm2) at potentials v (mV) `[v]`.

    `at` are the concentrations and inputs that it reads. A step begins at `holding` (mV), held for
    ever, and lasts for ten seconds. Raises ValueError where a value is missing or not read.
    """
    at = dict(at or {})
    if set(at) != set(channel.reads):
        raise ValueError(
            f"{type(channel).__name__} reads {', '.join(channel.reads) or 'nothing'}: "
            f"its curves are those at given values, got {', '.join(at) or 'none'}"
        )
    v = jnp.asarray(v, float)
    seen = {name: jnp.full_like(v, value) for name, value in at.items()}
    E_ion, carried = None, list(channel.carries)
    if getattr(channel, "E_rev", 0.0) is None and len(carried) == 1:
        E_ion = REVERSAL.get(carried[0])
    more = {} if E_ion is None else {"E_nernst": E_ion}

    def current(x: Mapping[str, Any]) -> np.ndarray:
        i = channel.current(v, dict(x), celsius, **more, **seen)
        return np.broadcast_to(np.asarray(i, float), np.broadcast_shapes(np.shape(i), v.shape))

    steady = channel.steady_state(v, **seen)
    begun = {k: np.asarray(x) for k, x in channel.steady_state(v * 0 + holding, **seen).items()}
    course = _courses(channel, v, celsius, seen, begun)
    # Time is the first axis, so that potentials broadcast.
    i = current({k: jnp.asarray(x, v.dtype) for k, x in course.items()}).reshape(-1, v.size)
    peak = np.take_along_axis(i, np.abs(i).argmax(axis=0)[None], axis=0)[0]
    if isinstance(channel, Scheme):
        gates, told = {}, {"open": sum(f * steady[k] for k, f in channel.conducting.items())}
    else:
        gates = channel.kinetics(v, celsius, **seen)
        told = steady | channel.instant(v - channel.v_shift, **seen)
    return ChannelCurves(
        np.asarray(v, float),
        {k: np.broadcast_to(np.asarray(x, float), v.shape) for k, x in told.items()},
        {k: np.broadcast_to(1 / np.asarray(g.rate, float), v.shape) for k, g in gates.items()},
        current(steady),
        peak,
        holding,
        E_ion,
    )


def _courses(
    channel: Channel,
    v: Any,
    celsius: float | None,
    seen: Mapping[str, Any],
    begun: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """Every gating variable after a step to v: `[instant, v]`."""
    if not isinstance(channel, Scheme):
        t = _INSTANTS[:, None]
        return {
            k: np.asarray(g.inf) + (begun[k] - np.asarray(g.inf)) * np.exp(-t * np.asarray(g.rate))
            for k, g in channel.kinetics(v, celsius, **seen).items()
        }
    names = channel.states
    Q = np.zeros((v.size, len(names), len(names)))  # to, from
    for (a, b), rate in channel.rates(v, celsius, **seen).items():
        k, m = names.index(a), names.index(b)
        Q[:, m, k] += np.asarray(rate)
        Q[:, k, k] -= np.asarray(rate)
    x = np.stack([np.broadcast_to(begun[k], v.shape) for k in names], axis=-1).astype(float)
    rows = [x]
    for dt in np.diff(_INSTANTS[::8]):
        rows.append(np.einsum("vab,vb->va", expm(Q * dt), rows[-1]))
    course = np.stack(rows)
    return {k: course[..., n] for n, k in enumerate(names)}
