"""BrainCell: one population of single compartments, spread over the devices."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import spread
import worker
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P


def squid(g_na: jax.Array, solver: str):
    """Hodgkin and Huxley's currents from BrainCell's own catalogue, gates at their steady state."""
    import braincell
    import brainunit as u

    n, density = g_na.size, u.mS / u.cm**2
    na = braincell.ion.SodiumFixed(n, E=worker.E_NA * u.mV)
    na.add(na=braincell.channel.Na_HH1952(n, g_max=g_na * density))
    k = braincell.ion.PotassiumFixed(n, E=worker.E_K * u.mV)
    k.add(k=braincell.channel.K_HH1952(n, g_max=worker.G_K * density))
    leak = braincell.channel.IL(n, g_max=worker.G_LEAK * density, E=worker.E_LEAK * u.mV)
    v = jnp.full(n, worker.V_START) * u.mV
    cells = braincell.SingleCompartment(n, V_initializer=v, solver=solver, na=na, k=k, leak=leak)
    cells.init_state()
    cells.reset_state()
    return cells


def population(job: worker.Job, solver: str, devices: int) -> worker.Run:
    """A jitted run of a model that keeps its state in itself."""
    import brainstate  # here because importing it starts JAX in some versions
    import brainunit as u

    brainstate.environ.set(dt=job["dt"] * u.ms, precision=64 if job["dtype"] == "float64" else 32)
    total, every = worker.steps(job)
    cells = squid(jnp.asarray(worker.g_na(job)), solver)
    mesh = jax.make_mesh((devices,), ("cell",), axis_types=(AxisType.Auto,))
    states = cells.states().values()

    def place(leaf):
        return jax.device_put(leaf, NamedSharding(mesh, P("cell") if jnp.ndim(leaf) else P()))

    start = [jax.tree.map(place, s.value) for s in states]
    current = worker.CURRENT * u.uA / u.cm**2

    @brainstate.transform.jit
    def compiled():
        def tick(k):
            with brainstate.environ.context(t=k * job["dt"] * u.ms, i=k):
                cells.update(current)

        def record(k):
            brainstate.transform.for_loop(tick, k + jnp.arange(every))
            return cells.V.value.to_decimal(u.mV)

        return brainstate.transform.for_loop(record, jnp.arange(0, total, every))

    def run():
        for state, value in zip(states, start, strict=True):
            state.value = value
        return jax.block_until_ready(compiled())

    return run


def variants(job: worker.Job) -> worker.Variants:
    spread.start(job)
    devices = jax.local_device_count()
    return {
        f"{solver}, {d} devices": partial(population, job, solver, d)
        for solver in ("ind_exp_euler", "rk2")
        for d in sorted({1, devices if job["n"] % devices == 0 else 1})
    }


if __name__ == "__main__":
    worker.serve(variants, "braincell", "brainstate", "jax", "jaxlib")
