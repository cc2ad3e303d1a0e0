"""Jaxley: one cell of branches, mapped over the population."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import jaxley as jx
import jaxley_hh
import numpy as np
import shapes
import spread
import worker
from jaxley.channels import HH, Channel


def cable(job: worker.Job, *channels: Channel) -> jx.Cell:
    """The cell under its current, recorded at its far end."""
    sections, current = shapes.SHAPES[job["shape"]]
    kinds = {n: jx.Branch(jx.Compartment(), ncomp=n) for n in {s.compartments for s in sections}}
    cell = jx.Cell([kinds[s.compartments] for s in sections], parents=[s.parent for s in sections])
    for channel in channels:
        cell.insert(channel)
    cell.set("axial_resistivity", shapes.R_I)
    cell.set("capacitance", 1.0)
    cell.set("v", worker.V_START)
    number = [s.compartments for s in sections]
    cell.set("length", np.repeat([s.length / s.compartments for s in sections], number))
    cell.set("radius", np.repeat([s.diameter / 2 for s in sections], number))
    first, last = cell.branch(0).comp(0), cell.branch(len(sections) - 1).comp(number[-1] - 1)
    first.stimulate(jnp.full(worker.steps(job)[0], current), verbose=False)
    last.record("v", verbose=False)
    return cell


def integrated(job: worker.Job) -> Callable:
    """The records of a cell, of its sodium conductance."""
    cell = cable(job, HH())
    cell.set("HH_eLeak", worker.E_LEAK)
    cell.init_states()
    _, every = worker.steps(job)
    how = {"delta_t": job["dt"], "solver": job.get("solver", "bwd_euler")}

    def one(g_na):
        state = cell.data_set("HH_gNa", g_na, None)
        return jx.integrate(cell, param_state=state, **how)[0, every::every]

    return one


def loss(job: worker.Job, checkpoints: bool) -> Callable:
    """Mean square distance of a cell's records from the target, of its free parameters."""
    names = {"na": "na0", "k": "k0", "leak": "leak"}
    cell = cable(job, *(jaxley_hh.KINDS[k](name, **worker.NOMINAL[k]) for k, name in names.items()))
    cell.init_states()
    steps, every = worker.steps(job)
    stored = round(math.sqrt(steps))
    lengths = [math.ceil(steps / stored), stored] if checkpoints else None
    aim = jnp.asarray(worker.target(job), jnp.result_type(float))

    def one(theta):
        state = None
        for name, value in theta.items():
            state = cell.data_set(name.replace(".", "_"), value, state)
        v = jx.integrate(cell, param_state=state, delta_t=job["dt"], checkpoint_lengths=lengths)
        return jnp.mean((v[0, every::every] - aim) ** 2)

    return one


def variants(job: worker.Job) -> worker.Variants:
    """On all devices where the cells can be divided: to put one together takes too long to try."""
    spread.start(job)
    if job["question"] == "gradient":
        theta = {k: jnp.asarray(x, jnp.result_type(float)) for k, x in worker.theta(job).items()}
        ways = {"no checkpoints": False, "checkpoints": True}
        makes = {k: lambda on=on: jax.value_and_grad(loss(job, on)) for k, on in ways.items()}
        return dict(last(spread.ways(name, make, theta)) for name, make in makes.items())
    g_na = jnp.asarray(worker.g_na_watched(job) * 1e-3)  # S/cm2
    return dict([last(spread.ways("integrate", partial(integrated, job), g_na))])


def last(ways: worker.Variants) -> tuple[str, Callable]:
    """The way on most devices."""
    return list(ways.items())[-1]


if __name__ == "__main__":
    worker.serve(variants, "jaxley", "jax", "jaxlib")
