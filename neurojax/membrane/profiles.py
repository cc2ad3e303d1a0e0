"""Densities as functions of the path distance: a few numbers, which may be free, for all of a tree.

A function is a pytree with parameters, as channels are, that is called with path distances in um.
Its parameters have path names: "density.na.apical.distance".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from neurojax.membrane.channel import Leaf, ParamInfo, field, param, pytree

DENSITY = ParamInfo(1.0, "1", 0.0, 1e6, "linear")
"""What a relative density may be."""


@pytree
class Exponential:
    """A density that goes from `near` at the soma to `far`, by 63 % over each `distance`."""

    near: Leaf = param(1.0, "1", 0.0, 1e6, "linear")
    far: Leaf = param(0.0, "1", 0.0, 1e6, "linear")
    distance: Leaf = param(100.0, "um", 1.0, 1e5)

    def __call__(self, path: jax.Array) -> jax.Array:
        return self.far + (self.near - self.far) * jnp.exp(-path / self.distance)


@pytree
class Painted:
    """The density of a channel that is a function of the path distance in some regions.

    `numbers` are what it is elsewhere, 0 where a function tells; `where` is 1 in the region of each
    function and 0 elsewhere.
    """

    numbers: Leaf = field(axes=())
    path: Leaf = field(axes=())
    functions: dict[str, Any] = field(axes=())
    where: dict[str, Leaf] = field(axes=())

    def value(self) -> jax.Array:
        """How dense the channel is."""
        total = jnp.asarray(self.numbers)
        for region, f in self.functions.items():
            total = total + self.where[region] * f(self.path)
        return total


EVERYWHERE = ""
"""The region of a function for all compartments."""


def has_parameters(f: Any) -> bool:
    """Whether a function of the path distance has parameters by name."""
    return hasattr(f, "axes_of_fields")


def density_of(value: Any) -> Any:
    """A density as numbers."""
    return value.value() if isinstance(value, Painted) else value


def functions_of(density: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The functions among densities, and what the names of their parameters begin with."""
    for key, painted in density.items():
        if isinstance(painted, Painted):
            for region, f in painted.functions.items():
                yield _prefix(key, region), f


def with_parameters(density: Mapping[str, Any], values: Mapping[str, Leaf]) -> dict[str, Any]:
    """Densities with other parameters of their functions, by path name."""
    changed = dict(density)
    for key, painted in density.items():
        if not isinstance(painted, Painted):
            continue
        functions = dict(painted.functions)
        for region, f in functions.items():
            prefix = _prefix(key, region)
            own = {k.removeprefix(prefix): x for k, x in values.items() if k.startswith(prefix)}
            # "density.na.distance" and "density.na.apical.distance" may both be there.
            own = {k: x for k, x in own.items() if "." not in k}
            functions[region] = replace(f, **own) if own else f
        changed[key] = replace(painted, functions=functions)
    return changed


def _prefix(key: str, region: str) -> str:
    return f"density.{key}.{region}." if region else f"density.{key}."
