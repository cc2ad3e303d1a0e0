"""The standard form of tabulated channels: its parameters, fitted to their curves all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from neurojax.channels.standard import LARGEST, SCALE, StandardForm
from neurojax.genealogy.table import ChannelTable, Curves, TabledChannel

TURNS = 60
"""Steps of Levenberg and Marquardt's method."""

FASTEST = 0.05
"""ms: what the tables have of faster gates is mostly the clamp's own time."""

_BEYOND, _FAR = (-160.0, -130.0, 130.0, 160.0), 0.01
"""Potentials (mV) beyond a table at which tau is asked to stay as at its end, and their weight."""

_LIGHT = 0.1
"""The weight of time constants that are mostly the clamp's."""

_LIGHTLY, _FREE = 1e-2, 1e-3
"""How much the range of a steady state is held at 0 to 1, and tau's parameters at 0."""

Array = np.ndarray
Residuals = Callable[[Array], tuple[Array, Array]]
"""Of parameters [curve, k]: residuals [curve, n], and their slopes [curve, n, k]."""


@dataclass(frozen=True)
class StandardChannels:
    """Published channels in the standard form: one population.

    `channel` has arrays `[pop]`, in the order of `files`, with g_bar 1 mS/cm2. The errors are how
    far the form is from the table: the largest of a steady state, and the root mean square of
    relative ones of time constants, where these are above 0.05 ms.
    """

    channel: StandardForm
    files: tuple[str, ...]
    error_inf: Float[np.ndarray, " pop"]
    error_tau: Float[np.ndarray, " pop"]
    left_out: Mapping[str, str]


class _Gate(NamedTuple):
    """A gate's parameters by name, and its errors."""

    fields: dict[str, float]
    error_inf: float
    error_tau: float


def standard_channels(
    table: ChannelTable, *, E_rev: float, error_inf: float = 0.1, error_tau: float = 0.5
) -> StandardChannels:
    """The channels of a table in the standard form, with a reversal potential (mV) of all.

    Channels of more than two gates, and those further from their table than the errors asked for,
    are left out, with the reason. A gate that opens with depolarisation is m. Raises ValueError
    where no channel is left.
    """
    left_out = dict(table.left_out)
    two: list[TabledChannel] = []
    for channel in table.channels.values():
        if len(channel.powers) > 2:
            left_out[channel.file] = "more than two gates"
        else:
            two.append(channel)
    gates = iter(_gates([curves for channel in two for curves in channel.gates.values()]))
    kept: list[tuple[TabledChannel, dict[str, float], float, float]] = []
    for channel in two:
        own = {state: next(gates) for state in channel.gates}
        inf = max(gate.error_inf for gate in own.values())
        tau = max(gate.error_tau for gate in own.values())
        if inf > error_inf or tau > error_tau:
            left_out[channel.file] = (
                f"not of the standard form: off by {inf:.3g} in a steady state, {100 * tau:.3g} % "
                "in a time constant"
            )
        else:
            kept.append((channel, _fields(channel, own), inf, tau))
    if not kept:
        raise ValueError("no channel of the table is within the errors asked for")
    names = list(kept[0][1])
    fields = {name: np.array([values[name] for _, values, *_ in kept]) for name in names}
    return StandardChannels(
        StandardForm(g_bar=1.0, E_rev=E_rev, **fields),  # type: ignore[arg-type]
        tuple(channel.file for channel, *_ in kept),
        np.array([inf for *_, inf, _ in kept]),
        np.array([tau for *_, tau in kept]),
        left_out,
    )


def _fields(channel: TabledChannel, gates: Mapping[str, _Gate]) -> dict[str, float]:
    """The parameters of one channel: of its gates as m and h; one that is missing is open."""
    rising = sorted(gates, key=lambda k: gates[k].fields["a"] * gates[k].fields["span"] <= 0)
    places = dict(zip(("m", "h"), rising, strict=False))
    if len(rising) == 1 and gates[rising[0]].fields["a"] * gates[rising[0]].fields["span"] < 0:
        places = {"h": rising[0]}
    fields = {"q10_tau": channel.q10_tau or 1.0}
    for place in ("m", "h"):
        state = places.get(place)
        own = gates[state].fields if state else _OPEN
        fields[f"p_{place}"] = float(channel.powers[state]) if state else 0.0
        fields |= {f"{name}_{place}": value for name, value in own.items()}
    return fields


_OPEN = {
    "low": 1.0, "span": 0.0, "a": 0.0, "b": 0.0, "A": 2.0, "vh": 0.0,
    "b1": 0.0, "c1": 0.0, "d1": 0.0, "b2": 0.0, "c2": 0.0, "d2": 0.0,
}  # fmt: skip
"""A gate that is always open, with tau = 1 ms."""


def _gates(curves: list[Curves]) -> list[_Gate]:
    """Each gate's parameters; curves that are the same are fitted once."""
    by_potentials: dict[bytes, list[int]] = {}
    for k, one in enumerate(curves):
        by_potentials.setdefault(np.asarray(one.v, float).tobytes(), []).append(k)
    found: list[_Gate] = [_Gate(_OPEN, 0.0, 0.0)] * len(curves)
    for members in by_potentials.values():
        v = np.asarray(curves[members[0]].v, float)
        inf, of_inf = np.unique([curves[k].inf for k in members], axis=0, return_inverse=True)
        tau, of_tau = np.unique([curves[k].tau for k in members], axis=0, return_inverse=True)
        steady, constants = fit_inf(v, inf), fit_tau(v, tau)
        error_inf = np.abs(inf_of(steady, v) - inf).max(axis=1)
        relative = np.abs(tau_of(constants, v) / np.maximum(tau, FASTEST) - 1)
        slower = tau > FASTEST
        total = np.where(slower, relative**2, 0.0).sum(axis=1)
        error_tau = np.sqrt(total / np.maximum(slower.sum(axis=1), 1))
        for k, a, b in zip(members, of_inf.ravel(), of_tau.ravel(), strict=True):
            values = [*steady[a].tolist(), *constants[b].tolist()]
            fields: dict[str, float] = dict(zip(_INF + _TAU, values, strict=True))
            found[k] = _Gate(fields, float(error_inf[a]), float(error_tau[b]))
    return found


# -- the two curves --------------------------------------------------------------------------------
_INF: tuple[str, ...] = ("low", "span", "a", "b")
_TAU: tuple[str, ...] = ("A", "vh", "b1", "c1", "d1", "b2", "c2", "d2")


def inf_of(p: Array, v: Array) -> Array:
    """Steady states of parameters [curve, 4] at potentials (mV): [curve, v]."""
    low, span, a, b = p.T[..., None]
    return low + span * _sigmoid(a * v - b)


def tau_of(p: Array, v: Array) -> Array:
    """Time constants (ms) of parameters [curve, 8] at potentials (mV): [curve, v]."""
    A, vh, b1, c1, d1, b2, c2, d2 = p.T[..., None]
    u = (v - vh) / SCALE
    down = np.clip(-u * (b1 + u * (c1 + u * d1)), -LARGEST, LARGEST)
    up = np.clip(u * (b2 + u * (c2 + u * d2)), -LARGEST, LARGEST)
    return A / (np.exp(down) + np.exp(up))


def fit_inf(v: Array, inf: Array) -> Array:
    """(low, span, a, b) of steady states [curve, v]."""
    x = v / SCALE
    n = len(inf)

    def residuals(p: Array) -> tuple[Array, Array]:
        low, span, a, b = p.T[..., None]
        s = _sigmoid(a * x - b)
        slope = span * s * (1 - s)
        off = np.concatenate([low + span * s - inf, _LIGHTLY * low, _LIGHTLY * (span - 1)], axis=1)
        slopes = np.stack([np.ones_like(s), s, x * slope, -slope], axis=-1)
        held = _LIGHTLY * np.eye(4)[:2] * np.ones((n, 1, 1))
        return off, np.concatenate([slopes, held], axis=1)

    middle = (inf.max(axis=1) + inf.min(axis=1))[:, None] / 2
    at = x[np.abs(inf - middle).argmin(axis=1)]
    starts: list[Array] = []
    for steep in (3.0, 8.0, 20.0):
        a = np.sign(inf[:, -1] - inf[:, 0] + 1e-9) * SCALE / steep
        starts.append(np.stack([0 * a, 0 * a + 1, a, a * at], axis=1))
    return _best(residuals, starts) / [1, 1, SCALE, 1]


def fit_tau(v: Array, tau: Array) -> Array:
    """(A, vh, b1, c1, d1, b2, c2, d2) of time constants (ms) [curve, v], by their logarithms."""
    x = np.concatenate([v, _BEYOND]) / SCALE
    ends = tau[:, np.array([0, 0, -1, -1])]
    y = np.log(np.maximum(np.concatenate([tau, ends], axis=1), 1e-2))
    weight = np.where(y > np.log(FASTEST), 1.0, _LIGHT)
    weight[:, len(v) :] = _FAR

    def residuals(p: Array) -> tuple[Array, Array]:
        A, at, b1, c1, d1, b2, c2, d2 = p.T[..., None]
        u = x - at
        down, up = -u * (b1 + u * (c1 + u * d1)), u * (b2 + u * (c2 + u * d2))
        total = np.logaddexp(down, up)
        of_down = np.exp(down - total)
        of_up = 1 - of_down
        by_u = of_down * (b1 + u * (2 * c1 + 3 * u * d1)) - of_up * (b2 + u * (2 * c2 + 3 * u * d2))
        by_b = [part * u**k for part in (of_down, -of_up) for k in (1, 2, 3)]
        slopes = np.stack([np.ones_like(u), -by_u, *by_b], axis=-1)
        off = weight * (A - total - y)
        held = _FREE * p[:, 1:]
        holding = _FREE * np.eye(8)[1:] * np.ones((len(p), 1, 1))
        return (
            np.concatenate([off, held], axis=1),
            np.concatenate([weight[..., None] * slopes, holding], axis=1),
        )

    peak = x[y.argmax(axis=1)]
    starts: list[Array] = []
    for at in (peak, np.full_like(peak, -40 / SCALE), np.zeros_like(peak)):
        for steep in (0.2, 1.0):
            p = np.zeros((len(tau), 8))
            p[:, 0], p[:, 1], p[:, 2], p[:, 5] = y.max(axis=1), at, steep, steep
            starts.append(p)
    best = _best(residuals, starts)
    best[:, 0] = np.exp(best[:, 0])
    return best * [1, SCALE, 1, 1, 1, 1, 1, 1]


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(x, -LARGEST, LARGEST)))


# -- Levenberg and Marquardt's method, of many small problems at once ------------------------------
def _best(residuals: Residuals, starts: list[Array]) -> Array:
    """Of each curve the parameters with the least squares, from several starts."""
    found = [_fitted(residuals, p) for p in starts]
    costs = np.array([cost for _, cost in found])
    return np.take_along_axis(
        np.array([p for p, _ in found]), costs.argmin(axis=0)[None, :, None], axis=0
    )[0]


def _fitted(residuals: Residuals, p: Array) -> tuple[Array, Array]:
    damping = np.full(len(p), 1e-2)
    off, slopes = residuals(p)
    cost = (off**2).sum(axis=1)
    for _ in range(TURNS):
        normal = slopes.swapaxes(1, 2) @ slopes
        diagonal = np.einsum("nkk->nk", normal) + 1e-12
        normal = normal + np.eye(p.shape[1]) * (damping[:, None] * diagonal)[:, None]
        moved = p - np.linalg.solve(normal, (slopes.swapaxes(1, 2) @ off[..., None]))[..., 0]
        with np.errstate(over="ignore", invalid="ignore"):
            ahead, steeper = residuals(moved)
            lower = (costs := (ahead**2).sum(axis=1)) < cost
        p = np.where(lower[:, None], moved, p)
        off = np.where(lower[:, None], ahead, off)
        slopes = np.where(lower[:, None, None], steeper, slopes)
        cost = np.where(lower, costs, cost)
        damping = np.clip(np.where(lower, damping / 5, damping * 4), 1e-12, 1e8)
    return p, cost
