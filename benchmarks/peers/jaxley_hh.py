"""Jaxley: one cell, mapped over the population."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import equations
import jax
import jax.numpy as jnp
import jaxley as jx
import spread
import worker
from jaxley.channels import HH, Channel, pospischil
from jaxley.integrate import build_init_and_step_fn
from jaxley.solver_gate import exponential_euler, solve_gate_exponential

RADIUS, LENGTH = 1.0, 10.0  # um
NA_PER_DENSITY = 2 * math.pi * RADIUS * LENGTH * 1e-8 * 1e3  # nA per uA/cm2


def compartment(job: worker.Job, *channels: Channel) -> jx.Module:
    """A compartment with channels under its current, recorded."""
    # The experimental exp_euler does not take a compartment alone.
    cell = jx.Cell() if job.get("solver") == "exp_euler" else jx.Compartment()
    for channel in channels:
        cell.insert(channel)
    cell.set("radius", RADIUS)
    cell.set("length", LENGTH)
    cell.set("v", job.get("v", worker.V_START))
    total, _ = worker.steps(job)
    place = cell.branch(0).comp(0) if isinstance(cell, jx.Cell) else cell
    density = job.get("i", worker.CURRENT)
    place.stimulate(jnp.full(total, density * NA_PER_DENSITY), verbose=False)
    place.record("v", verbose=False)
    return cell


def population(job: worker.Job) -> tuple[jx.Module, str]:
    """A model with Jaxley's own channels where it has them; the name of its sodium conductance."""
    name = job.get("model", "squid")
    if name == "squid":
        cell = compartment(job, HH())
        cell.set("HH_eLeak", worker.E_LEAK)
        cell.init_states()
        return cell, "HH_gNa"
    if name in CORTEX:
        return cortex(job, name), "Na_gNa"
    cell = compartment(job, Written(name))
    cell.init_states()
    return cell, f"{name}_g_na"


CORTEX = ("cortex_rs", "cortex_fs")


def cortex(job: worker.Job, name: str) -> jx.Module:
    """One of Pospischil's cells, with the channels and numbers of their paper."""
    named = {"kdr": pospischil.K, "leak": pospischil.Leak, "km": pospischil.Km}
    currents = equations.MODELS[name].currents
    cell = compartment(job, *(named.get(k, pospischil.Na)() for k in currents))
    cell.set("vt", -55.0)
    cell.set("eNa", currents["na"].E)
    cell.set("eK", currents["kdr"].E)
    cell.set("K_gK", 1e-3 * currents["kdr"].g)
    cell.set("Leak_gLeak", 1e-3 * currents["leak"].g)
    cell.set("Leak_eLeak", currents["leak"].E)
    cell.init_states()
    if "km" in currents:
        cell.set("Km_gKm", 1e-3 * currents["km"].g)
        cell.set("Km_taumax", 1000.0)
        p = equations.settled(equations.MODELS[name], job["v"])["km_p"]
        cell.set("Km_p", float(p))  # its own start takes the time constant for a rate
    return cell


class Written(Channel):
    """All currents of a model, as `equations.py` has them."""

    def __init__(self, name: str):
        self.current_is_in_mA_per_cm2 = True
        super().__init__(name)
        self.model = equations.MODELS[name]
        self.channel_params = {
            f"{name}_g_{k}": 1e-3 * c.g for k, c in self.model.currents.items()
        }  # S/cm2
        self.channel_states = self._named(equations.settled(self.model, 0.0))
        self.current_name = f"i_{name}"

    def _named(self, state):
        return {f"{self._name}_{k}": x for k, x in state.items() if k != "v"}

    def _known(self, states, v, params):
        prefix = f"{self._name}_"
        state = {k.removeprefix(prefix): x for k, x in states.items() if k.startswith(prefix)}
        return {**state, "v": v}, {k: params[f"{prefix}g_{k}"] for k in self.model.currents}

    def update_states(self, states, dt, v, params):
        state, g = self._known(states, v, params)
        moves = equations.relaxations(self.model, state, {k: 1e3 * x for k, x in g.items()})
        new = {k: exponential_euler(state[k], dt, to, 1 / rate) for k, (to, rate) in moves.items()}
        return self._named(new)

    def init_state(self, states, v, params, delta_t):
        return self._named(equations.settled(self.model, v))

    def compute_current(self, states, v, params):
        state, g = self._known(states, v, params)
        return equations.current(self.model, state, g)


def integrated(job: worker.Job) -> Callable:
    """By `jx.integrate`, which records every step."""
    cell, varied = population(job)
    _, every = worker.steps(job)

    def one(g_na):
        param_state = cell.data_set(varied, g_na, None)
        solver = job.get("solver", "bwd_euler")
        v = jx.integrate(cell, param_state=param_state, delta_t=job["dt"], solver=solver)
        return v[0, every::every]

    return one


def stepped(job: worker.Job) -> Callable:
    """By the step function that Jaxley hands out, which leaves recording to the caller."""
    cell, varied = population(job)
    total, every = worker.steps(job)
    cell.to_jax()
    init, step = build_init_and_step_fn(cell, solver=job.get("solver", "bwd_euler"))
    inds = cell.external_inds.copy()
    shape = (total // every, every, -1)
    currents = {k: jnp.asarray(a).T.reshape(shape) for k, a in cell.externals.items()}

    def one(g_na):
        state, params = init([], None, cell.data_set(varied, g_na, None), job["dt"])

        def tick(state, now):
            return step(state, params, now, inds, delta_t=job["dt"]), None

        def record(state, now):
            state, _ = jax.lax.scan(tick, state, now)
            return state, state["v"][0]

        return jax.lax.scan(record, state, currents)[1]

    return one


# -- gradients ------------------------------------------------------------------------------------
class Squid(Channel):
    """What the two gated channels below share: parameters, and rates that they shift and scale."""

    powers: dict[str, int] = {}

    def __init__(self, name: str, **values: float):
        self.current_is_in_mA_per_cm2 = True
        super().__init__(name)
        self.channel_params = {f"{name}_{k}": x for k, x in values.items()}
        self.channel_states = {f"{name}_{gate}": 0.5 for gate in self.powers}
        self.current_name = f"i_{name}"

    def rates(self, v):
        """Opening and closing rates (1/ms) by gate."""
        return {}

    def _kinetics(self, v, params):
        shifted = v - params.get(f"{self._name}_v_shift", 0.0)
        for gate, (alpha, beta) in self.rates(shifted).items():
            yield f"{self._name}_{gate}", alpha, beta

    def update_states(self, states, dt, v, params):
        scale = params.get(f"{self._name}_tau_scale", 1.0)
        return {
            gate: solve_gate_exponential(states[gate], dt, alpha / scale, beta / scale)
            for gate, alpha, beta in self._kinetics(v, params)
        }

    def init_state(self, states, v, params, delta_t):
        return {gate: alpha / (alpha + beta) for gate, alpha, beta in self._kinetics(v, params)}

    def compute_current(self, states, v, params):
        name = self._name
        gates = (states[f"{name}_{gate}"] ** power for gate, power in self.powers.items())
        g = 1e-3 * params[f"{name}_g_bar"] * math.prod(gates)  # S/cm2
        return g * (v - params[f"{name}_E_rev"])


def exp_linear(x):
    """x / (1 - exp(-x)); 1 at x = 0."""
    near = jnp.abs(x) < 1e-2
    safe = jnp.where(near, 1.0, x)
    return jnp.where(near, 1 + x / 2, safe / (1 - jnp.exp(-safe)))


class SquidNa(Squid):
    powers = {"m": 3, "h": 1}

    def rates(self, v):
        return {
            "m": (exp_linear((v + 40) / 10), 4 * jnp.exp(-(v + 65) / 18)),
            "h": (0.07 * jnp.exp(-(v + 65) / 20), 1 / (1 + jnp.exp(-(v + 35) / 10))),
        }


class SquidK(Squid):
    powers = {"n": 4}

    def rates(self, v):
        return {"n": (0.1 * exp_linear((v + 55) / 10), 0.125 * jnp.exp(-(v + 65) / 80))}


KINDS = {"na": SquidNa, "k": SquidK, "leak": Squid}


def loss(job: worker.Job, checkpoint_lengths: list[int] | None) -> Callable:
    """Mean square distance of a cell's records from the target, of its free parameters."""
    _, every = worker.steps(job)
    pairs = worker.PAIRS[job["parameters"]]
    kinds = [(kind, f"{kind}{pair}") for pair in range(pairs) for kind in ("na", "k")]
    channels = []
    for kind, name in [*kinds, ("leak", "leak")]:
        values = dict(worker.NOMINAL[kind])
        values["g_bar"] /= 1 if kind == "leak" else pairs
        channels.append(KINDS[kind](name, **values))
    cell = compartment(job, *channels)
    cell.init_states()
    aim = jnp.asarray(worker.target(job), jnp.result_type(float))

    def one(theta):
        state = None
        for name, value in theta.items():
            state = cell.data_set(name.replace(".", "_"), value, state)
        v = jx.integrate(
            cell, param_state=state, delta_t=job["dt"], checkpoint_lengths=checkpoint_lengths
        )
        return jnp.mean((v[0, every::every] - aim) ** 2)

    return one


def gradients(job: worker.Job) -> worker.Variants:
    """The loss alone, or with its gradient in reverse mode and several ways to checkpoint it."""
    theta = {k: jnp.asarray(x, jnp.result_type(float)) for k, x in worker.theta(job).items()}
    if job["question"] == "loss":
        return spread.ways("integrate", partial(_value, job), theta)
    total, _ = worker.steps(job)
    inner = [round(total**0.5), 3 * round(total**0.5)]
    third = math.ceil(total ** (1 / 3))
    stores = [None, *([math.ceil(total / k), k] for k in inner), [third] * 3]
    found = {}
    for lengths in stores:
        name = f"checkpoints {lengths}" if lengths else "no checkpoints"
        found |= spread.ways(name, partial(_value_and_grad, job, lengths), theta)
    return found


def passes(job: worker.Job) -> worker.Variants:
    """Both, one beside the other; with checkpoints in one way alone, as compilers are slow."""
    steps, _ = worker.steps(job)
    lengths = [math.ceil(steps / round(steps**0.5)), round(steps**0.5)]
    theta = {k: jnp.asarray(x, jnp.result_type(float)) for k, x in worker.theta(job).items()}
    forward = spread.ways("integrate", partial(_value, job), theta)
    reverse = spread.ways("integrate", partial(_value_and_grad, job, lengths), theta)
    return {k: lambda k=k: worker.passes(forward[k](), reverse[k]()) for k in reverse}


def _value(job):
    one = loss(job, None)
    return lambda theta: (one(theta), {})


def _value_and_grad(job, lengths):
    return jax.value_and_grad(loss(job, lengths))


def variants(job: worker.Job) -> worker.Variants:
    spread.start(job)
    if job["question"] == "passes":
        return passes(job)
    if job["question"] in ("loss", "gradient"):
        return gradients(job)
    g_na = jnp.asarray(worker.g_na(job)) * 1e-3  # S/cm2
    found = spread.ways("integrate", partial(integrated, job), g_na)
    if job.get("solver") != "exp_euler":  # whose step needs what only integrate prepares
        found |= spread.ways("step_fn", partial(stepped, job), g_na)
    return found


if __name__ == "__main__":
    worker.serve(variants, "jaxley", "jax", "jaxlib")
