"""neurojax."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import worker

import neurojax as nj

KINDS = {"na": nj.channels.SquidNa, "k": nj.channels.SquidK, "leak": nj.channels.SquidLeak}


def clamp(job: worker.Job) -> nj.Electrode:
    """The constant current, sample by sample."""
    return nj.current_clamp(np.full(worker.steps(job)[0], worker.CURRENT))


def squid(number: dict[str, int]) -> nj.Cell:
    """So many channels of every kind, which share its conductance."""
    channels = {
        f"{kind}{k}": KINDS[kind](g_bar=worker.NOMINAL[kind]["g_bar"] / n)
        for kind, n in number.items()
        for k in range(n)
    }
    return nj.Cell(channels=channels)


def population(job: worker.Job) -> worker.Run:
    """Cells with a conductance each; for "compile" with any number of channels."""
    _, every = worker.steps(job)
    kinds = [list(KINDS)[k % 3] for k in range(job.get("channels", 3))]
    cell = squid({kind: kinds.count(kind) for kind in kinds})
    cells = nj.replace(cell, {"na0.g_bar": jnp.asarray(worker.g_na(job) / kinds.count("na"))})
    electrode = clamp(job)

    def run():
        recording = nj.simulate(cells, electrode, job["dt"], every=every, initial=worker.V_START)
        return jax.block_until_ready(recording.v)

    return run


def loss(job: worker.Job) -> tuple[Callable, dict[str, jax.Array]]:
    """Mean square distance of every cell's records from the target, of the free parameters."""
    _, every = worker.steps(job)
    pairs = worker.PAIRS[job["parameters"]]
    cell = squid({"na": pairs, "k": pairs, "leak": 1})
    names = {k: k.replace("leak.", "leak0.") for k in worker.theta(job)}
    theta = {k: jnp.asarray(x, jnp.result_type(float)) for k, x in worker.theta(job).items()}
    electrode, aim = clamp(job), jnp.asarray(worker.target(job))[:, None]

    def value(theta):
        cells = nj.replace(cell, {names[k]: x for k, x in theta.items()})
        recording = nj.simulate(cells, electrode, job["dt"], every=every, initial=worker.V_START)
        return jnp.mean((recording.v - aim) ** 2, axis=0)

    return value, theta


def forward(job: worker.Job) -> worker.Run:
    """The loss alone."""
    value, theta = loss(job)
    compiled = jax.jit(value)
    return lambda: (jax.block_until_ready(compiled(theta)), {})


def gradient(job: worker.Job) -> worker.Run:
    """The loss of every cell and its derivative in all parameters."""
    value, theta = loss(job)

    def total(theta):
        each = value(theta)
        return each.sum(), each

    compiled = jax.jit(jax.value_and_grad(total, has_aux=True))

    def run():
        (_, each), slope = jax.block_until_ready(compiled(theta))
        return each, slope

    return run


RUNS = {"loss": forward, "gradient": gradient}


def variants(job: worker.Job) -> worker.Variants:
    nj.configure(compilation_cache=job.get("cache", False), x64=job["dtype"] == "float64")
    return {"neurojax": lambda: RUNS.get(job["question"], population)(job)}


if __name__ == "__main__":
    worker.serve(variants, "neurojax", "jax", "jaxlib")
