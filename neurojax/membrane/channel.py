"""What an ion channel is: parameters, gates that are affine in their own state, and a current.

While v is held for one step dt every gate obeys x' = opening - rate * x, and x(t + dt) is affine in
x. An author writes `gating` (and, for gates too fast to follow, `instant`); everything else is
derived here. What a channel needs beside v, it `reads`:
concentrations of the cell's ions, which reach it as keywords ("ca_i", "k_o").
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real as RealNumber
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from neurojax.membrane.rates import Gating, Leaf
from neurojax.membrane.relaxation import EXACT, Relaxation
from neurojax.units import normalise

Gates = dict[str, Float[Array, "..."]]
"""Gating variables by name, of shapes that broadcast."""

T = TypeVar("T")


class ParamInfo(NamedTuple):
    """What `param` says of a parameter: the line that feeds documentation, bounds and checks."""

    default: float | None
    unit: str
    low: float
    high: float
    scale: str  # "linear" or "log": the coordinate in which a fit moves it
    axes: tuple[str, ...] = ()  # that a value has of its own, see `field`


def natural_scale(low: float, high: float) -> str:
    """The coordinate of a parameter with these bounds: "log" where they span a decade above 0."""
    return "log" if 0 < 10 * low <= high else "linear"


def check_is_a_number(name: str, info: ParamInfo) -> None:
    """Raise ValueError for a parameter that is an array, where one number is asked for.

    That of a cell with compartments may be an array or not: its value tells.
    """
    if set(info.axes) - {"comp"}:
        raise ValueError(
            f"{name} is an array [{', '.join(info.axes)}]: only a parameter that is one number for "
            "each cell can be free or differentiated in"
        )


def check_real(name: str, value: Any) -> None:
    """Raise ValueError for a value that is no number, nor an array of float32 or float64.

    Whole numbers pass, they become floats; None stands for what is not there.
    """
    if type(value) is float:
        return
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        number = value is None or (not isinstance(value, bool) and isinstance(value, RealNumber))
    else:
        number = dtype in (np.float32, np.float64) or getattr(dtype, "kind", "") in ("i", "u")
    if not number:
        of_dtype = "" if dtype is None else f" of dtype {dtype}"
        raise ValueError(
            f"{name} = {value!r}{of_dtype}: expected a number, or an array of float32 or float64"
        )


_ROUNDING = 1e-6
"""A value may be outside its bounds by this part of the bound, as float32 may round it."""


def check_range(name: str, value: Any, info: ParamInfo) -> None:
    """Raise ValueError for a value outside the bounds of its declaration, rounding apart.

    `name` is how the message calls it: its path name, and where it stands. Traced values are taken
    as they are.
    """
    if isinstance(value, Tracer):
        return
    array = np.asarray(value, dtype=np.float64)
    # Of a bound itself: where low is 1e-6 and high 1000 a part of their distance would let 0 pass.
    low, high = info.low - _ROUNDING * abs(info.low), info.high + _ROUNDING * abs(info.high)
    outside = ~((array >= low) & (array <= high))
    if outside.any():
        unit = "" if info.unit == "1" else f" {info.unit}"
        raise ValueError(
            f"{name} = {array[outside].flat[0]:g}{unit} is outside "
            f"[{info.low:g}, {info.high:g}]{unit}"
        )


def param(
    default: Any,
    unit: str,
    low: float,
    high: float,
    scale: str | None = None,
    axes: tuple[str, ...] = (),
) -> Any:
    """Declare a parameter of a pytree: default, unit and bounds.

    Raises ValueError for a unit that is none, and for bounds that are no range.

    `scale` defaults to "log" where the bounds are positive and span a decade, else "linear". One
    that is None says that there is no such thing: it has no value to fit. `axes` names the axes
    that a value has of its own, see `field`.
    """
    normalise(unit)
    if not low <= high:
        raise ValueError(f"bounds [{low:g}, {high:g}] {unit}: expected low <= high")
    if scale is None:
        scale = natural_scale(low, high)
    info = ParamInfo(default, unit, low, high, scale, axes)
    return _field(default, param=info, axes=axes)


def field(default: Any = dataclasses.MISSING, *, axes: tuple[str, ...]) -> Any:
    """Declare a field whose arrays have axes of their own, before that of the population.

    A matrix of rates, for one, owns ("to", "from"): `[to, from]` is shared by all cells,
    `[to, from, pop]` has one for each.
    """
    return _field(default, axes=axes)


def _field(default: Any, **metadata: Any) -> Any:
    if isinstance(default, np.ndarray | dict):  # which dataclasses take for what may change
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def static(default: Any) -> Any:
    """Declare a field of a pytree that is no array: part of the program, not of its data."""
    return dataclasses.field(default=default, metadata={"static": True})


@dataclass_transform(frozen_default=True, kw_only_default=True)
def pytree(cls: type[T]) -> type[T]:
    """A frozen, keyword-only dataclass that JAX sees as a pytree of its fields.

    `axes_of_fields` says of each field with arrays which axes these own, see `axes`.
    """
    if not hasattr(cls, "__post_init__"):
        cls.__post_init__ = _check_params  # pyright: ignore[reportAttributeAccessIssue]
    cls = dataclass(frozen=True, eq=False, kw_only=True)(cls)
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
    data = [f.name for f in fields if not f.metadata.get("static")]
    program = [f.name for f in fields if f.metadata.get("static")]
    axes = {f.name: f.metadata.get("axes", ()) for f in fields if f.name in data}
    cls.axes_of_fields = axes  # pyright: ignore[reportAttributeAccessIssue]

    def flatten(thing: T) -> tuple[list[Any], tuple[Any, ...]]:
        # JAX compares this, not the class: without it, one channel's program may run as another's.
        return [getattr(thing, k) for k in data], (cls, *(getattr(thing, k) for k in program))

    def flatten_with_keys(thing: T) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        leaves, aux = flatten(thing)
        return [(jax.tree_util.GetAttrKey(k), a) for k, a in zip(data, leaves, strict=True)], aux

    def unflatten(aux: tuple[Any, ...], leaves: Iterable[Any]) -> T:
        thing = object.__new__(cls)
        for k, a in zip([*data, *program], [*leaves, *aux[1:]], strict=True):
            object.__setattr__(thing, k, a)
        return thing

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def _check_params(thing: Any) -> None:
    """Raise ValueError for a parameter that is no number."""
    for name in params(thing):
        check_real(f"{type(thing).__name__}.{name}", getattr(thing, name))


def check_decorated(cls: type) -> None:
    """Raise TypeError for a class without `@pytree`: JAX would not know its parameters."""
    if "axes_of_fields" not in vars(cls):
        raise TypeError(
            f"{cls.__name__}: write @nj.pytree above the class, so that its parameters are known"
        )


def params(thing: Any) -> dict[str, ParamInfo]:
    """Declared parameters of a pytree class or instance, by field name."""
    return {f.name: f.metadata["param"] for f in dataclasses.fields(thing) if "param" in f.metadata}


@pytree
class Channel:
    """An ion channel: gates x and a current density i(v, x), outward positive.

    Subclasses are final. They set `powers` (exponent of each gating variable), `q10` and
    `celsius_ref` (how much faster each gate is per 10 degC, 1 where its time constant is a
    parameter, and the temperature at which `gating` is written), `q10_g` (how much larger the
    conductance), `reads` (concentrations that its formulas take as keywords, inputs, or the cell's
    "area", cm2, "diameter", um, and "temperature", degC) and
    `carries` (ions, and the share of the current that each is). `commands` are inputs that it
    brings with it, and their values at rest; one that is not `ionic` is no part of the membrane.
    One that `receives` events is opened by them: each adds its weight to every gating variable.
    With `E_rev` None the current reverses at the Nernst potential of the one ion that it carries.
    """

    powers: ClassVar[Mapping[str, int]] = {}
    q10: ClassVar[Mapping[str, float]] = {}
    q10_g: ClassVar[float] = 1.0
    celsius_ref: ClassVar[float] = 20.0
    reads: ClassVar[tuple[str, ...]] = ()
    carries: ClassVar[Mapping[str, float]] = {}
    commands: ClassVar[Mapping[str, float]] = {}
    ionic: ClassVar[bool] = True
    receives: ClassVar[bool] = False

    v_shift: Leaf = param(0.0, "mV", -40.0, 40.0)
    tau_scale: Leaf = param(1.0, "1", 0.1, 10.0)

    def __new__(cls, *_: Any, **__: Any) -> Self:
        check_decorated(cls)
        return super().__new__(cls)

    # -- what an author writes ------------------------------------------------------------------
    def gating(self, v: jax.Array, *_: Any, **c: Any) -> dict[str, Gating]:
        """Opening and rate of every gate with a time course, at `celsius_ref`."""
        return {}

    def instant(self, v: jax.Array, *_: Any, **c: Any) -> Gates:
        """Gating variables that follow v without delay."""
        return {}

    def conductance(self, x: Mapping[str, Leaf]) -> Leaf:
        """Conductance density, mS/cm2, of the gating variables x."""
        open_part = math.prod(x[k] if p == 1 else x[k] ** p for k, p in self.powers.items())
        return self.g_bar * open_part  # type: ignore[attr-defined]

    # -- what is derived ------------------------------------------------------------------------
    @classmethod
    def gate_names(cls) -> list[str]:
        """The gating variables that can be recorded."""
        return sorted(cls.powers)

    def gates(self, v: jax.Array, x: Gates, **c: Any) -> Gates:
        """All gating variables: those of x, and if it has not all, those that follow v."""
        return x if x.keys() >= self.powers.keys() else self.instant(v - self.v_shift, **c) | x

    def temperature(self, celsius: Leaf | None) -> Leaf:
        """The temperature that its formulas take, degC: the cell's, or else its own."""
        return self.celsius_ref if celsius is None else celsius

    def q10_factor(self, q10: float, celsius: Leaf | None) -> Leaf:
        """How many times what is written at `celsius_ref` is at the cell's temperature, if any."""
        if celsius is None or q10 == 1:
            return 1.0
        return jnp.exp(math.log(q10) / 10 * (celsius - self.celsius_ref))

    def current(
        self,
        v: jax.Array,
        x: Gates,
        celsius: Leaf | None = None,
        *_: Any,
        E_nernst: Any = None,
        **c: Any,
    ) -> jax.Array:
        """Current density, uA/cm2, outward positive.

        `E_nernst` is the Nernst potential of the ion that it carries, for a channel without E_rev.
        """
        g = self.conductance(self.gates(v, x, **c))
        if self.q10_g != 1:
            g = g * self.q10_factor(self.q10_g, celsius)
        E_rev = self.E_rev  # type: ignore[attr-defined]
        return g * (v - (E_nernst if E_rev is None else E_rev))

    def ion_fluxes(
        self, i: jax.Array, v: jax.Array, x: Gates, celsius: Leaf | None = None, *_: Any, **c: Any
    ) -> dict[str, jax.Array]:
        """What of its current i ions carry, uA/cm2: by ion, or by part of an ion's pools."""
        return {ion: share * i for ion, share in self.carries.items()}

    @classmethod
    def follows_v(cls) -> bool:
        """Whether some of its gating variables follow v without delay."""
        return cls.instant is not Channel.instant

    @classmethod
    def has_rates(cls) -> bool:
        """Whether some of its gating variables have a time course."""
        return cls.gating is not Channel.gating

    @classmethod
    def lacks_q10(cls) -> bool:
        """Whether its rates are those at `celsius_ref` at any temperature: no Q10 is known."""
        return cls.ionic and cls.has_rates() and not (cls.q10 or "temperature" in cls.reads)

    def speed(self, gate: str, celsius: Leaf | None) -> Leaf:
        """How many times faster than `gating` says: scaled in time, at the cell's temperature.

        Without a temperature the channel is at its own `celsius_ref`.
        """
        scale = 1 / self.tau_scale
        return scale * self.q10_factor(self.q10[gate], celsius) if gate in self.q10 else scale

    def kinetics(self, v: jax.Array, celsius: Leaf | None = None, **c: Any) -> dict[str, Gating]:
        """`gating` as the cell sees it: shifted along v, with its `speed`."""
        gating = self.gating(v - self.v_shift, **c)
        return {k: g.faster(self.speed(k, celsius)) for k, g in gating.items()}

    def propagator(
        self, v: jax.Array, dt: Leaf, celsius: Leaf | None = None, **c: Any
    ) -> dict[str, Any]:
        """(a, b) of x(t + dt) = a * x + b for each gate, v held."""
        maps = {}
        for k, g in self.kinetics(v, celsius, **c).items():
            z = dt * g.rate
            mean = EXACT.mean(z)
            maps[k] = 1 - z * mean, dt * g.opening * mean
        return maps

    def advance(
        self,
        x: Gates,
        v: jax.Array,
        dt: Leaf,
        celsius: Leaf | None = None,
        relaxation: Relaxation = EXACT,
        **c: Any,
    ) -> Gates:
        """The gates one step dt (ms) later, v held."""
        moved = {}
        for k, g in self.gating(v - self.v_shift, **c).items():
            h = dt * self.speed(k, celsius)
            moved[k] = x[k] + h * (g.opening - g.rate * x[k]) * relaxation.mean(h * g.rate)
        return moved

    def left_of(
        self, weight: Leaf, ago: Leaf, v: jax.Array, celsius: Leaf | None, **c: Any
    ) -> Gates:
        """What an event of a weight that was `ago` ms has left in each gating variable."""
        rates = {k: g.rate for k, g in self.kinetics(v, celsius, **c).items()}
        return {k: weight * jnp.exp(-ago * rate) for k, rate in rates.items()}

    def steady_state(self, v: jax.Array, **c: Any) -> Gates:
        """The gates after v was held for ever."""
        return {k: g.inf for k, g in self.gating(v - self.v_shift, **c).items()}

    def begin(self, x: Gates) -> Gates:
        """The gates with which a run begins, where x is their steady state."""
        return x
