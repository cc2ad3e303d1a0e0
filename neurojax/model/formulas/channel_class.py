"""A mechanism as a channel class, made at run time: as if its author had written it by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Channel, Gates, param, params, pytree, static
from neurojax.membrane.ions import Ion, relaxed
from neurojax.membrane.markov import Rates, Scheme
from neurojax.membrane.rates import Gating, Leaf
from neurojax.membrane.relaxation import EXACT, Relaxation
from neurojax.model.formulas.arrays import JAX
from neurojax.model.formulas.form import Form, form_of
from neurojax.model.formulas.graph import Node, evaluate, symbols
from neurojax.model.formulas.mechanism import Mechanism
from neurojax.model.formulas.stiff import settle, step

UM2 = 1e8
"""um2 in a cm2: NMODL has the area in um2."""


class Formulas:
    """The formulas of a mechanism, to be computed with the fields of a channel."""

    mechanism: ClassVar[Mechanism]
    form: ClassVar[Form]
    model_type: ClassVar[str]
    """How a model file names the class."""
    loaded: ClassVar[tuple[Any, ...]] = ()
    """What made the class from its file, and the arguments: with which it is pickled."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not self.loaded:
            return super().__reduce_ex__(protocol)
        names = [f.name for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        return _again, (self.loaded, {name: getattr(self, name) for name in names})

    @classmethod
    def lacks_q10(cls) -> bool:
        """Files tell of no temperature, but by the formulas that read it."""
        return False

    def _values(self, v: Any, x: Mapping[str, Any], c: Mapping[str, Any]) -> dict[str, Any]:
        known = {f.symbol: _times(getattr(self, f.name), f.factor) for f in self.form.fields}
        known |= {name: c[read] for name, read in self.mechanism.concentrations.items()}
        if "temperature" in c:
            known["celsius"] = c["temperature"]
        if "area" in c:
            known["area"] = c["area"] * UM2
        if "diameter" in c:
            known["diam"] = c["diameter"]
        return {**known, "v": v, **x}

    def _computed(
        self, nodes: Sequence[Node], v: Any, x: Mapping[str, Any], c: Mapping[str, Any]
    ) -> list[Any]:
        """The nodes' values, each of the shape of v."""
        values = evaluate(nodes, self._values(v, x, c), JAX)
        constant = ["v" not in symbols([node]) for node in nodes]
        return [
            value * jnp.ones_like(v) if alike else value
            for value, alike in zip(values, constant, strict=True)
        ]


class OtherCurrent(Formulas):
    """A current that is not g_bar times gates times a driving force."""

    def conductance(self, x: Mapping[str, Leaf]) -> Leaf:
        raise ValueError(f"{type(self).__name__} conducts otherwise than by a product of its gates")

    def current(
        self, v: jax.Array, x: Gates, celsius: Leaf | None = None, *_: Any, **c: Any
    ) -> jax.Array:
        return sum(self._currents(v, x, c).values(), jnp.zeros_like(v))

    def ion_fluxes(
        self, i: jax.Array, v: jax.Array, x: Gates, celsius: Leaf | None = None, *_: Any, **c: Any
    ) -> dict[str, jax.Array]:
        if len(self.mechanism.currents) == 1:
            return {ion: i for ion in self.mechanism.currents if ion}
        return {ion: i for ion, i in self._currents(v, x, c).items() if ion}

    def _values(self, v: Any, x: Mapping[str, Any], c: Mapping[str, Any]) -> dict[str, Any]:
        values = super()._values(v, x, c)
        if c.get("E_nernst") is not None and getattr(self, "E_rev", 0.0) is None:
            (reversal,) = self.mechanism.reversals
            values[reversal] = c["E_nernst"]
        return values

    def _currents(self, v: jax.Array, x: Gates, c: Mapping[str, Any]) -> dict[str, jax.Array]:
        """By ion, uA/cm2."""
        currents = self.mechanism.currents
        values = self._computed(list(currents.values()), v, x, c)
        return {ion: 1e3 * i for ion, i in zip(currents, values, strict=True)}


class _Gated(Formulas):
    """Gates that are affine in their own state."""

    def gating(self, v: jax.Array, *_: Any, **c: Any) -> dict[str, Gating]:
        gates = self.mechanism.gates
        nodes = [node for gate in gates for node in (gate.opening, gate.rate)]
        values = iter(self._computed(nodes, v, {}, c))
        return {gate.name: Gating(next(values), next(values)) for gate in gates}


class _General(Formulas):
    """States that act on each other, or whose equation is not linear: see `stiff`."""

    tau_scale: Any
    v_shift: Any

    def _derivatives(self, v: jax.Array, c: Mapping[str, Any]) -> Callable[[Gates], Gates]:
        names = list(self.mechanism.changes())
        nodes = list(self.mechanism.changes().values())

        def changes(x: Gates) -> Gates:
            values = self._computed(nodes, v, x, c)
            return dict(zip(names, values, strict=True))

        return changes

    def advance(
        self,
        x: Gates,
        v: jax.Array,
        dt: Leaf,
        celsius: Leaf | None = None,
        relaxation: Relaxation = EXACT,
        **c: Any,
    ) -> Gates:
        return step(self._derivatives(v - self.v_shift, c), x, dt / self.tau_scale)

    def steady_state(self, v: jax.Array, **c: Any) -> Gates:
        v = v - self.v_shift
        initial = self.mechanism.initial
        start = self._computed(list(initial.values()), v, self.mechanism.guess(), c)
        return settle(self._derivatives(v, c), dict(zip(initial, start, strict=True)))


class _Kinetic(Formulas):
    """A scheme of states."""

    def transitions(self, v: jax.Array, *_: Any, **c: Any) -> Rates:
        rates = self.mechanism.transitions
        values = self._computed(list(rates.values()), v, {}, c)
        return dict(zip(rates, values, strict=True))


class _Pool(Formulas):
    """The concentration inside, as a file's DERIVATIVE changes it: a pool with or without depth."""

    inside: Any

    def pools(self, name: str) -> dict[str, Leaf]:
        return {f"{name}_i": self.inside}

    def advance(
        self, name: str, c: dict[str, jax.Array], carried: dict[str, jax.Array], dt: Leaf
    ) -> dict[str, jax.Array]:
        ((changed, node),) = self.mechanism.pools.items()
        variable = next(k for k, n in self.mechanism.concentrations.items() if n == changed)
        inside = f"{name}_i"
        x = c[inside]

        def rate(x: jax.Array) -> jax.Array:
            known = {f"i{name}": 1e-3 * carried[name], variable: x}
            (value,) = self._computed([node], x, known, {changed: x})
            return value

        return {**c, inside: relaxed(rate, x, dt)}


def channel_class(m: Mechanism, name: str, doc: str) -> type[Channel]:
    """A channel class of a mechanism."""
    form = form_of(m)
    body: dict[str, Any] = {
        "__doc__": doc,
        "mechanism": m,
        "form": form,
        "powers": form.powers,
        "reads": form.reads,
        "carries": form.carries,
        "celsius_ref": m.celsius,
        "receives": m.receives,
    }
    bases: list[type] = [] if form.standard else [OtherCurrent]
    if m.transitions:
        body |= {"states": tuple(m.scheme_states()), "conducting": form.conducting}
        body["stiff"] = form.stiff
        bases += [_Kinetic, Scheme]
    elif m.derivatives:
        bases += [_General, Channel]
    else:
        bases += [_Gated, Channel]
    return class_of(name, bases, body, form)


def ion_class(m: Mechanism, name: str, doc: str) -> type[Ion]:
    """A class of ions whose pool inside a mechanism changes; begins with the ion of the file."""
    form, ion, known = form_of(m), m.pooled, params(Ion)
    body: dict[str, Any] = {"__doc__": doc, "mechanism": m, "form": form}
    if ion is None:
        return class_of(name, [_Pool, Ion], body, form)
    body["valence"] = static(ion.valence)
    for side, value in (("inside", ion.inside), ("outside", ion.outside)):
        body[side] = param(value, "mM", known[side].low, known[side].high)
    return class_of(name, [_Pool, Ion], body, form, valence=int, inside=Any, outside=Any)


def class_of(name: str, bases: list[type], body: dict[str, Any], form: Form, **own: Any) -> Any:
    """A class with the fields of a form, and its `own` ones by their types."""
    annotations = {f.name: Any for f in form.fields} | own
    fields = {f.name: param(f.default, f.unit, f.low, f.high) for f in form.fields}
    return pytree(type(name, tuple(bases), {**body, **fields, "__annotations__": annotations}))


def _again(loaded: tuple[Any, ...], values: Mapping[str, Any]) -> Any:
    """One of a class that a file makes, with these values."""
    make, *arguments = loaded
    return make(*arguments)(**values)


def _times(value: Any, factor: float) -> Any:
    return value if factor == 1 or value is None else value * factor
