"""All states of a membrane beside v, as one channel: gates, concentrations, Markov states.

States that follow each other are a group, which `stiff` moves; one that only follows others, and is
affine in itself, relaxes as a gate does. Groups go one after the other, the followed first: what a
later one follows is its mean over the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.membrane.channel import Channel, Gates
from neurojax.membrane.rates import Leaf
from neurojax.membrane.relaxation import EXACT, Relaxation
from neurojax.model.formulas.arrays import NUMPY
from neurojax.model.formulas.channel_class import OtherCurrent, class_of
from neurojax.model.formulas.form import Form
from neurojax.model.formulas.graph import Node, evaluate, symbols
from neurojax.model.formulas.mechanism import Mechanism
from neurojax.model.formulas.slopes import slopes
from neurojax.model.formulas.stiff import settle, step

_V = np.linspace(-119.3, 60.1, 46)
"""mV, where a gate must be one."""


@dataclass(frozen=True)
class Group:
    """States that are moved together: a gate alone, or several by their slopes."""

    names: tuple[str, ...]
    gate: tuple[Node, Node] | None  # opening and rate
    changes: dict[str, Node] = field(default_factory=dict)
    slopes: dict[tuple[str, str], Node] = field(default_factory=dict)
    settles: bool = False  # where v is held; others begin where the file says


class Coupled(OtherCurrent):
    """States that follow v and each other."""

    groups: ClassVar[tuple[Group, ...]]

    def advance(
        self,
        x: Gates,
        v: jax.Array,
        dt: Leaf,
        celsius: Leaf | None = None,
        relaxation: Relaxation = EXACT,
        **c: Any,
    ) -> Gates:
        channel: Any = self
        v, h = v - channel.v_shift, dt / channel.tau_scale
        moved: Gates = {}
        mean: Gates = {}
        for group in self.groups:
            if group.gate is not None:
                (name,) = group.names
                opening, rate = self._computed(group.gate, v, mean, c)
                change, z = h * (opening - rate * x[name]), h * rate
                moved[name] = x[name] + change * relaxation.mean(z)
                mean[name] = x[name] + change * relaxation.lag(z)
                continue
            own = {k: x[k] for k in group.names}
            new = step(
                self._of(group, group.changes, v, mean, c),
                own,
                h,
                self._of(group, group.slopes, v, mean, c),
            )
            moved |= new
            mean |= {k: 0.5 * (own[k] + new[k]) for k in own}
        return moved

    def steady_state(self, v: jax.Array, **c: Any) -> Gates:
        """Where v was held for ever, gates; concentrations where they begin."""
        v = v - self.v_shift  # type: ignore[attr-defined]
        x: Gates = {}
        for group in self.groups:
            start = {k: self.mechanism.initial[k].value * jnp.ones_like(v) for k in group.names}
            if not group.settles:
                x |= start
            elif group.gate is not None:
                opening, rate = self._computed(group.gate, v, x, c)
                x[group.names[0]] = opening / rate
            else:
                x |= settle(
                    self._of(group, group.changes, v, x, c),
                    start,
                    self._of(group, group.slopes, v, x, c),
                )
        return x

    def _of(
        self, group: Group, nodes: Mapping[Any, Node], v: jax.Array, others: Gates, c: Any
    ) -> Callable[[Gates], dict[Any, jax.Array]]:
        """Formulas as a function of a group's states."""

        def values(x: Gates) -> dict[Any, jax.Array]:
            return dict(
                zip(nodes, self._computed(list(nodes.values()), v, {**others, **x}, c), strict=True)
            )

        return values


def coupled_class(m: Mechanism, form: Form, name: str, doc: str, body: Mapping[str, Any]) -> Any:
    """A channel class of a mechanism whose `derivatives` are all states, `initial` numbers."""
    body = {"groups": tuple(_groups(m)), "mechanism": m, "form": form, **body}
    shared = {"__doc__": doc, "powers": form.powers, "reads": form.reads}
    return class_of(name, [Coupled, Channel], {**shared, **body}, form)


def _groups(m: Mechanism) -> Iterable[Group]:
    states = m.derivatives
    follows = {k: symbols([node]) & states.keys() for k, node in states.items()}
    reach: dict[str, set[str]] = {}
    for k in states:
        seen, new = set[str](), set(follows[k])
        while new:
            seen |= new
            new = {b for a in new for b in follows[a]} - seen
        reach[k] = seen
    for k in sorted(states, key=lambda k: len(reach[k])):
        names = tuple(b for b in states if b == k or (b in reach[k] and k in reach[b]))
        if names[0] == k:
            yield _group(m, names)


def _group(m: Mechanism, names: tuple[str, ...]) -> Group:
    if len(names) == 1:
        line = m.graph.affine(m.derivatives[names[0]], names[0])
        if line is not None:
            gate = line[0], m.graph.make("neg", line[1])
            opening, rate = _sampled(m, gate)
            if not (rate < 0).any():  # at a singular point it may be no number
                inf = opening / np.where(rate == 0, np.nan, rate)
                return Group(names, gate, settles=_are_parts(m, names[0], inf))
    changes = {k: m.derivatives[k] for k in names}
    rises = slopes(m.graph, changes, names)
    linear = not symbols(rises.values()) & set(names)
    whole = math.isclose(sum(m.initial[k].value for k in names), 1.0, abs_tol=1e-3)
    return Group(names, None, changes, rises, linear and whole)


def _are_parts(m: Mechanism, name: str, inf: np.ndarray) -> bool:
    """Whether a state begins, and ends, between 0 and 1."""
    begun = m.initial[name].value
    return all(((x >= -1e-6) & (x <= 1.000001)).all() for x in (np.asarray(begun), inf))


def _sampled(m: Mechanism, nodes: Iterable[Node]) -> list[np.ndarray]:
    known = {**m.defaults, **{k: node.value for k, node in m.initial.items()}, "v": _V}
    with np.errstate(all="ignore"):
        values = evaluate(nodes, known, NUMPY)
    return [np.broadcast_to(value, _V.shape) for value in values]
