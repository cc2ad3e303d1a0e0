"""What every channel of the catalogue promises: a new channel is tested by being listed there."""

import dataclasses
import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Literal

import neurojax as nj
from neurojax.channel import Channel, params
from neurojax.channels import catalogue
from neurojax.engine import lean
from neurojax.scheme import Scheme
from neurojax.units import UNITS

CHANNELS = catalogue()

# Every half-integer mV, and both sides of each: removable singularities of published rates lie on
# round numbers, and a patch that is right on the point may be wrong beside it.
HALVES = np.arange(-150.0, 100.5, 0.5)
V = np.unique(np.concatenate([HALVES, HALVES - 1e-4, HALVES + 1e-4, HALVES - 0.05, HALVES + 0.05]))
DT = np.geomspace(1e-3, 1e3, 13)

# What a Mosaic GPU kernel can lower, of all that gating formulas might use. Not among them: expm1,
# log1p, pow, floor, is_finite, custom derivatives.
KERNEL_SAFE = set(
    """
    add sub mul div neg abs max min sign exp exp2 log log2 tanh logistic sqrt rsqrt square sin cos
    erf integer_pow one_minus_square select_n clamp lt le gt ge eq ne and or not
    convert_element_type broadcast_in_dim
    """.split()  # noqa: SIM905
)
# Sums of tangents, which the derivative of a current makes; an addition under another name.
KERNEL_SAFE_STEP = KERNEL_SAFE | {"add_any"}

# A published fit that leaves [0, 1] is kept as published, and said so in its docstring.
LARGEST_GATE = {"CrabKa": 1.013}

every_channel = pytest.mark.parametrize("cls", CHANNELS.values(), ids=CHANNELS)


def readings(channel, v):
    """All that a cell asks of a channel at a potential: gates and the current with them settled."""
    gating = {k: (g.inf, g.rate) for k, g in channel.kinetics(v, 30.0).items()}
    return gating, channel.current(v, channel.steady_state(v))


def equations(jaxpr):
    """The primitive equations of a jaxpr, those of inner calls included."""
    for eqn in jaxpr.eqns:
        inner = [getattr(p, "jaxpr", p) for p in eqn.params.values()]
        inner = [p for p in inner if hasattr(p, "eqns")]
        if inner:
            for sub in inner:
                yield from equations(sub)
        else:
            yield eqn


def unsafe(jaxpr, safe):
    return {
        f"{e.primitive.name} {e.params.get('y', '')}".strip()
        for e in equations(jaxpr)
        if e.primitive.name not in safe
        or (e.primitive.name == "integer_pow" and e.params["y"] <= 1)
    }


@every_channel
def test_value_and_gradient_are_finite_everywhere(cls):
    # Reverse mode is the stricter: there a NaN of the branch not taken survives `where`.
    channel = cls()
    argnums = (0, 1)
    value = jax.jit(lambda c, v: readings(c, v))(channel, jnp.asarray(V))
    reverse = jax.jit(jax.vmap(jax.jacrev(readings, argnums), (None, 0)))(channel, jnp.asarray(V))
    forward = jax.jit(jax.vmap(jax.jacfwd(readings, argnums), (None, 0)))(channel, jnp.asarray(V))
    for leaf in jax.tree.leaves((value, reverse, forward)):
        assert leaf.dtype == jnp.float32
        bad = np.flatnonzero(~np.isfinite(leaf))
        assert bad.size == 0, f"not finite at v = {V[bad[:5]]} mV"
    for r, f in zip(jax.tree.leaves(reverse), jax.tree.leaves(forward), strict=True):
        np.testing.assert_allclose(r, f, rtol=1e-4, atol=1e-5 * (1e-12 + np.abs(f).max()))


@every_channel
def test_gradient_has_no_step_at_a_patched_singularity(cls):
    # A clipped or zeroed branch would show as a derivative that jumps between neighbours.
    v = jnp.asarray(HALVES)

    def slopes(v):
        return jax.jacfwd(lambda v: cls().gating(v))(v)

    for gate, (d_inf, d_rate) in jax.vmap(slopes)(v).items():
        for name, d in (("inf", d_inf), ("rate", d_rate)):
            d = np.asarray(d, dtype=np.float64)
            curvature = np.abs(np.diff(d, 2))
            typical = np.abs(d[:-2]) + np.abs(d[2:]) + 1e-3 * np.abs(d).max() + 1e-12
            worst = np.argmax(curvature / typical)
            assert curvature[worst] < 0.2 * typical[worst], f"{gate}.{name} near {HALVES[worst]} mV"


@every_channel
def test_steady_state_is_the_fixed_point(cls):
    channel = cls(v_shift=3.25)
    v, dt = jnp.asarray(V), jnp.asarray(DT)[:, None]
    settled = channel.steady_state(v)
    for k, moved in channel.advance(settled, v, dt).items():
        np.testing.assert_allclose(moved, jnp.broadcast_to(settled[k], moved.shape), atol=1e-6)
        # ... and it is where any start arrives.
        late = channel.advance({g: jnp.full_like(v, 0.37) for g in settled}, v, 1e9)[k]
        np.testing.assert_allclose(late, settled[k], rtol=1e-5, atol=1e-6)


@every_channel
def test_gates_stay_between_0_and_1(cls):
    channel, v, dt = cls(), jnp.asarray(V), jnp.asarray(DT)[:, None]
    gates = channel.steady_state(v)
    starts = [0.0, 1.0, 0.5, None]
    for start in starts:
        x = gates if start is None else {k: jnp.full_like(v, start) for k in gates}
        for moved in channel.advance(x, v, dt).values():
            assert moved.min() >= 0 and moved.max() <= LARGEST_GATE.get(cls.__name__, 1)
    for instant in channel.instant(v).values():
        assert instant.min() >= 0 and instant.max() <= 1


@every_channel
def test_propagator_is_advance(cls):
    channel, v, dt = cls(), jnp.asarray(V), jnp.asarray(DT)[:, None]
    x = {k: jnp.full_like(v, 0.37) for k in channel.steady_state(v)}
    moved = channel.advance(x, v, dt, 30.0)
    propagator = channel.propagator(v, dt, 30.0)
    assert propagator.keys() == moved.keys()
    for k, (a, b) in propagator.items():
        assert a.min() >= 0 and a.max() <= 1
        np.testing.assert_allclose(a * x[k] + b, moved[k], atol=3e-7)


@every_channel
def test_two_half_steps_are_one_step(cls):
    channel, v = cls(), jnp.asarray(V)
    x = {k: jnp.full_like(v, 0.37) for k in channel.steady_state(v)}
    halves = channel.advance(channel.advance(x, v, 0.5), v, 0.5)
    for k, whole in channel.advance(x, v, 1.0).items():
        np.testing.assert_allclose(halves[k], whole, atol=5e-7)


@every_channel
def test_a_kernel_can_lower_it(cls):
    channel = cls()
    v = jnp.full(4, -65.0)

    def move(channel, x, v):
        x = channel.advance(x, v, 0.025, 30.0)
        return x, channel.current(v, x)

    jaxpr = jax.make_jaxpr(move)(channel, channel.steady_state(v), v)
    assert unsafe(jaxpr.jaxpr, KERNEL_SAFE) == set()


@every_channel
def test_a_kernel_can_lower_the_step_of_a_cell_with_it(cls):
    cell = nj.Cell(channels={"c": cls()}, celsius=30.0)
    s = nj.settled(cell, -65.0, (4,))
    jaxpr = jax.make_jaxpr(nj.step)(cell, s, nj.Electrode(0.0, 0.0, 0.0), 0.025)
    assert unsafe(jaxpr.jaxpr, KERNEL_SAFE_STEP) == set()


@every_channel
def test_broadcasting_is_vmap(cls):
    v = jnp.linspace(-90.0, 40.0, 7)
    fields = {
        name: jnp.linspace(p.low + 0.2 * (p.high - p.low), p.high - 0.3 * (p.high - p.low), 7)
        for name, p in params(cls).items()
    }

    def move(fields, v):
        channel = cls(**fields)
        x = channel.advance(channel.steady_state(v - 5.0), v, 0.1, 30.0)
        return x, channel.current(v, x)

    both = move(fields, v), jax.vmap(move)(fields, v)
    for broadcast, mapped in zip(*map(jax.tree.leaves, both), strict=True):
        assert broadcast.shape == (7,)
        np.testing.assert_allclose(broadcast, mapped, rtol=1e-6, atol=1e-30)


@every_channel
def test_population_simulation_is_vmap(cls):
    g_bar = jnp.linspace(0.05, 0.2, 3)
    electrode = nj.current_clamp(jnp.full(40, 0.5))

    def run(g_bar):
        cell = nj.Cell(channels={"c": cls(g_bar=g_bar), "leak": nj.channels.SquidLeak(E_rev=-60.0)})
        return nj.simulate(cell, electrode, initial=-60.0, record=("v", "c.i")).data

    together, mapped = run(g_bar), jax.vmap(run, out_axes=-1)(g_bar)
    for name in together:
        assert together[name].shape == (40, 3)
        np.testing.assert_allclose(together[name], mapped[name], rtol=2e-6, atol=1e-6)


@every_channel
def test_float32_agrees_with_float64(cls):
    def gates(v):
        return {k: tuple(g) for k, g in cls().gating(v).items()}

    single = jax.tree.map(np.asarray, jax.jit(gates)(jnp.asarray(HALVES)))
    with jax.enable_x64(True):
        double = jax.tree.map(np.asarray, jax.jit(gates)(jnp.asarray(HALVES)))
    for k in double:
        for a, b in zip(single[k], double[k], strict=True):
            assert (a.dtype, b.dtype) == (np.float32, np.float64)
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
        assert p.low < p.high and p.low <= p.default <= p.high, name
        assert p.scale in ("linear", "log") and (p.scale == "linear" or p.low > 0), name
        assert getattr(cls(), name) == p.default


@every_channel
def test_gates_and_powers_match(cls):
    gates = set(cls().gating(jnp.asarray(-65.0))) | set(cls().instant(jnp.asarray(-65.0)))
    assert set(cls.powers) == gates
    assert all(isinstance(p, int) and p > 0 for p in cls.powers.values())
    assert set(cls.q10) <= gates
    assert all(1 <= q < 10 for q in cls.q10.values())
    assert 0 < cls.celsius_ref < 45


@every_channel
def test_docstring_cites_its_source(cls):
    source = re.search(r"Source:(.*?)(Deviates:|$)", cls.__doc__, re.DOTALL)
    assert source, "no Source: in the docstring"
    assert re.search(r"\b(19|20)\d\d\b", source[1]), "the source has no year"
    assert re.search(r"doi:10\.\d{4,}/\S+|ISBN", source[1]), "the source has neither doi nor ISBN"
    assert "i = g_bar" in cls.__doc__, "the docstring does not show the current's equation"


def test_catalogue_lists_every_channel_class():
    here = {
        c.__name__
        for c in [*Channel.__subclasses__(), *Scheme.__subclasses__()]
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
    s = nj.settled(cell, -65.0, (8,))

    def step(fixed, s, e):
        return nj.step(fixed[0], s, e, fixed[1])

    e = nj.Electrode(1.0, 0.0, 0.0)
    constants, advance = lean.prepare(step, (cell, 0.025), s, e)
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
