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

from neurojax.membrane.channel import check_is_a_number, natural_scale
from neurojax.membrane.compartment import Cell, in_all_compartments
from neurojax.membrane.path_names import (
    check_one_number,
    check_value,
    parameters,
    regional,
    substitute,
)
from neurojax.units import check_known


@dataclass(frozen=True)
class Free:
    """One free parameter: path name, unit, bounds, and the scale on which it moves.

    `also` are other parameters of the same value: one reversal potential for all potassium
    channels. `prior` is what is known beforehand, mean and standard deviation in `unit`: a normal
    distribution, on a log scale a log-normal one of that median and of sd / mean.
    """

    name: str
    unit: str
    low: float
    high: float
    scale: str = "linear"
    also: tuple[str, ...] = ()
    prior: tuple[float, float] | None = None


@dataclass(frozen=True)
class Space:
    """The free parameters of a fit; a point is z in [0, 1]^P, arrays are `[P, pop]`."""

    free: tuple[Free, ...]

    @property
    def names(self) -> list[str]:
        return [f.name for f in self.free]

    def __len__(self) -> int:
        return len(self.free)

    def _edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        log = np.array([f.scale == "log" for f in self.free])
        low = np.array([f.low for f in self.free])
        high = np.array([f.high for f in self.free])
        safe = np.where(log, low, 1.0), np.where(log, high, 1.0)
        return log, np.where(log, np.log(safe[0]), low), np.where(log, np.log(safe[1]), high)

    def values(self, z: Any) -> dict[str, Any]:
        """Parameter values by name, `[pop]` each, of the points z `[P, pop]` (or `[P]`)."""
        log, low, high = self._edges()
        at = [low[k] + (high[k] - low[k]) * z[k] for k in range(len(self))]
        exp = _numpy_for(z).exp
        return {
            f.name: exp(a) if log[k] else a
            for k, (f, a) in enumerate(zip(self.free, at, strict=True))
        }

    def bounded(self, x: Any) -> dict[str, Any]:
        """Parameter values of points x `[P, pop]` (or `[P]`) without bounds, for your own loop.

        z is the logistic function of x: 0 is the middle of the box, and bounds are never reached.
        """
        return self.values(jax.nn.sigmoid(jnp.asarray(x)))

    def unbounded(self, values: Mapping[str, Any]) -> np.ndarray:
        """The x of `bounded` at parameter values by name; those on a bound come just inside it."""
        z = np.clip(self.point(values), 1e-6, 1 - 1e-6)
        return np.log(z / (1 - z))

    def slopes(self, z: Any) -> Any:
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

    def prior_residuals(self, z: Any) -> Any:
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
    or to a mapping with any of `low`, `high`, `scale`, `also` and `prior`, a (mean, sd). What is
    one number in a region of a cell can be free there, as "diameter.dendrite".

    Raises ValueError for an unknown name (with the nearest valid one), empty bounds, a log scale
    that reaches zero, a prior without width, or what differs from compartment to compartment.
    """
    if not isinstance(names, Mapping):
        names = {name: {} for name in names}
    known = parameters(cell) | regional(cell)
    chosen = []
    for name, spec in names.items():
        check_known(name, known, "parameter")
        info = known[name][1]
        if isinstance(spec, (tuple, list)):
            if len(spec) != 2:
                raise ValueError(f"{name}: expected (low, high), got {spec!r}")
            spec = {"low": spec[0], "high": spec[1]}
        spec = {} if spec is None or spec is True else dict(spec)
        low, high = float(spec.pop("low", info.low)), float(spec.pop("high", info.high))
        own = "log" if info.scale == "log" else natural_scale(low, high)
        scale = spec.pop("scale", own)
        also = tuple(spec.pop("also", ()))
        prior = spec.pop("prior", None)
        if spec:
            have = "low, high, scale, also, prior"
            raise ValueError(f"{name}: unknown {', '.join(spec)} (have: {have})")
        if not low < high:
            raise ValueError(f"{name}: bounds [{low:g}, {high:g}] {info.unit} are empty")
        if scale not in ("linear", "log") or (scale == "log" and low <= 0):
            raise ValueError(
                f"{name}: a {scale!r} scale does not fit bounds from {low:g} {info.unit}"
            )
        for path in (name, *also):
            check_value(path, [low, high], known)
            check_is_a_number(path, known[path][1])
            check_one_number(path, known[path][0])
        if prior is not None:
            prior = _checked_prior(prior, name, info.unit, scale)
        chosen.append(Free(name, info.unit, low, high, scale, also, prior))
    if not chosen:
        raise ValueError("no free parameter: name at least one")
    return Space(tuple(chosen))


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
