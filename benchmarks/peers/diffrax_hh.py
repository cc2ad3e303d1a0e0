"""Diffrax: the equations of one cell with a fixed step, mapped over the population."""

from __future__ import annotations

from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import spread
import worker


def exp_linear(x):
    """x / (1 - exp(-x)); 1 at x = 0."""
    near = jnp.abs(x) < 1e-2
    safe = jnp.where(near, 1.0, x)
    return jnp.where(near, 1 + x / 2, safe / (1 - jnp.exp(-safe)))


def rates(v):
    """Opening and closing rates (1/ms) of m, h and n."""
    return (
        (exp_linear((v + 40) / 10), 4 * jnp.exp(-(v + 65) / 18)),
        (0.07 * jnp.exp(-(v + 65) / 20), 1 / (1 + jnp.exp(-(v + 35) / 10))),
        (0.1 * exp_linear((v + 55) / 10), 0.125 * jnp.exp(-(v + 65) / 80)),
    )


def field(t, y, g_na):
    """Right-hand side: v in mV, gates, t in ms."""
    v, m, h, n = y
    na = g_na * m**3 * h * (v - worker.E_NA)
    k = worker.G_K * n**4 * (v - worker.E_K)
    leak = worker.G_LEAK * (v - worker.E_LEAK)
    gates = (a * (1 - x) - b * x for x, (a, b) in zip((m, h, n), rates(v), strict=True))
    return (worker.CURRENT - na - k - leak, *gates)


def solved(job: worker.Job, solver: diffrax.AbstractSolver):
    """By `diffeqsolve`, which saves when a record is due."""
    total, every = worker.steps(job)
    term = diffrax.ODETerm(field)
    times = job["record_ms"] * jnp.arange(1, total // every + 1)

    def one(g_na):
        solution = diffrax.diffeqsolve(
            term, solver, 0.0, job["ms"], job["dt"], start(), args=g_na,
            saveat=diffrax.SaveAt(ts=times, fn=lambda t, y, args: y[0]),
            adjoint=diffrax.ForwardMode(), max_steps=total + 2,
        )  # fmt: skip
        return solution.ys

    return one


def stepped(job: worker.Job, solver: diffrax.AbstractSolver):
    """By the solver's own `step`, as the documentation does it by hand."""
    total, every = worker.steps(job)
    term = diffrax.ODETerm(field)

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
            return carry, carry[0][0]

        y = start()
        memory = solver.init(term, 0.0, job["dt"], y, g_na)
        ks = jnp.arange(total).reshape(total // every, every)
        return jax.lax.scan(record, (y, memory), ks)[1]

    return one


def start():
    """Potential and gates at rest before the current comes on."""
    v = jnp.asarray(worker.V_START)
    return (v, *(a / (a + b) for a, b in rates(v)))


def variants(job: worker.Job) -> worker.Variants:
    spread.start(job)
    g_na = jnp.asarray(worker.g_na(job))
    solver = diffrax.Heun()  # the cheapest that is of second order, as the others are
    return {
        **spread.ways("diffeqsolve", lambda: partial(solved, job, solver)(), g_na),
        **spread.ways("step", lambda: stepped(job, solver), g_na),
    }


if __name__ == "__main__":
    worker.serve(variants, "diffrax", "jax", "jaxlib")
