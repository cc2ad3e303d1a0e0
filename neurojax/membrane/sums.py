"""Long sums that lose nothing: what single precision rounds off is kept and added later."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

MOST = 128
"""Terms at most that are summed plainly: their rounding is far below one of them."""


class Sum(NamedTuple):
    """A compensated sum: in float32 as exact after a million terms as after one.

    Its derivative, by tangents or adjoint, is compensated in the same way. Source: Kahan 1965,
    Commun ACM 8:40, doi:10.1145/363707.363723.
    """

    total: jax.Array
    excess: jax.Array  # by how much the total is too large

    def plus(self, term: jax.Array) -> Sum:
        """The sum with one more term."""
        term = term - self.excess
        total = self.total + term
        return Sum(total, (total - self.total) - term)

    def value(self) -> jax.Array:
        """What the terms add up to."""
        return self.total - self.excess


def zero_sum(shape: tuple[int, ...], dtype: jnp.dtype) -> Sum:
    """A sum of nothing yet."""
    return Sum(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))


def summed_plainly(records: int) -> int:
    """Of how many records the terms are summed plainly, before a compensated sum takes them.

    A divisor of their number where there is a large one: a rest is a program of its own.
    """
    largest = max(n for n in range(1, MOST + 1) if records % n == 0)
    return largest if largest > MOST // 8 else min(MOST, records)
