"""Draws from the posterior: the normal approximation, and NUTS on the objective's own gradient.

The prior is flat between the bounds, on each parameter's scale.
"""

from __future__ import annotations

import importlib
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from neurojax.fit.precision import computing, on_host
from neurojax.fit.problem import Problem
from neurojax.fit.uncertainty.certificate import Posterior

_TRIES = 200
_DOUBLINGS = 8  # of a trajectory, at most


def laplace(
    problem: Problem,
    best: Float[np.ndarray, " param"],
    covariance: Float[np.ndarray, "param param"],
    draws: int,
    rng: np.random.Generator,
) -> Posterior:
    """Draws of the normal distribution about the best point `[P]`, those within the box.

    covariance `[P, P]` in coordinates of the box, finite.
    """
    began = time.monotonic()
    root = np.linalg.cholesky(covariance)
    kept = np.empty((best.size, 0))
    for _ in range(_TRIES):
        z = best[:, None] + root @ rng.standard_normal((best.size, draws))
        kept = np.concatenate([kept, z[:, ((z >= 0) & (z <= 1)).all(axis=0)]], axis=1)
        if kept.shape[1] >= draws:
            break
    else:
        raise ValueError(
            f"{kept.shape[1]} of {draws * _TRIES} draws of the normal approximation lie within the "
            "bounds: it does not describe this fit. Draw with sampler='nuts'"
        )
    return Posterior(_named(problem, kept[:, :draws]), "laplace", time.monotonic() - began)


def nuts(
    problem: Problem,
    best: Float[np.ndarray, " param"],
    covariance: Float[np.ndarray, "param param"],
    information: float,
    draws: int,
    *,
    chains: int = 16,
    warmup: int = 100,
    seed: int = 0,
) -> Posterior:
    """`draws` in all, by the No-U-Turn sampler in `chains` that are simulated side by side.

    The box is opened by a logit, and its coordinates are turned and scaled by the normal
    approximation (`covariance` `[P, P]` at the best point), so that the chains begin in the
    posterior and steps suit it; their length is adapted over `warmup` draws, which are not kept.
    information: chi-squared per value of the problem.

    Raises ImportError without blackjax.
    Source: Hoffman & Gelman 2014, J Mach Learn Res 15:1593, arXiv:1111.4246.
    """
    package = blackjax()
    began = time.monotonic()
    sd = np.minimum(np.sqrt(np.diag(covariance)), 0.25)
    centre = np.clip(best, 0.5 * sd, 1 - 0.5 * sd)
    slope = centre * (1 - centre)  # of z by its logit
    root = np.linalg.cholesky(covariance) / slope[:, None]
    origin = np.log(centre / (1 - centre))
    differentiated = _differentiated(problem)

    def point(w: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(origin + root @ w)

    def logdensity(w: jax.Array) -> jax.Array:
        u = origin + root @ w
        z = jax.nn.sigmoid(u)
        value, gradient = differentiated(jax.lax.stop_gradient(z))
        # The value, whose derivative in z is the gradient that came with it.
        value = value + gradient @ (z - jax.lax.stop_gradient(z))
        volume = (jax.nn.log_sigmoid(u) + jax.nn.log_sigmoid(-u)).sum()
        return jnp.nan_to_num(-0.5 * information * value, nan=-jnp.inf) + volume

    step, first = package.nuts.build_kernel(), package.nuts.init
    begin, adapt, _ = package.adaptation.step_size.dual_averaging_adaptation(target=0.8)
    mass = np.ones(best.size)

    def chain(key: jax.Array, w: jax.Array):
        def move(carry: Any, xs: Any):
            state, adaptation = carry
            key, warming = xs
            now, averaged, *_ = adaptation  # logarithms of the step
            size = jnp.exp(jnp.where(warming, now, averaged))
            state, info = step(key, state, logdensity, size, mass, max_num_doublings=_DOUBLINGS)
            adapted = adapt(adaptation, info.acceptance_rate)
            adaptation = jax.tree.map(partial(jnp.where, warming), adapted, adaptation)
            return (state, adaptation), (point(state.position), info.is_divergent)

        warming = jnp.arange(warmup - (-draws // chains)) < warmup
        keys = jax.random.split(key, warming.size)
        return jax.lax.scan(move, (first(w, logdensity), begin(0.5)), (keys, warming))[1]

    with computing(problem.precision):
        key, other = jax.random.split(jax.random.key(seed))
        start = jax.random.normal(other, (chains, best.size), dtype=jnp.result_type(float))
        run = jax.jit(jax.vmap(chain))
        z, divergent = on_host(run(jax.random.split(key, chains), start))
    z, divergent = z[:, warmup:], divergent[:, warmup:]
    return Posterior(
        samples=_named(problem, z.reshape(-1, best.size).T),
        method="nuts",
        seconds=time.monotonic() - began,
        chains=chains,
        divergences=int(np.sum(divergent)),
        rhat=dict(zip(problem.space.names, map(float, rhat(z)), strict=True)),
    )


def rhat(draws: Float[np.ndarray, "chain draw param"]) -> Float[np.ndarray, " param"]:
    """How far chains `[chain, draw, P]` disagree: 1 when they have all found the same `[P]`.

    Source: Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., section 11.4; on half chains.
    """
    half = draws.shape[1] // 2
    parts = np.concatenate([draws[:, :half], draws[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = parts.mean(axis=1).var(axis=0, ddof=1)
    return np.sqrt((half - 1) / half + between / within)


def _differentiated(problem: Problem) -> Any:
    """Value and gradient of one point `[P]`; under vmap, of all points as one population."""

    @jax.custom_batching.custom_vmap
    def differentiated(z: jax.Array):
        found = problem.traced(z[:, None])
        return found.value[0], found.gradient[:, 0]

    @differentiated.def_vmap
    def _(size: int, batched: list[bool], z: jax.Array):
        found = problem.traced(z.T)
        return (found.value, found.gradient.T), (True, True)

    return differentiated


def _named(problem: Problem, z: np.ndarray) -> dict[str, np.ndarray]:
    return problem.space.values(z)


def blackjax() -> Any:
    """The package, or an ImportError that says how to get it."""
    try:
        return importlib.import_module("blackjax")
    except ImportError as error:
        raise ImportError(
            "NUTS needs blackjax, which is not installed: pip install 'neurojax[mcmc]', or draw "
            "with sampler='laplace'"
        ) from error
