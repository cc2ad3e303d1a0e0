"""Diffrax: the equations of one cell, with a fixed step or one that adapts, mapped over cells."""

from __future__ import annotations

import diffrax
import equations
import jax
import jax.numpy as jnp
import spread
import worker

MOST = 20_000  # steps that adapt; a cell that needs more is NaN from there on


def field(job: worker.Job):
    """Right-hand side of a model: v in mV, gates, t in ms."""
    model, i = equations.MODELS[job.get("model", "squid")], job.get("i", worker.CURRENT)
    g = {name: current.g for name, current in model.currents.items()}

    def slopes(t, y, g_na):
        own = g | {"na": g_na}
        moves = equations.relaxations(model, y, own)
        moved = {name: rate * (to - y[name]) for name, (to, rate) in moves.items()}
        return {"v": i - equations.current(model, y, own)} | moved

    return slopes


def start(job: worker.Job):
    """Potential and gates at rest before the current comes on."""
    v = jnp.asarray(job.get("v", worker.V_START), jnp.result_type(float))
    return equations.settled(equations.MODELS[job.get("model", "squid")], v)


def solved(job: worker.Job, solver: diffrax.AbstractSolver):
    """By `diffeqsolve`, which saves when a record is due; its steps adapt to a tolerance if any."""
    total, every = worker.steps(job)
    term = diffrax.ODETerm(field(job))
    times = job["record_ms"] * jnp.arange(1, total // every + 1)
    first, most, control = job["dt"], total + 2, diffrax.ConstantStepSize()
    if "tol" in job:
        first, most = None, MOST
        control = diffrax.PIDController(rtol=job["tol"], atol=job["tol"])

    def one(g_na):
        solution = diffrax.diffeqsolve(
            term, solver, 0.0, job["ms"], first, start(job), args=g_na,
            saveat=diffrax.SaveAt(ts=times, fn=lambda t, y, args: y["v"]),
            adjoint=diffrax.ForwardMode(), max_steps=most, stepsize_controller=control, throw=False,
        )  # fmt: skip
        return solution.ys

    return one


def stepped(job: worker.Job, solver: diffrax.AbstractSolver):
    """By the solver's own `step`, as the documentation does it by hand."""
    total, every = worker.steps(job)
    term = diffrax.ODETerm(field(job))

    def one(g_na):
        def tick(carry, k):
            y, memory = carry
            t = k * job["dt"]
            y, _, _, memory, _ = solver.step(
                term, t, t + job["dt"], y, g_na, memory, made_jump=False
            )
            return (y, memory), None

        def record(carry, ks):
            carry, _ = jax.lax.scan(tick, carry, ks)
            return carry, carry[0]["v"]

        y = start(job)
        memory = solver.init(term, 0.0, job["dt"], y, g_na)
        ks = jnp.arange(total).reshape(total // every, every)
        return jax.lax.scan(record, (y, memory), ks)[1]

    return one


def variants(job: worker.Job) -> worker.Variants:
    spread.start(job)
    g_na = jnp.asarray(worker.g_na(job))
    # Heun is the cheapest that is of second order, as the others are.
    solver = getattr(diffrax, job.get("solver", "Heun"))()
    found = spread.ways("diffeqsolve", lambda: solved(job, solver), g_na)
    if "tol" not in job:
        found |= spread.ways("step", lambda: stepped(job, solver), g_na)
    return found


if __name__ == "__main__":
    worker.serve(variants, "diffrax", "jax", "jaxlib")
