"""Which parameters are free, and the unit box in which every optimiser moves them.

Points may be NumPy arrays, on the host in float64, or JAX arrays inside a program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from neurojax.membrane.channel import (
    Leaf,
    ParamInfo,
    check_is_a_number,
    check_range,
    natural_scale,
)
from neurojax.membrane.compartment import Cell, in_all_compartments
from neurojax.membrane.path_names import (
    check_one_number,
    parameters,
    regional,
    substitute,
    whole_area,
)
from neurojax.units import check_known, parse

WIDER = 'wider bounds need a word of why, "why": "..."'


@dataclass(frozen=True)
class Free:
    """One free parameter: path name, unit, bounds, and the scale on which it moves.

    `also` are other parameters of the same value: one reversal potential for all potassium
    channels. `prior` is what is known beforehand, mean and standard deviation in `unit`: a normal
    distribution, on a log scale a log-normal one of that median and of sd / mean. `why` says why
    the bounds are wider than those that the parameter declares, where they are.
    """

    name: str
    unit: str
    low: float
    high: float
    scale: str = "linear"
    also: tuple[str, ...] = ()
    prior: tuple[float, float] | None = None
    why: str = ""

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        also = f", also {', '.join(self.also)}" if self.also else ""
        prior = "" if self.prior is None else ", prior {:g} +- {:g}".format(*self.prior) + unit
        why = f": {self.why}" if self.why else ""
        return f"{self.name}: {self.low:g} to {self.high:g}{unit}, {self.scale}{also}{prior}{why}"


@dataclass(frozen=True)
class Space:
    """The free parameters of a fit; a point is z in [0, 1]^P, arrays are `[P, pop]`.

    `space["na.g_bar"]` is one of them. `fix` and `change` give the space with fewer, and with other
    bounds; `add` that with more.
    """

    free: tuple[Free, ...]

    @property
    def names(self) -> list[str]:
        return [f.name for f in self.free]

    def __len__(self) -> int:
        return len(self.free)

    def __getitem__(self, name: str) -> Free:
        """A free parameter. Raises ValueError for what is not free, with the nearest name."""
        check_known(name, self.names, "free parameter")
        return next(f for f in self.free if f.name == name)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __str__(self) -> str:
        return "\n".join(map(str, self.free))

    def fix(self, *names: str) -> Space:
        """The space without some parameters, which keep the cell's value.

        Raises ValueError for one that is not free, or where none would be left.
        """
        fixed = {self[name].name for name in names}
        left = tuple(f for f in self.free if f.name not in fixed)
        if not left:
            raise ValueError("no free parameter would be left: a fit needs one")
        return Space(left)

    def add(self, cell: Cell, names: Iterable[str] | Mapping[str, Any]) -> Space:
        """The space with more free parameters of the cell, told as `free` takes them.

        Raises ValueError where `free` does, and for one that is free or follows another already.
        """
        taken = {name for f in self.free for name in (f.name, *f.also)}
        more = free(cell, names).free
        for name in (name for f in more for name in (f.name, *f.also)):
            if name in taken:
                raise ValueError(f"{name} is free already: see `change` for its bounds")
        return Space(self.free + more)

    def change(self, cell: Cell, names: Mapping[str, Any]) -> Space:
        """The space with other bounds, scale, ties or priors of parameters that it has.

        Told as `free` takes them; what is not told stays. Raises ValueError where `free` does.
        """
        new = {}
        for name, told in names.items():
            f = self[name]
            kept: dict[str, Any] = {"low": f.low, "high": f.high, "also": f.also, "prior": f.prior}
            kept |= {"why": f.why} if f.why else {}
            if isinstance(told, (tuple, list)):
                told = _pair(name, told)
            else:
                kept["scale"] = f.scale
            (new[name],) = free(cell, {name: kept | dict(told)}).free
        return Space(tuple(new.get(f.name, f) for f in self.free))

    def within(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Of values by name those of parameters, and of their followers, with wider bounds.

        Raises ValueError for one outside of these.
        """
        own = {name: f for f in self.free if f.why for name in (f.name, *f.also) if name in values}
        for name, f in own.items():
            check_range(name, values[name], ParamInfo(None, f.unit, f.low, f.high, f.scale))
        return {name: values[name] for name in own}

    def _edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        log = np.array([f.scale == "log" for f in self.free])
        low = np.array([f.low for f in self.free])
        high = np.array([f.high for f in self.free])
        safe = np.where(log, low, 1.0), np.where(log, high, 1.0)
        return log, np.where(log, np.log(safe[0]), low), np.where(log, np.log(safe[1]), high)

    def values(self, z: Leaf) -> dict[str, Any]:
        """Parameter values by name, `[pop]` each, of the points z `[P, pop]` (or `[P]`)."""
        log, low, high = self._edges()
        at = [low[k] + (high[k] - low[k]) * z[k] for k in range(len(self))]
        exp = _numpy_for(z).exp
        return {
            f.name: exp(a) if log[k] else a
            for k, (f, a) in enumerate(zip(self.free, at, strict=True))
        }

    def bounded(self, x: Leaf) -> dict[str, Any]:
        """Parameter values of points x `[P, pop]` (or `[P]`) without bounds, for your own loop.

        z is the logistic function of x: 0 is the middle of the box, and bounds are never reached.
        """
        return self.values(jax.nn.sigmoid(jnp.asarray(x)))

    def unbounded(self, values: Mapping[str, Any]) -> np.ndarray:
        """The x of `bounded` at parameter values by name; those on a bound come just inside it."""
        z = np.clip(self.point(values), 1e-6, 1 - 1e-6)
        return np.log(z / (1 - z))

    def slopes(self, z: Leaf) -> Leaf:
        """d value / d z, `[P, pop]`."""
        log, low, high = self._edges()
        values, xp = self.values(z), _numpy_for(z)
        return xp.stack(
            [
                (high[k] - low[k]) * (values[f.name] if log[k] else xp.ones_like(z[k]))
                for k, f in enumerate(self.free)
            ]
        )

    def point(self, values: Mapping[str, Any]) -> np.ndarray:
        """z of parameter values by name, clipped into the box."""
        log, low, high = self._edges()
        raw = [np.asarray(values[f.name], dtype=np.float64) for f in self.free]
        with np.errstate(divide="ignore"):
            at = [np.log(a) if log[k] else a for k, a in enumerate(raw)]
        z = [(a - low[k]) / (high[k] - low[k]) for k, a in enumerate(at)]
        return np.clip(np.stack(z), 0.0, 1.0)

    def random(self, n: int, seed: int, reject: Callable[..., Any] | None = None) -> np.ndarray:
        """n points drawn uniformly from the box, `[P, n]`.

        `reject(values)` says how badly `[pop]` points break other limits, 0 for not at all. Of 64 n
        draws the first that break none are taken, then those that break them least.
        """
        draw = np.random.default_rng(seed).random
        if reject is None:
            return draw((len(self), n))
        z = draw((len(self), 64 * n))
        badness = np.broadcast_to(reject(self.values(z)), z.shape[1:])
        return z[:, np.argsort(badness, kind="stable")[:n]]

    def prior_residuals(self, z: Leaf) -> Leaf:
        """How many standard deviations priors are missed by, `[Q, pop]`, at points z `[P, pop]`.

        Linear in z: the derivative is `prior_slopes`. Their squares add up to -2 log prior.
        """
        at, slopes, xp = self._priors(), self.prior_slopes(), _numpy_for(z)
        rows = [slopes[q, k] * (z[k] - middle) for q, (k, middle, _) in enumerate(at)]
        return xp.stack(rows) if rows else xp.zeros((0, *np.shape(z)[1:]))

    def prior_slopes(self) -> np.ndarray:
        """d prior residual / d z, `[Q, P]`, the same everywhere."""
        at = self._priors()
        slopes = np.zeros((len(at), len(self)))
        for q, (k, _, sd) in enumerate(at):
            slopes[q, k] = 1 / sd
        return slopes

    def _priors(self) -> list[tuple[int, float, float]]:
        """Of each parameter that has a prior: its index, mean and standard deviation in z."""
        log, low, high = self._edges()
        found = []
        for k, f in enumerate(self.free):
            if f.prior is not None:
                mean, sd = f.prior
                at, wide = (np.log(mean), sd / mean) if log[k] else (mean, sd)
                found.append((k, (at - low[k]) / (high[k] - low[k]), wide / (high[k] - low[k])))
        return found

    def spread(self, theta: Mapping[str, Any]) -> dict[str, Any]:
        """The values with those that are tied to them."""
        return {name: theta[f.name] for f in self.free for name in (f.name, *f.also)}

    def apply(self, cell: Cell, theta: Mapping[str, Any]) -> Cell:
        """The cell at these values of the free parameters."""
        own = {k: in_all_compartments(cell, v) for k, v in self.spread(theta).items()}
        return substitute(cell, own)


def free(cell: Cell, names: Iterable[str] | Mapping[str, Any]) -> Space:
    """The space of named free parameters of a cell.

    `names` lists path names, each with the bounds of its declaration, or maps them to `(low, high)`
    or to a mapping with any of `low`, `high`, `scale`, `also`, `prior`, a (mean, sd), and `why`: a
    few words with which bounds may be wider than declared. A bound may be text with a unit, "50 nS"
    where the area of the cell is known. What is one number in a region of a cell can be free there,
    as "diameter.dendrite".

    Raises ValueError for an unknown name (with the nearest valid one), empty bounds, a log scale
    that reaches zero, a prior without width, or what differs from compartment to compartment.
    """
    if not isinstance(names, Mapping):
        names = {name: {} for name in names}
    whole = parameters(cell)
    known, chosen = whole | regional(cell), []
    for name, spec in names.items():
        check_known(name, known, "parameter")
        info = known[name][1]
        if isinstance(spec, (tuple, list)):
            spec = _pair(name, spec)
        spec = {} if spec is None or spec is True else dict(spec)
        edges = (spec.pop("low", info.low), spec.pop("high", info.high))
        low, high = (_number(x, name, info, cell) for x in edges)
        own = "log" if info.scale == "log" else natural_scale(low, high)
        scale = spec.pop("scale", own)
        also = tuple(spec.pop("also", ()))
        prior, why = spec.pop("prior", None), str(spec.pop("why", "")).strip()
        if spec:
            have = "low, high, scale, also, prior, why"
            raise ValueError(f"{name}: unknown {', '.join(spec)} (have: {have})")
        if not low < high:
            raise ValueError(f"{name}: bounds [{low:g}, {high:g}] {info.unit} are empty")
        if scale not in ("linear", "log") or (scale == "log" and low <= 0):
            raise ValueError(
                f"{name}: a {scale!r} scale does not fit bounds from {low:g} {info.unit}"
            )
        for path in (name, *also):
            check_known(path, known, "parameter")
            if why and path not in whole:
                raise ValueError(f"{path}: of a region, bounds are those of its declaration")
            if not why:
                _check_bounds(path, low, high, known[path][1])
            check_is_a_number(path, known[path][1])
            check_one_number(path, known[path][0])
        if prior is not None:
            prior = _checked_prior(prior, name, info.unit, scale)
        chosen.append(Free(name, info.unit, low, high, scale, also, prior, why))
    if not chosen:
        raise ValueError("no free parameter: name at least one")
    return Space(tuple(chosen))


def _number(x: Any, name: str, info: ParamInfo, cell: Cell) -> float:
    """A bound, as a number or text with a unit."""
    return (
        parse(x, info.unit, f"{name}: bound", whole_area(cell)) if isinstance(x, str) else float(x)
    )


def _pair(name: str, bounds: Any) -> dict[str, Any]:
    if len(bounds) != 2:
        raise ValueError(f"{name}: expected (low, high), got {bounds!r}")
    return {"low": bounds[0], "high": bounds[1]}


def _check_bounds(name: str, low: float, high: float, info: ParamInfo) -> None:
    """Raise ValueError for bounds beyond those declared, with how to have them nevertheless."""
    try:
        check_range(name, [low, high], info)
    except ValueError as error:
        raise ValueError(f"{error}: {WIDER}") from None


def _numpy_for(z: Any) -> Any:
    """The module whose functions suit an array."""
    return jnp if isinstance(z, jax.Array) else np


def _checked_prior(prior: Any, name: str, unit: str, scale: str) -> tuple[float, float]:
    if len(prior) != 2:
        raise ValueError(f"{name}: expected a prior (mean, sd), got {prior!r}")
    mean, sd = map(float, prior)
    if not sd > 0 or (scale == "log" and not mean > 0):
        raise ValueError(
            f"{name}: a prior of {mean:g} +- {sd:g} {unit} does not fit a {scale} scale: expected "
            f"an sd above 0{' and a mean above 0' if scale == 'log' else ''}"
        )
    return mean, sd
