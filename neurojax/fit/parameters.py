"""Which parameters are free, and the unit box in which every optimiser moves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from neurojax.cell import Cell, check_value, parameters, substitute
from neurojax.units import nearest


@dataclass(frozen=True)
class Free:
    """One free parameter: path name, unit, bounds, and the scale on which it moves.

    `also` are other parameters of the same value: one reversal potential for all potassium
    channels.
    """

    name: str
    unit: str
    low: float
    high: float
    scale: str = "linear"
    also: tuple[str, ...] = ()


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
        return {
            f.name: jnp.exp(a) if log[k] else a
            for k, (f, a) in enumerate(zip(self.free, at, strict=True))
        }

    def slopes(self, z: Any) -> Any:
        """d value / d z, `[P, pop]`."""
        log, low, high = self._edges()
        values = self.values(z)
        return jnp.stack(
            [
                (high[k] - low[k]) * (values[f.name] if log[k] else jnp.ones_like(z[k]))
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
        badness = np.asarray(reject(self.values(z)))
        return z[:, np.argsort(badness, kind="stable")[:n]]

    def spread(self, theta: Mapping[str, Any]) -> dict[str, Any]:
        """The values with those that are tied to them."""
        return {name: theta[f.name] for f in self.free for name in (f.name, *f.also)}

    def apply(self, cell: Cell, theta: Mapping[str, Any]) -> Cell:
        """The cell at these values of the free parameters."""
        return substitute(cell, self.spread(theta))


def free(cell: Cell, names: Iterable[str] | Mapping[str, Any]) -> Space:
    """The space of named free parameters of a cell.

    `names` lists path names, each with the bounds of its declaration, or maps them to `(low, high)`
    or to a mapping with any of `low`, `high`, `scale`, `also`. Raises ValueError for an unknown
    name (with the nearest valid one), empty bounds, or a log scale that reaches zero.
    """
    if not isinstance(names, Mapping):
        names = {name: {} for name in names}
    known = parameters(cell)
    chosen = []
    for name, spec in names.items():
        if name not in known:
            raise ValueError(
                f"no parameter {name!r}{nearest(name, known)} (have: {', '.join(known)})"
            )
        info = known[name][1]
        if isinstance(spec, (tuple, list)):
            if len(spec) != 2:
                raise ValueError(f"{name}: expected (low, high), got {spec!r}")
            spec = {"low": spec[0], "high": spec[1]}
        spec = {} if spec is None or spec is True else dict(spec)
        low, high = float(spec.pop("low", info.low)), float(spec.pop("high", info.high))
        scale = spec.pop(
            "scale", "log" if info.scale == "log" or 0 < 10 * low <= high else "linear"
        )
        also = tuple(spec.pop("also", ()))
        if spec:
            raise ValueError(f"{name}: unknown {', '.join(spec)} (have: low, high, scale, also)")
        if not low < high:
            raise ValueError(f"{name}: bounds [{low:g}, {high:g}] {info.unit} are empty")
        if scale not in ("linear", "log") or (scale == "log" and low <= 0):
            raise ValueError(
                f"{name}: a {scale!r} scale does not fit bounds from {low:g} {info.unit}"
            )
        for path in (name, *also):
            check_value(path, [low, high], known)
        chosen.append(Free(name, info.unit, low, high, scale, also))
    if not chosen:
        raise ValueError("no free parameter: name at least one")
    return Space(tuple(chosen))
