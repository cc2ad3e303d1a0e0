"""Markov schemes: a channel is in one of a few states, and conducts in some of them.

For each pair of states that a transition joins, the two exchange with rates k and k' as if they
were alone, and relax as gates do: this is a part of the step. A step goes through all pairs forth
and back, half a step each, which is second order in dt, and at any dt keeps occupancies from 0 to 1
and their sum. Pairs that share no state exchange at the same time, as a layer of the step. A scheme
that is `stiff` takes the exponential of its matrix instead, see `occupancies`: several times as
dear, and right at any dt. Whether a step suits a scheme is asked of it before a run, `step_error`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import cache
from itertools import chain, product
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Gates, Leaf, pytree
from neurojax.membrane.occupancies import Rates, Transition, elimination_order, moved, settled
from neurojax.membrane.rates import Gating
from neurojax.membrane.relaxation import EXACT, Relaxation
from neurojax.units import nearest, thermal_voltage

Exchange = tuple[str, str, jax.Array, jax.Array]
"""Two states, and which part of each goes over to the other."""


@pytree
class Scheme(Channel):
    """A channel of `states`, of which those in `conducting` conduct, by the factor given.

    An author writes `transitions`; the occupancies of all states are the gating variables. `q10`
    of the pseudo gate "all" speeds up all of its rates. One whose rates are tens in a ms and more
    is `stiff`.
    """

    states: ClassVar[tuple[str, ...]] = ()
    conducting: ClassVar[Mapping[str, float]] = {}
    stiff: ClassVar[bool] = False

    def transitions(self, v: jax.Array, *_: Any, **c: Any) -> Rates:
        """Rate constants, 1/ms, at `celsius_ref`."""
        return {}

    def charges(self) -> Mapping[str, Any]:
        """Gating charge of the states, elementary charges, outward from where it is counted."""
        return {}

    @classmethod
    def gate_names(cls) -> list[str]:
        return list(cls.states)

    @classmethod
    def has_rates(cls) -> bool:
        return True

    def conductance(self, x: Mapping[str, Leaf]) -> Leaf:
        return self.g_bar * sum(f * x[k] for k, f in self.conducting.items())  # type: ignore[attr-defined]

    def gating_charge(self, x: Gates) -> jax.Array:
        """Mean gating charge of a channel, elementary charges."""
        return sum((q * x[k] for k, q in self.charges().items()), jnp.zeros_like(x[self.states[0]]))

    def gating_current(
        self, v: jax.Array, x: Gates, celsius: Leaf | None = None, **c: Any
    ) -> jax.Array:
        """Mean gating current of a channel, outward, elementary charges per ms (0.1602 fA)."""
        q = self.charges()
        flows = (
            (q.get(b, 0.0) - q.get(a, 0.0)) * x[a] * rate
            for (a, b), rate in self.rates(v, celsius, **c).items()
        )
        return sum(flows, jnp.zeros_like(v))

    def rates(self, v: jax.Array, celsius: Leaf | None = None, **c: Any) -> Rates:
        """`transitions` as the cell sees them: shifted along v, scaled in time and heat."""
        scale = self.q10_factor(self.q10.get("all", 1.0), celsius) / self.tau_scale
        return {k: rate * scale for k, rate in self.transitions(v - self.v_shift, **c).items()}

    def exchanges(
        self,
        v: jax.Array,
        dt: Leaf,
        celsius: Leaf | None = None,
        relaxation: Relaxation = EXACT,
        **c: Any,
    ) -> list[list[Exchange]]:
        """The parts of a step, layer by layer."""
        return exchanged(type(self), self.rates(v, celsius, **c), dt, relaxation)

    def advance(
        self,
        x: Gates,
        v: jax.Array,
        dt: Leaf,
        celsius: Leaf | None = None,
        relaxation: Relaxation = EXACT,
        **c: Any,
    ) -> Gates:
        if self.stiff:
            rates = self.rates(v, celsius, **c)
            return moved(_order(type(self), tuple(rates)), rates, x, dt)
        x = dict(x)
        for a, b, forth, back in chain(*self.exchanges(v, dt, celsius, relaxation, **c)):
            # Bounded, so that rounding makes no occupancy negative.
            flow = jnp.clip(x[a] * forth - x[b] * back, -x[b], x[a])
            x[a], x[b] = x[a] - flow, x[b] + flow
        return x

    def propagator(
        self, v: jax.Array, dt: Leaf, celsius: Leaf | None = None, **c: Any
    ) -> dict[str, Any]:
        """Where a channel that was in a state is a step dt later, v held: by state and state."""
        unit = {k: jnp.zeros_like(v) for k in self.states}
        one = jnp.ones_like(v)
        return {k: self.advance(unit | {k: one}, v, dt, celsius, **c) for k in self.states}

    def steady_state(self, v: jax.Array, **c: Any) -> Gates:
        """The occupancies after v was held for ever."""
        rates = self.transitions(v - self.v_shift, **c)
        _check_returns(type(self), tuple(rates))
        # The first state is the one at rest: the others can be left, even where nothing binds.
        return settled(self.states[::-1], rates, jnp.ones_like(v))


def exchanged(
    cls: type[Scheme], rates: Rates, dt: Leaf, relaxation: Relaxation
) -> list[list[Exchange]]:
    """The parts of a step of a scheme that has these rates, layer by layer."""
    layers = _layers(cls, tuple(rates))

    def exchange(a: str, b: str, h: Leaf) -> Exchange:
        forth, back = h * rates.get((a, b), 0.0), h * rates.get((b, a), 0.0)
        mean = relaxation.mean(forth + back)
        return a, b, forth * mean, back * mean

    halves = [[exchange(a, b, dt / 2) for a, b in layer] for layer in layers[:-1]]
    return [*halves, [exchange(a, b, dt) for a, b in layers[-1]], *reversed(halves)]


@cache
def _order(cls: type[Scheme], transitions: tuple[Transition, ...]) -> tuple[str, ...]:
    """In which order states are eliminated. Raises ValueError for a class that makes no scheme."""
    check_scheme(cls, transitions)
    return elimination_order(cls.states, transitions)


@cache
def _layers(
    cls: type[Scheme], transitions: tuple[Transition, ...]
) -> tuple[tuple[Transition, ...], ...]:
    """The pairs of states that exchange, in layers that use no state twice; the largest is last.

    Raises ValueError for a class that makes no scheme.
    """
    check_scheme(cls, transitions)
    layers: list[list[Transition]] = []
    place = cls.states.index
    pairs = ((a, b) if place(a) < place(b) else (b, a) for a, b in transitions)
    for pair in dict.fromkeys(pairs):
        free = (layer for layer in layers if not set(pair) & set(chain(*layer)))
        layer = next(free, None)
        if layer is None:
            layers.append(layer := [])
        layer.append(pair)
    return tuple(tuple(layer) for layer in sorted(layers, key=len))


def check_scheme(cls: type[Scheme], transitions: tuple[Any, ...]) -> None:
    """Raise ValueError for states and transitions that make no scheme."""
    name, have = cls.__name__, ", ".join(cls.states)
    if not cls.states:
        raise ValueError(f"{name} has no states: a scheme lists them")
    if len(set(cls.states)) < len(cls.states):
        raise ValueError(f"{name} lists a state twice: {have}")
    if not transitions:
        raise ValueError(f"{name} has no transitions: a scheme defines them")
    if not cls.conducting:
        raise ValueError(f"{name} conducts in no state: a scheme says in which")
    for key in transitions:
        if not (isinstance(key, tuple) and len(key) == 2):  # as "C->O", which is one word
            raise ValueError(f"{name}: transition {key!r}: expected two states, as ('C', 'O')")
    used = [("conducting", k) for k in cls.conducting]
    used += [(f"transition {a!r} to {b!r}", k) for a, b in transitions for k in (a, b)]
    for where, state in used:
        if state not in cls.states:
            near = nearest(state, cls.states)
            raise ValueError(f"{name}: {where}: no state {state!r}{near} (have: {have})")
    for a, b in transitions:
        if a == b:
            raise ValueError(f"{name}: transition {a!r} to {b!r}: a state is not left for itself")


@cache
def _check_returns(cls: type[Scheme], transitions: tuple[Transition, ...]) -> None:
    """Raise ValueError for a class that makes no scheme, or has not one steady state."""
    check_scheme(cls, transitions)
    for way, what in ((1, "reached from"), (-1, "left for")):
        seen, new = set[str](), {cls.states[0]}
        while new:
            seen |= new
            new = {pair[::way][1] for pair in transitions if pair[::way][0] in seen} - seen
        if rest := [repr(k) for k in cls.states if k not in seen]:
            raise ValueError(
                f"{cls.__name__} has not one steady state: {', '.join(rest)} cannot be {what} "
                f"{cls.states[0]!r}"
            )


class _OfGates(Scheme):
    """The scheme of independent gates: how many particles of each gate are open."""

    of: ClassVar[type[Channel]]
    counts: ClassVar[Mapping[str, tuple[int, ...]]] = {}  # of a state, in the order of `powers`
    followed: ClassVar[tuple[str, ...]] = ()  # gates with a time course

    @classmethod
    def gate_names(cls) -> list[str]:
        return [*cls.states, *(k for k in cls.powers if k not in cls.followed)]

    def rates(self, v: jax.Array, celsius: Leaf | None = None, **c: Any) -> Rates:
        kinetics = self.kinetics(v, celsius, **c)
        return self._transitions({k: kinetics[k] for k in self.followed})

    def transitions(self, v: jax.Array, *_: Any, **c: Any) -> Rates:
        gating = self.gating(v, **c)
        return self._transitions({k: gating[k] for k in self.followed})

    def _transitions(self, gating: Mapping[str, Gating]) -> Rates:
        rates = {}
        for state, numbers in self.counts.items():
            for k, (gate, open_now) in enumerate(zip(self.followed, numbers, strict=True)):
                if open_now == self.powers[gate]:
                    continue
                more = _state_name(self.followed, (*numbers[:k], open_now + 1, *numbers[k + 1 :]))
                g = gating[gate]
                rates[state, more] = (self.powers[gate] - open_now) * g.opening
                rates[more, state] = (open_now + 1) * (g.rate - g.opening)
        return rates

    def conductance(self, x: Mapping[str, Leaf]) -> Leaf:
        (full,) = self.conducting
        gates: Any = {k: 1.0 if k in self.followed else x[k] for k in self.powers}
        return x[full] * self.of.conductance(self, gates)


def _state_name(gates: tuple[str, ...], numbers: tuple[int, ...]) -> str:
    return "".join(f"{gate}{n}" for gate, n in zip(gates, numbers, strict=True))


@cache
def _scheme_class(cls: type[Channel]) -> type[Channel]:
    v = jnp.zeros(())
    channel: Any = cls
    follows = channel().gating(v, **{name: v + 1 for name in cls.reads})
    gates = tuple(k for k in cls.powers if k in follows)
    if not gates:
        raise ValueError(
            f"{cls.__name__} has no gate with a time course: nothing to make states of"
        )
    some = {k: 0.3 + 0.4 * n / len(cls.powers) for n, k in enumerate(cls.powers)}
    product_of = math.prod(some[k] ** p for k, p in cls.powers.items())
    whole = channel().conductance(dict.fromkeys(some, 1.0))
    if not math.isclose(channel().conductance(some), whole * product_of, rel_tol=1e-4):
        raise ValueError(f"{cls.__name__} conducts otherwise than by a product of its gates")
    counts = {
        _state_name(gates, numbers): numbers
        for numbers in product(*(range(cls.powers[k] + 1) for k in gates))
    }
    full = _state_name(gates, tuple(cls.powers[k] for k in gates))
    body = {
        "__doc__": f"{cls.__name__} as the scheme of its particles.\n\n{cls.__doc__ or ''}",
        "__annotations__": {},
        "states": tuple(counts),
        "conducting": {full: 1.0},
        "of": cls,
        "counts": counts,
        "followed": gates,
    }
    return pytree(type(f"{cls.__name__}Scheme", (_OfGates, cls), body))


def as_scheme(channel: Channel) -> Channel:
    """A channel of independent gates as the exact Markov scheme of its particles.

    m^3 h becomes 8 states, named by how many particles of each gate are open ("m3h1" conducts). The
    parameters are the same, by the same names. Raises ValueError for a channel without gates that
    have a time course.
    """
    if isinstance(channel, Scheme):
        return channel
    fields = {f.name: getattr(channel, f.name) for f in dataclasses.fields(channel)}
    return _scheme_class(type(channel))(**fields)


def charge_rates(
    v: Leaf, rate: Leaf, z: Leaf, *, v_half: Leaf = 0.0, part: Leaf = 0.5, celsius: float = 20.0
) -> tuple[jax.Array, jax.Array]:
    """Rate constants forth and back of a step that moves z elementary charges outward.

    Both are `rate` (1/ms) at v_half (mV); of the charge a `part` has moved at the barrier.
    """
    u = z * (v - v_half) / thermal_voltage(celsius)
    return rate * jnp.exp(part * u), rate * jnp.exp((part - 1) * u)
