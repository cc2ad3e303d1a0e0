"""A tree in two halves, each with None for the leaves of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax


def divided(tree: Any, which: Sequence[bool]) -> tuple[Any, Any]:
    """The leaves of a tree that are meant, and the others."""
    leaves, kind = jax.tree.flatten(tree)
    pairs = list(zip(leaves, which, strict=True))
    meant = jax.tree.unflatten(kind, [x if m else None for x, m in pairs])
    return meant, jax.tree.unflatten(kind, [None if m else x for x, m in pairs])


def merged(one: Any, other: Any) -> Any:
    """The tree of two halves."""
    return jax.tree.map(
        lambda a, b: b if a is None else a, one, other, is_leaf=lambda leaf: leaf is None
    )
