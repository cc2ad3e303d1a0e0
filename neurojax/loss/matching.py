"""Spikes of a model and of data in pairs: in order, and near in time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def match(
    cost: Float[Array, "data model *pop"],
    missing: Float[Array, "data ..."],
    extra: Float[Array, " model *pop"],
) -> Bool[Array, "data model *pop"]:
    """Which spike of the data is which of the model: true at pairs.

    Pairs are in order on both sides. Of all ways to pair them the one is chosen in which the sum is
    least: a pair costs `cost`, a spike of the data without one `missing`, one of the model `extra`.
    Nothing is differentiated here.

    Source: Victor & Purpura 1996, J Neurophysiol 76:1310, doi:10.1152/jn.1996.76.2.1310, in which a
    pair costs its distance.
    """
    cost, missing, extra = jax.lax.stop_gradient((cost, missing, extra))
    zero = jnp.zeros_like(extra[:1])
    alone = jnp.concatenate([zero, jnp.cumsum(extra, axis=0)])  # the first k of the model, unpaired
    places = jnp.arange(len(alone)).reshape(-1, *[1] * (alone.ndim - 1))

    def forth(least: jax.Array, row: Any) -> tuple[jax.Array, Any]:
        """The least sum of the first k spikes of the model, with one more of the data."""
        cost, missing = row
        skipped = least + missing
        paired = jnp.concatenate([zero + jnp.inf, least[:-1] + cost])
        here = jnp.minimum(skipped, paired) - alone
        best = jax.lax.cummin(here, axis=0)
        origin = jax.lax.cummax(jnp.where(here <= best, places, 0), axis=0)
        return best + alone, (origin, (paired < skipped).astype(places.dtype))

    def back(k: jax.Array, row: Any) -> tuple[jax.Array, jax.Array]:
        """From the last spike of the data to the first, with k of the model left."""
        origin, paired = row
        k = jnp.where(places == k, origin, 0).sum(0)
        hit = jnp.where(places == k, paired, 0)
        return k - hit.sum(0), hit[1:]

    _, choices = jax.lax.scan(forth, alone, (cost, missing))
    k = jnp.full(extra.shape[1:], len(extra), places.dtype)
    return jax.lax.scan(back, k, choices, reverse=True)[1] > 0
