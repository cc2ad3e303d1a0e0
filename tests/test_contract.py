"""What every channel of the catalogue promises: a new channel is tested by being listed there."""

import dataclasses
import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from around import cell_of, cell_with, seen
from jax.extend.core import Literal

import neurojax as nj
from neurojax.channels import catalogue
from neurojax.engine.gpu import lanes
from neurojax.engine.passes import hoist
from neurojax.engine.passes.jaxpr import equations
from neurojax.membrane.channel import Channel, params
from neurojax.membrane.compartment import channel_current
from neurojax.membrane.ghk import ConstantField
from neurojax.membrane.markov import Scheme
from neurojax.units import UNITS

CHANNELS = catalogue()

# Every half-integer mV, and both sides of each: removable singularities of published rates lie on
# round numbers, and a patch that is right on the point may be wrong beside it.
HALVES = np.arange(-150.0, 100.5, 0.5)
V = np.unique(np.concatenate([HALVES, HALVES - 1e-4, HALVES + 1e-4, HALVES - 0.05, HALVES + 0.05]))
DT = np.geomspace(1e-3, 1e3, 13)

# A published fit that leaves [0, 1] is kept as published, and said so in its docstring.
LARGEST_GATE = {"CrabKa": 1.013, "SinusF": 1.0125}

# So is one whose branches do not meet: where, in mV.
BRANCHES = {
    "HumanVentricleNa": [-40.0],
    "PurkinjeCaP": [-40.0],
    "PyramidalKp": [-60.0],
    "SinusF": [-80.0, 60.0],
    "ThalamusCaT": [-80.0],
    "VentricleNa": [-40.0],
}

# Schemes that go round for ever: up to this step, ms, its parts leave the steady state alone.
DRIVEN = {"SynapseGabaB": 1.0}

# What says how much there is of a channel: a conductance, a permeability, a pump's current.
SIZES = ("g_bar", "g_max", "P_bar", "i_max")

SCHEMES = {name: cls for name, cls in CHANNELS.items() if issubclass(cls, Scheme)}
GATED = {name: cls for name, cls in CHANNELS.items() if name not in SCHEMES}

every_channel = pytest.mark.parametrize("cls", CHANNELS.values(), ids=CHANNELS)
every_scheme = pytest.mark.parametrize("cls", SCHEMES.values(), ids=SCHEMES)
every_gated = pytest.mark.parametrize("cls", GATED.values(), ids=GATED)


# Formulas are evaluated operation by operation, on arrays of few shapes: an operation is compiled
# once and serves all channels, where a program for each of them would take minutes.
POTENTIALS, STEPS = jnp.asarray(V), jnp.asarray(DT)[:, None]
WHOLE = np.isin(V, HALVES)


def current(channel, v, x):
    return channel_current(cell_with(channel), "c", v, x, seen(channel, v))


def readings(channel, v):
    """What a cell asks of a channel at a potential: rates, and the current with gates settled."""
    c = seen(channel, v)
    gating = {k: (g.opening, g.rate) for k, g in channel.kinetics(v, 30.0, **c).items()}
    return gating, current(channel, v, channel.steady_state(v, **c))


def only(k, leaves):
    """Ones in the place of a leaf and zeros in those of the others."""
    return [jnp.full_like(a, k == n) for n, a in enumerate(leaves)]


def slopes(channel, v):
    """Every reading's slope in every parameter and in v, by reverse and by forward mode.

    Each is at each potential: a parameter is an array of its own value, at each potential.
    """
    inputs = jax.tree.map(lambda value: jnp.full_like(v, value), channel), v
    flat, tree_in = jax.tree.flatten(inputs)
    value, pull = jax.vjp(readings, *inputs)
    out, tree_out = jax.tree.flatten(value)
    reverse = [pull(tree_out.unflatten(only(k, out))) for k in range(len(out))]
    _, push = jax.linearize(readings, *inputs)
    forward = [push(*tree_in.unflatten(only(k, flat))) for k in range(len(flat))]
    columns = zip(*map(jax.tree.leaves, forward), strict=True)
    return out, list(map(jax.tree.leaves, reverse)), list(map(list, columns))


@every_channel
def test_value_and_gradient_are_finite_everywhere(cls):
    # Reverse mode is the stricter: there a NaN of the branch not taken survives `where`.
    channel = cls()
    value, reverse, forward = slopes(channel, POTENTIALS)
    for leaf in jax.tree.leaves((value, reverse, forward)):
        assert leaf.shape == V.shape and leaf.dtype == jnp.float32
        bad = np.flatnonzero(~np.isfinite(leaf))
        assert bad.size == 0, f"not finite at v = {V[bad[:5]]} mV"
    inputs = [*jax.tree.leaves(channel), POTENTIALS]
    for reading, of_reverse, of_forward in zip(value, reverse, forward, strict=True):
        for x, r, f in zip(inputs, of_reverse, of_forward, strict=True):
            # A slope that is 0, as a steady state's in time constants, has the reading's rounding.
            rounding = np.abs(reading).max() * 1e-7 / max(np.abs(x).min(), 0.1)
            atol = 1e-5 * (1e-12 + np.abs(f).max()) + 20 * rounding
            np.testing.assert_allclose(r, f, rtol=1e-4, atol=atol)


@every_channel
def test_gradient_has_no_step_at_a_patched_singularity(cls):
    # A clipped or zeroed branch would show as a derivative that jumps between neighbours.
    def gates(v):
        return cls().gating(v, **seen(cls(), v))

    for gate, moved in jax.jvp(gates, (POTENTIALS,), (jnp.ones_like(POTENTIALS),))[1].items():
        for name, d in zip(("inf", "rate"), moved, strict=True):
            d = np.asarray(d, dtype=np.float64)[WHOLE]
            curvature = np.abs(np.diff(d, 2))
            for branch in BRANCHES.get(cls.__name__, []):
                curvature[np.abs(HALVES[1:-1] - branch) < 1] = 0
            typical = np.abs(d[:-2]) + np.abs(d[2:]) + 1e-3 * np.abs(d).max() + 1e-12
            worst = np.argmax(curvature / typical)
            assert curvature[worst] < 0.2 * typical[worst], f"{gate}.{name} near {HALVES[worst]} mV"


@every_channel
def test_steady_state_is_the_fixed_point(cls):
    channel = cls(v_shift=3.25)
    longest = DRIVEN.get(cls.__name__, np.inf)
    c = seen(channel, POTENTIALS)
    settled = channel.steady_state(POTENTIALS, **c)
    for k, moved in channel.advance(settled, POTENTIALS, STEPS, **c).items():
        moved = np.asarray(moved)[longest >= DT]
        np.testing.assert_allclose(moved, np.broadcast_to(settled[k], moved.shape), atol=1e-6)


@every_gated
def test_any_start_arrives_at_the_steady_state(cls):
    channel, v = cls(v_shift=3.25), POTENTIALS
    c = seen(channel, v)
    settled = channel.steady_state(v, **c)
    late = channel.advance({k: jnp.full_like(v, 0.37) for k in settled}, v, 1e9, **c)
    for k in settled:
        np.testing.assert_allclose(late[k], settled[k], rtol=1e-5, atol=1e-6)


@every_scheme
def test_occupancies_add_up_to_1_and_move_in_proportion(cls):
    channel, v, dt = cls(), POTENTIALS, STEPS
    c = seen(channel, v)
    part = jnp.linspace(1, 2, len(cls.states))
    x = {k: part[i] / part.sum() * jnp.ones_like(v) for i, k in enumerate(cls.states)}
    moved = channel.advance(x, v, dt, 30.0, **c)
    one_by_one = channel.propagator(v, dt, 30.0, **c)
    np.testing.assert_allclose(sum(moved.values()), 1, atol=1e-5)
    for k in cls.states:
        assert moved[k].min() >= 0 and moved[k].max() <= 1 + 1e-6
        mixed = sum(x[start] * one_by_one[start][k] for start in cls.states)
        np.testing.assert_allclose(mixed, moved[k], atol=3e-6)


@every_gated
def test_gates_stay_between_0_and_1(cls):
    channel, v, dt = cls(), POTENTIALS, STEPS
    c = seen(channel, v)
    gates = channel.steady_state(v, **c)
    starts = [0.0, 1.0, 0.5, None]
    for start in starts:
        x = gates if start is None else {k: jnp.full_like(v, start) for k in gates}
        for moved in channel.advance(x, v, dt, **c).values():
            assert moved.min() >= 0 and moved.max() <= LARGEST_GATE.get(cls.__name__, 1)
    for instant in channel.instant(v, **c).values():
        assert instant.min() >= 0 and instant.max() <= 1


@every_gated
def test_propagator_is_advance(cls):
    channel, v, dt = cls(), POTENTIALS, STEPS
    c = seen(channel, v)
    x = {k: jnp.full_like(v, 0.37) for k in channel.steady_state(v, **c)}
    moved = channel.advance(x, v, dt, 30.0, **c)
    propagator = channel.propagator(v, dt, 30.0, **c)
    assert propagator.keys() == moved.keys()
    for k, (a, b) in propagator.items():
        assert a.min() >= 0 and a.max() <= 1
        np.testing.assert_allclose(a * x[k] + b, moved[k], atol=3e-7)


@every_gated
def test_two_half_steps_are_one_step(cls):
    channel, v = cls(), POTENTIALS
    c = seen(channel, v)
    x = {k: jnp.full_like(v, 0.37) for k in channel.steady_state(v, **c)}
    halves = channel.advance(channel.advance(x, v, 0.5, **c), v, 0.5, **c)
    for k, whole in channel.advance(x, v, 1.0, **c).items():
        np.testing.assert_allclose(halves[k], whole, atol=5e-7)


@every_channel
def test_a_kernel_can_run_it(cls):
    assert lanes.culprits(cell_with(cls())) == {}


@every_channel
def test_a_kernel_can_run_the_step_of_a_cell_with_it(cls):
    cell = cell_with(cls())
    s = nj.steady_state(cell, -65.0, (4,))
    jaxpr = jax.make_jaxpr(nj.step)(cell, s, nj.Electrode(0.0, 0.0, 0.0), 0.025).jaxpr
    assert {e.primitive.name for e in equations(jaxpr)} <= lanes.KERNEL_SAFE


@every_channel
def test_a_step_of_a_population_is_that_of_each_cell(cls):
    v = jnp.linspace(-90.0, 40.0, 7)
    fields = {
        name: jnp.linspace(p.low + 0.2 * (p.high - p.low), p.high - 0.3 * (p.high - p.low), 7)
        for name, p in params(cls).items()
    }

    def move(fields, v):
        cell = cell_with(cls(**fields))
        s = nj.steady_state(cell, v - 5.0)._replace(v=v)
        s = nj.step(cell, s, nj.Electrode(0.5, 0.0, 0.0), 0.1)
        return s, channel_current(cell, "c", s.v, s.x["c"], s.c)

    both = move(fields, v), jax.vmap(move)(fields, v)
    for broadcast, mapped in zip(*map(jax.tree.leaves, both), strict=True):
        assert broadcast.shape == (7,)
        # Near a reversal potential rounding is relative to what cancels.
        np.testing.assert_allclose(broadcast, mapped, rtol=1e-5, atol=1e-30)


def test_a_simulation_of_a_population_is_that_of_each_cell():
    # A loop of such steps is the same program for all channels: here with gates, a scheme, a
    # permeability and a pump.
    names = "SquidNa", "HippocampusAmpa", "PurkinjeCaP", "HeartNaKPump"
    electrode = nj.current_clamp(jnp.full(40, 0.5))

    def run(much):
        channels = {"leak": nj.channels.SquidLeak(E_rev=-60.0)}
        for name in names:
            (size,) = (field for field in SIZES if field in params(CHANNELS[name]))
            whole = 1.0 if size == "g_bar" else params(CHANNELS[name])[size].default
            channels[name] = CHANNELS[name](**{size: much * whole})
        record = ("v", *(f"{name}.i" for name in names))
        return nj.simulate(cell_of(channels), electrode, initial=-60.0, record=record).data

    sizes = jnp.linspace(0.05, 0.2, 3)
    together, mapped = run(sizes), jax.vmap(run, out_axes=-1)(sizes)
    for name in together:
        assert together[name].shape == (40, 3)
        np.testing.assert_allclose(together[name], mapped[name], rtol=2e-6, atol=1e-6)


@every_channel
def test_float32_agrees_with_float64(cls):
    def gates():
        channel, v = cls(), jnp.asarray(V.astype(np.float32), float)
        return [a for g in channel.gating(v, **seen(channel, v)).values() for a in g]

    single = gates()
    with jax.enable_x64(True):
        double = gates()
    for a, b in zip(single, double, strict=True):
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        a, b = np.asarray(a)[WHOLE], np.asarray(b)[WHOLE]
        # A rate's relative error is that of an exponent: its rounding times its size, which is
        # up to 40 for published rates in [-150, 100] mV.
        np.testing.assert_allclose(a, b, rtol=5e-6, atol=2e-6 * min(1.0, b.max()))


@every_channel
def test_every_field_is_declared(cls):
    declared = params(cls)
    assert {"v_shift", "tau_scale"} <= declared.keys()
    assert declared.keys() == {f.name for f in dataclasses.fields(cls)}
    for name, p in declared.items():
        assert p.unit in UNITS, f"{name}: unknown unit {p.unit!r}"
        assert p.low < p.high and (p.default is None or p.low <= p.default <= p.high), name
        assert p.scale in ("linear", "log") and (p.scale == "linear" or p.low > 0), name
        assert getattr(cls(), name) == p.default


@every_channel
def test_gates_and_powers_match(cls):
    v = jnp.asarray(-65.0)
    c = seen(cls(), v)
    gates = set(cls().gating(v, **c)) | set(cls().instant(v, **c))
    assert set(cls.powers) == gates
    assert all(isinstance(p, int) and p > 0 for p in cls.powers.values())
    assert set(cls.q10) <= ({"all"} if cls in SCHEMES.values() else gates)
    assert all(1 <= q < 10 for q in cls.q10.values())
    assert 0 < cls.celsius_ref < 45


@every_channel
def test_docstring_cites_its_source(cls):
    source = re.search(r"Source:(.*?)(Deviates:|$)", cls.__doc__, re.DOTALL)
    assert source, "no Source: in the docstring"
    assert re.search(r"\b(19|20)\d\d\b", source[1]), "the source has no year"
    assert re.search(r"doi:10\.\d{4,}/\S+|ISBN", source[1]), "the source has neither doi nor ISBN"
    equation = rf"\bi = ({'|'.join(SIZES)})\b"
    assert re.search(equation, cls.__doc__), "the docstring does not show the current's equation"


def test_catalogue_lists_every_channel_class():
    here = {
        c.__name__
        for base in (Channel, Scheme, ConstantField)
        for c in base.__subclasses__()
        if c.__module__.startswith("neurojax.channels.")
    }
    assert here == set(CHANNELS)


def test_exponentials_and_divisions_of_a_hodgkin_huxley_step():
    # Once they dominated the cost of a step; this holds the count in what the engines run. Division
    # by a number written in the formula is a multiplication after compilation.
    cell = nj.Cell(
        channels={
            "na": nj.channels.SquidNa(),
            "k": nj.channels.SquidK(),
            "leak": nj.channels.SquidLeak(),
        }
    )
    s = nj.steady_state(cell, -65.0, (8,))

    def step(fixed, s, e):
        return nj.step(fixed[0], s, e, fixed[1])

    e = nj.Electrode(1.0, 0.0, 0.0)
    constants, advance = hoist.prepare(step, (cell, 0.025), s, e)
    jaxpr = jax.make_jaxpr(advance)(constants, s, e).jaxpr
    count = Counter(
        e.primitive.name
        for e in equations(jaxpr)
        if e.outvars[0].aval.shape == (8,)
        and not (e.primitive.name == "div" and isinstance(e.invars[1], Literal))
    )
    # The six exponentials of the rates come from two: of v / 80 and of v / 18. Three gates each
    # divide for a steady state and for a rate; the last division is for stiff clamps.
    assert count["exp"] == 2 and count["tanh"] == 0
    assert count["div"] == 7
