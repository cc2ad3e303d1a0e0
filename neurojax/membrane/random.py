"""Random numbers that need no memory: each is a function of who asks, when and what for.

A draw is made from a key and a counter by a cipher, so that it depends neither on the order of the
computation nor on how a population is split. Everything is elementwise and made of what a GPU
kernel can lower.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike, DTypeLike

Word = jax.Array
"""32 bits, uint32."""

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(
    key: tuple[ArrayLike, ArrayLike], counter: tuple[Any, Any], rounds: int = 13
) -> tuple[Word, Word]:
    """Two random words of a key of two words and a counter of two.

    Source: Salmon, Moraes, Dror & Shaw 2011, Proc SC'11:16, doi:10.1145/2063384.2063405: Threefry
    of two 32-bit words, whose 13 rounds pass the tests of BigCrush.
    """
    k0, k1 = (jnp.asarray(k, jnp.uint32) for k in key)
    keys = k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA)
    x, y = counter[0] + k0, counter[1] + k1
    for r in range(rounds):
        turn = _ROTATIONS[r // 4 % 2][r % 4]
        x = x + y
        y = (y << np.uint32(turn)) | (y >> np.uint32(32 - turn))
        y = y ^ x
        if r % 4 == 3:
            k = r // 4 + 1
            x, y = x + keys[k % 3], y + (keys[(k + 1) % 3] + np.uint32(k))
    return x, y


def uniform(word: Word, dtype: DTypeLike) -> jax.Array:
    """A number between 0 and 1, neither included, fine near 0: to 2^-33."""
    # Through signed integers, the only ones that every GPU instruction set converts.
    half = (word >> np.uint32(1)).astype(jnp.int32).astype(dtype)
    return jnp.minimum(half * 2.0**-31 + 2.0**-33, 1 - 2.0**-24)


# -- normal -----------------------------------------------------------------------------------
def _quantile_of(w: np.ndarray) -> np.ndarray:
    """The normal quantile of u over 2 u - 1, where w = -log(4 u (1 - u))."""
    inverse = NormalDist().inv_cdf
    root = np.sqrt(-np.expm1(-w))
    return np.array([inverse(u) for u in np.exp(-w) / (2 * (1 + root))]) / -root


_LOW, _HIGH = 1.0, math.sqrt(1 + 33 * math.log(2))
_NORMAL = np.polynomial.chebyshev.cheb2poly(
    np.polynomial.Chebyshev.interpolate(
        lambda s: _quantile_of(s * s - 1), 12, domain=(_LOW, _HIGH)
    ).coef
).tolist()


def normal(u: jax.Array) -> jax.Array:
    """The standard normal deviate below which a part u of all lies; relative error 1e-5."""
    s = jnp.sqrt(1 - jnp.log(jnp.minimum(4 * u * (1 - u), 1.0)))
    s = s * (2 / (_HIGH - _LOW)) - (_HIGH + _LOW) / (_HIGH - _LOW)
    z = _NORMAL[-1] * jnp.ones_like(s)
    for c in _NORMAL[-2::-1]:
        z = z * s + c
    return z * (2 * u - 1)


# -- binomial ---------------------------------------------------------------------------------
FEW = 6.0
"""Variance up to which binomial numbers are exact."""

_MOST = 24  # above this many successes of a variance up to FEW lies less than 1e-7


def binomial(n: jax.Array, p: jax.Array, u: jax.Array, z: jax.Array) -> jax.Array:
    """How many of n succeed, each with probability p: what a part u of all numbers exceeds.

    n are whole numbers as floats, z is `normal(u)`. Exact to the rounding of u up to a variance of
    FEW. Above, its Cornish-Fisher expansion to the order 1 / sd: the distributions differ by less
    than 1.3e-3 of their mass (6e-4 at a variance of 9), means by 3e-5 and variances by 3e-4 of
    theirs.

    Source: Cornish & Fisher 1938, Rev Inst Int Stat 5:307, doi:10.2307/1400905.
    """
    rare = jnp.minimum(p, 1 - p)
    mean = n * rare
    variance = mean * (1 - rare)
    few = variance <= FEW
    number = jnp.where(few, _counted(jnp.where(few, n, 0.0), rare, u), _expanded(n, rare, -z))
    return jnp.where(p > 0.5, n - number, number)


Count = tuple[jax.Array, jax.Array, jax.Array]
"""A number so far, its probability, and that of more."""


def _counted(n: jax.Array, p: jax.Array, u: jax.Array) -> jax.Array:
    """The number k of successes above which lies less than u: by summing up from none."""
    odds = p / (1 - p)
    log_none = n * jnp.log1p(-p)
    start = jnp.zeros_like(u), jnp.exp(log_none), -jnp.expm1(log_none)

    def one_more(k: jax.Array, carry: Count) -> Count:
        number, here, above = carry
        number = number + jnp.where(u < above, 1.0, 0.0)
        k = k.astype(u.dtype)
        here = here * (odds * (n - k) * (1 / (k + 1)))
        return number, here, above - here

    number, *_ = lax.fori_loop(0, _MOST, one_more, start, unroll=4)
    return jnp.minimum(number, n)


def _expanded(n: jax.Array, p: jax.Array, w: jax.Array) -> jax.Array:
    mean, pq = n * p, p * (1 - p)
    sd = jnp.sqrt(jnp.maximum(n * pq, FEW))
    ww = w * w
    third = (1 - 2 * p) * (ww - 1) / 6
    fourth = w * ((1 - 6 * pq) * (ww - 3) / 24 - (1 - 4 * pq) * (2 * ww - 5) / 36 - 1 / 24)
    return jnp.clip(jnp.floor(mean + 0.5 + sd * w + third + fourth / sd), 0.0, n)
