"""The lean step: the same numbers and derivatives from fewer exponentials and divisions."""

from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from around import cell_of, modules

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa, catalogue
from neurojax.engine import scan
from neurojax.engine.passes import hoist
from neurojax.engine.passes.jaxpr import flatten
from neurojax.membrane.compartment import step
from neurojax.membrane.rest import at_rest

TICK = nj.Electrode(jnp.asarray(5.0), jnp.asarray(-60.0), jnp.asarray(0.1))
V = np.linspace(-120.0, 70.0, 381)


def lean_step(cell, s, e, dt=0.025):
    """One step as the engines run it."""
    for sub_step in cell.sub_steps():
        constants, moved = hoist.prepare(
            lambda fixed, s, e, move=sub_step.move: move(fixed[0], s, e, fixed[1]), (cell, dt), s, e
        )
        s = moved(constants, s, e)
    return s


def squid(**parameters):
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()}, celsius=8.0)
    return nj.replace(cell, {k.replace("__", "."): x for k, x in parameters.items()})


def away(cell):
    """A state far from its steady one at every potential."""
    s = nj.steady_state(cell, jnp.asarray(V))
    return s._replace(x=jax.tree.map(lambda x: 0.5 * x + 0.2, s.x))


def near(got, want, rtol=1e-10, atol=None):
    """Every leaf; without an atol, to 1e-12 of the largest in it."""
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol, 1e-12 * np.abs(b).max() if atol is None else atol)


def primitives(f, *args):
    closed, _ = flatten(f, *args, rules=False)
    return Counter(e.primitive.name for e in closed.jaxpr.eqns if e.outvars[0].aval.shape)


SCHEMES = {
    module: schemes
    for module, channels in modules().items()
    if (schemes := {n: cls for n, cls in channels.items() if issubclass(cls, nj.Scheme)})
}


@pytest.mark.parametrize("channels", SCHEMES.values(), ids=SCHEMES)
def test_a_lean_step_is_a_step(channels, x64):
    """Of schemes; of gates below, where their tangents are."""
    cell = cell_of({name: cls() for name, cls in channels.items()})
    s = away(cell)
    near(lean_step(cell, s, TICK), step(cell, s, TICK, 0.025), rtol=1e-13, atol=1e-12)


# Gates, a pool, a scheme, a permeability; of the others that a lean step is a step, above, and that
# their formulas lose nothing in single precision, in test_contract.
COMPILED = "hair_cell", "human_ventricle", "squid"


@pytest.mark.parametrize(
    "channels",
    [
        pytest.param(channels, id=name, marks=[] if name in COMPILED else pytest.mark.slow)
        for name, channels in modules().items()
    ],
)
def test_a_compiled_lean_step_in_single_precision_is_a_step_in_double(channels):
    cell = cell_of({name: cls() for name, cls in channels.items()})
    s = away(cell)
    got = jax.jit(lean_step)(cell, s, TICK)
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda a: jnp.asarray(a, float), (s, TICK))
        want = step(cell, *exact, 0.025)
    # Rounding of large currents is what v has most of, mV.
    near(got.v, want.v, rtol=3e-6, atol=5e-5)
    near((got.x, got.c), (want.x, want.c), rtol=3e-6, atol=2e-6)


# All that the pass knows how to do is in the formulas of gates; a scheme adds only compile time.
# One mode is as good as the other: both are JAX's derivatives of the same equations.
GATED = {
    module: gated
    for module, channels in modules().items()
    if (gated := {n: cls for n, cls in channels.items() if not issubclass(cls, nj.Scheme)})
}
REVERSE = {
    "sodium and calcium": ("SquidNa", "CortexCaT"),
    "potassium": ("CrabKa", "HergKr", "TwoPoreK"),
}


def both(channels):
    """A cell, some potentials, and what a step makes of them, lean and plain."""
    cell = cell_of({name: cls(v_shift=2.0) for name, cls in channels.items()})
    s = away(cell)

    def states_after(step):
        return lambda cell, v: jax.tree.leaves(step(cell, s._replace(v=v), TICK))

    steps = [states_after(f) for f in (lean_step, partial(step, dt=0.025))]
    return jax.tree.map(jnp.asarray, cell), s.v, steps


@pytest.mark.parametrize("channels", GATED.values(), ids=GATED)
def test_a_lean_step_and_its_tangents_are_those_of_a_step(channels, x64):
    cell, v, steps = both(channels)
    rng = np.random.default_rng(0)
    # Every parameter moves, by about its own size.
    moves = jax.tree.map(lambda a: jnp.asarray(rng.normal() * (0.1 + abs(a))), cell)
    along = (moves, jnp.asarray(rng.normal(size=v.shape)))
    (lean, lean_moves), (plain, plain_moves) = (jax.jvp(f, (cell, v), along) for f in steps)
    near(lean, plain, rtol=1e-13, atol=1e-12)
    near(lean_moves, plain_moves)


@pytest.mark.parametrize("names", REVERSE.values(), ids=REVERSE)
def test_gradients_of_a_lean_step_are_those_of_a_step(names, x64):
    cell, v, steps = both({name: catalogue()[name] for name in names})
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=v.shape) for _ in steps[0](cell, v)]

    def weighted(f):
        return lambda cell, v: sum((w * x).sum() for w, x in zip(weights, f(cell, v), strict=True))

    near(*(jax.grad(weighted(f), argnums=(0, 1))(cell, v) for f in steps))


@pytest.mark.smoke
def test_equal_slopes_share_one_exponential():
    # exp(-v / 80), exp(-(v + 65) / 20) and exp(-(v - shift) / 10) are powers of the first.
    def f(shift, v):
        return jnp.exp(-v / 80) + jnp.exp(-(v + 65) / 20) + jnp.exp((shift - v) / 10)

    v, shift = jnp.asarray(V), jnp.linspace(-5.0, 5.0, V.size)
    constants, advance = hoist.prepare(f, shift, v)
    assert primitives(f, shift, v)["exp"] == 3
    assert primitives(advance, constants, v)["exp"] == 1
    np.testing.assert_allclose(advance(constants, v), f(shift, v), rtol=3e-6)


def test_slopes_of_other_sign_or_no_common_measure_are_left_alone():
    def f(_, v):
        return jnp.exp(v / 10) + jnp.exp(-v / 10) + jnp.exp(-v / 17)

    constants, advance = hoist.prepare(f, 0.0, jnp.asarray(V))
    assert primitives(advance, constants, jnp.asarray(V))["exp"] == 3


@pytest.mark.parametrize("double", [False, True])
def test_slopes_written_as_decimals_are_recognised(double):
    def f(_, v):
        return jnp.exp(-0.05 * v) + jnp.exp(-0.1 * (v + 3)) + jnp.exp(-0.15 * v) + jnp.exp(0 * v)

    with jax.enable_x64(double):
        v = jnp.asarray(V)
        constants, advance = hoist.prepare(f, 0.0, v)
        assert primitives(advance, constants, v)["exp"] <= 2
        rtol = 1e-14 if double else 5e-6
        np.testing.assert_allclose(advance(constants, v), f(0.0, v), rtol=rtol)


def test_a_slope_that_is_a_parameter_is_left_alone():
    def f(slope, v):
        return jnp.exp(slope * v) + jnp.exp(2 * slope * v)

    constants, advance = hoist.prepare(f, 0.05, jnp.asarray(V))
    np.testing.assert_allclose(advance(constants, jnp.asarray(V)), f(0.05, V), rtol=1e-6)


@pytest.mark.smoke
def test_what_time_does_not_change_is_computed_once():
    def f(fixed, v):
        return v * jnp.exp(fixed) / (1 + fixed * fixed)

    v, fixed = jnp.asarray(V), jnp.linspace(0.1, 1.0, V.size)
    constants, advance = hoist.prepare(f, fixed, v)
    assert set(primitives(advance, constants, v)) == {"mul"}
    np.testing.assert_allclose(advance(constants, v), f(fixed, v), rtol=1e-6)


@pytest.mark.parametrize("v", [-500.0, 500.0, 1e4])
def test_absurd_potentials_give_numbers_and_slopes(v):
    # Where an exponential would overflow, the formulas guard it; so must the shared one be.
    cell = squid()
    s = nj.steady_state(cell, -65.0)._replace(v=jnp.asarray(v))
    gates, slopes = (
        jax.jit(f)(s.v)
        for f in (
            lambda v: lean_step(cell, s._replace(v=v), TICK).x,
            jax.jacrev(lambda v: lean_step(cell, s._replace(v=v), TICK).x),
        )
    )
    assert all(np.isfinite(x) for x in jax.tree.leaves((gates, slopes)))


def test_nan_is_not_swallowed():
    cell = squid()
    s = nj.steady_state(cell, jnp.array([-65.0, -65.0]))._replace(v=jnp.array([jnp.nan, -65.0]))
    out = jax.jit(lean_step)(cell, s, TICK)
    assert np.isnan(out.v[0]) and np.isfinite(out.v[1])


def test_spike_times_move_by_less_than_5_us_in_500_ms():
    """Single precision and the shared exponentials against float64 and the plain step."""
    i = jnp.asarray(10.0)

    def times(double):
        with jax.enable_x64(double):
            cell = nj.replace(squid(), {"na.g_bar": jnp.linspace(110.0, 130.0, 4)})
            s = at_rest(cell)
            if double:
                tick = nj.Electrode(i, 0.0, 0.0)
                _, v = jax.jit(
                    lambda s: jax.lax.scan(
                        lambda s, _: (new := step(cell, s, tick, 0.025), new.v), s, length=20000
                    )
                )(s)
            else:
                current = nj.current_clamp(np.full(20000, 10.0, np.float32))
                _, v, _ = jax.jit(lambda s: scan.run(cell, s, current, 0.025, lambda cell, s: s.v))(
                    s
                )
        v = np.asarray(v, dtype=np.float64)
        found = []
        for row in v.T:
            k = np.flatnonzero((row[:-1] < 0) & (row[1:] >= 0))
            found.append(0.025 * (k + row[k] / (row[k] - row[k + 1])))
        return found

    for single, double in zip(times(False), times(True), strict=True):
        assert single.size == double.size > 30
        assert np.abs(single - double).max() < 5e-3


def test_fixed_factors_in_a_row_are_one(x64):
    def f(fixed, x):
        a, b, c = fixed
        y = a * (x * b) / c
        return y, jnp.sin(y) * b * a

    fixed, x = (jnp.float64(3.0), jnp.linspace(1.0, 2.0, 4), jnp.float64(7.0)), jnp.arange(4.0)
    constants, advance = hoist.prepare(f, fixed, x)
    for got, want in zip(advance(constants, x), f(fixed, x), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-15)
    names = [e.primitive.name for e in jax.make_jaxpr(advance)(constants, x).jaxpr.eqns]
    assert names.count("mul") == 2 and "div" not in names

    def slope(b):
        constants, advance = hoist.prepare(f, (fixed[0], b, fixed[2]), x)
        return advance(constants, x)[1].sum()

    np.testing.assert_allclose(
        jax.grad(slope)(fixed[1]),
        jax.grad(lambda b: f((fixed[0], b, fixed[2]), x)[1].sum())(fixed[1]),
    )
