"""Placing populations: the pop axis, always last, is split over the local devices."""

from __future__ import annotations

from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

T = TypeVar("T")


def shard(tree: T) -> T:
    """Split the last axis of every leaf over the local devices, if these are several and divide it.

    What is computed from the result is then computed on all of them; cells do not talk to each
    other, so nothing is communicated. Scalars, and leaves whose last axis does not divide, are left
    as they are.
    """
    devices = jax.local_devices()
    if len(devices) == 1:
        return tree
    mesh = Mesh(np.array(devices), ("pop",), axis_types=(AxisType.Auto,))

    def place(leaf: Any) -> Any:
        shape = np.shape(leaf)
        if not shape or shape[-1] == 0 or shape[-1] % len(devices):
            return leaf
        spec = PartitionSpec(*[None] * (len(shape) - 1), "pop")
        return jax.device_put(leaf, NamedSharding(mesh, spec))

    return jax.tree.map(place, tree)
