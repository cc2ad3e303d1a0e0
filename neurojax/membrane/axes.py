"""Which axes an array has: first those that its field declares, then that of the population.

A field declares what its arrays own (`param(..., axes=("state",))`, `field`); by default nothing.
What a field holds owns the field's axes and then its own. An electrode's fields own the time axis,
and are constants without it. An array with one axis more than it owns has one entry for each cell
of the population, in its last axis; nothing is guessed from sizes.

Fields of a cell with compartments own "comp": one number is the same for all compartments, and what
differs only from cell to cell is `[1, pop]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from neurojax.membrane.electrode import Electrode

OPTIONAL = frozenset({"step", "comp", "event", "pair"})
"""Axes without which an array is one number: the same at all times, in all compartments, of all
events, or of all pairs of cells."""


@partial(jax.tree_util.register_dataclass, data_fields=["value"], meta_fields=["axes"])
@dataclass(frozen=True)
class Along:
    """A value, such as a state, whose arrays own axes that only its owner knows."""

    axes: tuple[str, ...]
    value: Any


class Array(NamedTuple):
    """A leaf of a tree, and what is known of its axes."""

    name: str  # the path of its field
    value: Any
    own: tuple[str, ...]  # its own axes, which come first
    shape: tuple[int, ...]

    @property
    def pop(self) -> tuple[int, ...]:
        """Its shape past its own axes. Raises ValueError where it has fewer."""
        if len(self.shape) < len(self.own):
            raise ValueError(f"{self.name}: shape {self.shape}, expected {self._expected()}")
        return self.shape[len(self.own) :]

    def check(self) -> None:
        """Raise ValueError for an array of more or fewer axes than it may have."""
        if len(self.pop) > 1:
            raise ValueError(
                f"{self.name}: shape {self.shape}, expected {self._expected()}. A "
                "population has one axis: flatten your grid. An array with other axes of its own "
                "declares them, see `param` and `field`"
            )

    def _expected(self) -> str:
        alone, many = (f"[{', '.join(axes)}]" for axes in (self.own, (*self.own, "pop")))
        return f"{alone if self.own else 'a number'} or {many}"


def arrays(tree: Any) -> list[Array]:
    """The leaves of a tree in JAX's order, with their axes."""
    leaves, structure = jax.tree.flatten(tree)
    found: list[Array] = []
    # Every call of `simulate` comes through here: plain numbers, which most leaves are, are quick.
    for leaf, (name, own) in zip(leaves, _declared(structure), strict=True):
        shape = () if type(leaf) is float else np.shape(leaf)
        found.append(Array(name, leaf, own if shape or not OPTIONAL.issuperset(own) else (), shape))
    return found


@lru_cache(maxsize=4096)
def _declared(structure: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Of every leaf of trees of this structure its name and its axes."""
    tree = jax.tree.unflatten(structure, range(structure.num_leaves))
    return list(_walk(tree, (), ()))


def _walk(
    tree: Any, own: tuple[str, ...], path: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(tree, Along):
        yield from _walk(tree.value, own + tree.axes, path)
        return
    declared = getattr(tree, "axes_of_fields", None)
    if declared is not None:
        for name, axes in declared.items():
            yield from _walk(getattr(tree, name), own + axes, (*path, name))
        return
    rig = isinstance(tree, Electrode)

    def declares(node: Any) -> bool:
        inner = hasattr(node, "axes_of_fields") or isinstance(node, Along | Electrode)
        return inner and node is not tree

    for keys, node in jax.tree_util.tree_leaves_with_path(tree, is_leaf=declares):
        here = (*path, *map(_text, keys))
        if declares(node):
            yield from _walk(node, own, here)
        else:
            yield ".".join(here), (*own, "step") if rig else own


def _text(key: Any) -> str:
    return next(str(x) for k in ("name", "key", "idx") if (x := getattr(key, k, None)) is not None)


def batch_shape(*trees: Any) -> tuple[int, ...]:
    """The shape to which all leaves broadcast, without the axes that they own."""
    return np.broadcast_shapes(*(a.pop for a in arrays(trees)))


def population(**trees: Any) -> tuple[int, ...]:
    """The population that all leaves span: () for one cell, else (n,). An axis of 1 broadcasts.

    Raises ValueError, with the name of the array and what was expected, where the shape of one does
    not fit its axes, or two tell of different numbers of cells.
    """
    return spanned(arrays(trees))


def spanned(found: Iterable[Array]) -> tuple[int, ...]:
    """The `population` of arrays that were found already."""
    told: Array | None = None
    for array in found:
        if array.shape == array.own == ():
            continue
        array.check()
        if not array.pop:
            continue
        if told is None or told.pop == (1,):
            told = array
        elif array.pop not in ((1,), told.pop):
            raise ValueError(
                f"{array.name} has shape {array.shape}, for {array.pop[0]} cells, but "
                f"{told.name} has shape {told.shape}, for {told.pop[0]}"
            )
    return told.pop if told else ()


def map_cells(f: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with f applied to every array that has an entry for each cell."""
    leaves, structure = jax.tree.flatten(tree)
    mapped = [f(x) if a.pop else x for x, a in zip(leaves, arrays(tree), strict=True)]
    return jax.tree.unflatten(structure, mapped)


def check_length(axis: str, n: int, **trees: Any) -> None:
    """Raise ValueError, with its name, for an array that is neither n nor 1 long along an axis."""
    for array in arrays(trees):
        shape = array.shape
        if axis in array.own and shape[array.own.index(axis)] not in (1, n):
            own = shape[array.own.index(axis)]
            raise ValueError(
                f"{array.name}: shape {shape} has a {axis} axis of {own}, expected {n}. What "
                f"differs from cell to cell only is [1, pop]"
            )


def check_compartments(name: str, at: Any, n: int) -> None:
    """Raise ValueError for what are no numbers of n compartments; traced ones are taken as are."""
    if isinstance(at, Tracer):
        return
    numbers = np.asarray(at)
    if numbers.dtype.kind not in "iu" or ((numbers < 0) | (numbers >= n)).any():
        raise ValueError(f"{name} = {numbers}: expected whole numbers from 0 to {n - 1}")


def aligned(tree: Any, pop: tuple[int, ...]) -> Any:
    """The tree with arrays of compartments that all cells share as `[..., comp, 1]`.

    All arrays then broadcast against `[comp, *pop]`. Twice is as good as once.
    """
    if not pop:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    shared = ("comp" in a.own and not a.pop for a in arrays(tree))
    made = [jnp.asarray(x)[..., None] if s else x for x, s in zip(leaves, shared, strict=True)]
    return jax.tree.unflatten(structure, made)
