"""Jaxley: one cell of branches, mapped over the population."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import jaxley as jx
import jaxley_hh
import shapes
import spread
import worker
from jaxley.channels import HH, Channel


def cable(job: worker.Job, *channels: Channel) -> jx.Cell:
    """The cell under its current, recorded at its far end."""
    shape = shapes.SHAPES[job["shape"]]
    branches = [jx.Branch(jx.Compartment(), ncomp=s.compartments) for s in shape.sections]
    cell = jx.Cell(branches, parents=[s.parent for s in shape.sections])
    for channel in channels:
        cell.insert(channel)
    cell.set("axial_resistivity", shapes.R_I)
    cell.set("capacitance", 1.0)
    cell.set("v", worker.V_START)
    for k, section in enumerate(shape.sections):
        cell.branch(k).set("length", section.length / section.compartments)
        cell.branch(k).set("radius", section.diameter / 2)
    first, (last, s) = cell.branch(0).comp(0), list(enumerate(shape.sections))[-1]
    first.stimulate(jnp.full(worker.steps(job)[0], shape.current), verbose=False)
    cell.branch(last).comp(s.compartments - 1).record("v", verbose=False)
    return cell


def integrated(job: worker.Job) -> Callable:
    """The records of a cell, of its sodium conductance."""
    cell = cable(job, HH())
    cell.set("HH_eLeak", worker.E_LEAK)
    cell.init_states()
    _, every = worker.steps(job)

    def one(g_na):
        state = cell.data_set("HH_gNa", g_na, None)
        return jx.integrate(cell, param_state=state, delta_t=job["dt"])[0, every::every]

    return one


def loss(job: worker.Job) -> Callable:
    """Mean square distance of a cell's records from the target, of its free parameters."""
    names = {"na": "na0", "k": "k0", "leak": "leak"}
    cell = cable(job, *(jaxley_hh.KINDS[k](name, **worker.NOMINAL[k]) for k, name in names.items()))
    cell.init_states()
    steps, every = worker.steps(job)
    stored = round(math.sqrt(steps))
    aim = jnp.asarray(worker.target(job), jnp.result_type(float))

    def one(theta):
        state = None
        for name, value in theta.items():
            state = cell.data_set(name.replace(".", "_"), value, state)
        lengths = [math.ceil(steps / stored), stored]
        v = jx.integrate(cell, param_state=state, delta_t=job["dt"], checkpoint_lengths=lengths)
        return jnp.mean((v[0, every::every] - aim) ** 2)

    return one


def variants(job: worker.Job) -> worker.Variants:
    spread.start(job)
    if job["question"] == "gradient":
        theta = {k: jnp.asarray(x, jnp.result_type(float)) for k, x in worker.theta(job).items()}
        return spread.ways("checkpoints", lambda: jax.value_and_grad(loss(job)), theta)
    g_na = jnp.asarray(shapes.g_na(job["n"]) * 1e-3)  # S/cm2
    return spread.ways("integrate", partial(integrated, job), g_na)


if __name__ == "__main__":
    worker.serve(variants, "jaxley", "jax", "jaxlib")
