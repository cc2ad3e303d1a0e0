"""A channel written for Jaxley as a channel here: its own step and its own current, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax

from neurojax.membrane.channel import Channel, Gates, param, pytree
from neurojax.membrane.rates import Leaf
from neurojax.membrane.relaxation import EXACT, Relaxation
from neurojax.model.formulas.form import field_name, wide

SETTLED = 1e6
"""ms, after which a gate is where v holds it."""

_NEEDED = ("channel_params", "channel_states", "update_states", "compute_current")


class OfJaxley(Channel):
    """What a wrapped channel does: `theirs` moves its states and computes its current."""

    theirs: ClassVar[Any]
    fields: ClassVar[Mapping[str, str]]  # of parameters, by Jaxley's names

    def conductance(self, x: Mapping[str, Leaf]) -> Leaf:
        raise ValueError(f"{type(self).__name__} is a channel of Jaxley: it tells only its current")

    def current(
        self, v: jax.Array, x: Gates, celsius: Leaf | None = None, *_: Any, **c: Any
    ) -> jax.Array:
        """uA/cm2; Jaxley's is in mA/cm2."""
        return 1e3 * self.theirs.compute_current(dict(x), v, self._params())

    def advance(
        self,
        x: Gates,
        v: jax.Array,
        dt: Leaf,
        celsius: Leaf | None = None,
        relaxation: Relaxation = EXACT,
        **c: Any,
    ) -> Gates:
        moved = self.theirs.update_states(
            dict(x), dt / self.tau_scale, v - self.v_shift, self._params()
        )
        return {k: moved[k] for k in x}

    def steady_state(self, v: jax.Array, **c: Any) -> Gates:
        start = {k: 0 * v + value for k, value in self.theirs.channel_states.items()}
        settled = self.theirs.update_states(start, SETTLED, v - self.v_shift, self._params())
        return {k: settled[k] for k in start}

    def _params(self) -> dict[str, Any]:
        return {name: getattr(self, f) for name, f in self.fields.items()}


_made: dict[Any, type[OfJaxley]] = {}


def from_jaxley(channel: Any) -> Channel:
    """A channel of Jaxley as one of this project: `from_jaxley(HH())`.

    Its parameters have Jaxley's names, values and units ("HH_gNa", S/cm2), which Jaxley does not
    declare: so they are bounded widely. Its states move by its own `update_states`, v held for the
    step, from where a very long step leaves them; where its formulas are 0 / 0, as in Jaxley's HH
    at -40 mV, they are so here. The same object gives the same class.

    Raises ValueError for an object that is no such channel, or one that reads or moves states which
    are not its own, as concentrations, or v itself.
    """
    cls = type(channel)
    missing = [name for name in _NEEDED if not hasattr(channel, name)]
    if missing:
        raise ValueError(f"{cls.__name__} is no channel of Jaxley: it has no {missing[0]}")
    _check_own(channel, cls.__name__)
    key = id(channel), *channel.channel_params.items()  # the class keeps the object, and so its id
    if key not in _made:
        _made[key] = _class_of(channel)
    return _made[key]()


def _check_own(channel: Any, name: str) -> None:
    """Raise ValueError for a channel that needs, or moves, more than its own states."""
    states = {k: float(x) for k, x in channel.channel_states.items()}
    params = {k: float(x) for k, x in channel.channel_params.items()}
    said = "a channel is wrapped whose own states give its current"
    try:
        moved = channel.update_states(dict(states), 0.025, -65.0, params)
        channel.compute_current(dict(states), -65.0, params)
    except KeyError as error:
        raise ValueError(f"{name} needs {error} of other channels of Jaxley: {said}") from None
    if others := sorted({*moved} ^ {*states}):
        raise ValueError(f"{name} moves {', '.join(others)} beside its own states: {said}")
    shared = [k for k in states if not k.startswith(f"{channel.name}_")]
    if shared:
        raise ValueError(f"{name}: {shared[0]!r} is a state of other channels, too: {said}")


def _class_of(channel: Any) -> type[OfJaxley]:
    values = {k: float(x) for k, x in channel.channel_params.items()}
    fields = {k: field_name(k) for k in values}
    body: dict[str, Any] = {
        "__doc__": f"{channel.name}, a channel of Jaxley.",
        "theirs": channel,
        "fields": fields,
        "powers": dict.fromkeys(channel.channel_states, 1),
        "__annotations__": {f: Any for f in fields.values()},
    }
    body |= {fields[k]: param(x, "1", *wide(x, "1")) for k, x in values.items()}
    return pytree(type(channel.name, (OfJaxley,), body))
