"""Programs as lanes: what a kernel computes is what the program said, or there is a reason."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from neurojax.engine.gpu import intrinsics, kernel, lane_shapes, lanes
from neurojax.engine.gpu.lane_shapes import Unsupported, filled

N = 128


def as_lanes(f, *arrays, **options):
    """What f makes of arrays `[..., N]`, evaluated as lanes; here lanes are plain JAX vectors."""
    sizes = [
        [jax.ShapeDtypeStruct((*a.shape[:-1], n), a.dtype) for a in arrays] for n in (N, 2 * N)
    ]
    one, other = (jax.make_jaxpr(f)(*kinds) for kinds in sizes)
    along = lanes.Lanes(lanes.lanes_of(one.jaxpr, other.jaxpr), N, **options)
    inputs = [filled(a.shape[:-1], lambda at, a=a: jnp.asarray(a)[at]) for a in arrays]
    (out,), var = along.evaluate(one.jaxpr, one.consts, inputs), one.jaxpr.outvars[0]
    rows = [jnp.broadcast_to(e, (N,)) if along.per_cell(var) else e for e in out.flat]
    return np.stack(rows).reshape(*out.shape, *(N,) * along.per_cell(var))


NEW = jax.__version_info__ >= (0, 11)  # older ones have no kernels, and other primitives
needs_kernels = pytest.mark.skipif(not NEW, reason="GPU kernels need JAX 0.11")


# -- one primitive in terms of others -------------------------------------------------------------
EPS = 1.2e-7  # of float32
SIZES = np.concatenate([np.geomspace(1e-30, 30, 60), [0.0]])
BOTH = np.concatenate([-SIZES, SIZES]).astype(np.float32)
EVERY = np.concatenate(
    [BOTH, np.array([1e3, -1e3, 1e20, -1e20, np.inf, -np.inf, np.nan], np.float32)]
)
UNIT = np.concatenate([BOTH[np.abs(BOTH) < 1], [1, -1, 0.999999, -0.999999]]).astype(np.float32)

# By primitive: the function in JAX and in NumPy, where it is tested, and how many roundings it is
# off; each of these is of the result, where nothing cancels.
FUNCTIONS = {
    "expm1": (jnp.expm1, np.expm1, EVERY, 8),
    "log1p": (jnp.log1p, np.log1p, EVERY[~(EVERY <= -1)], 4),
    "floor": (jnp.floor, np.floor, EVERY, 0),
    "ceil": (jnp.ceil, np.ceil, EVERY, 0),
    "cbrt": (jnp.cbrt, np.cbrt, BOTH, 20),  # the logarithm of a size is rounded with its size
    "tan": (jnp.tan, np.tan, BOTH, 60),  # near a pole the rounding of x is most of it
    "asin": (jnp.arcsin, np.arcsin, UNIT, 8),
    "acos": (jnp.arccos, np.arccos, UNIT, 8),
    "atan": (jnp.arctan, np.arctan, EVERY, 4),
    "sinh": (jnp.sinh, np.sinh, BOTH, 10),
    "cosh": (jnp.cosh, np.cosh, BOTH, 4),
    "asinh": (jnp.arcsinh, np.arcsinh, BOTH, 6),
    "acosh": (jnp.arccosh, np.arccosh, 1 + SIZES.astype(np.float32), 6),
    "atanh": (jnp.arctanh, np.arctanh, UNIT[np.abs(UNIT) < 1], 6),
    "logistic": (jax.nn.sigmoid, lambda x: 1 / (1 + np.exp(-x)), EVERY, 4),
    "is_finite": (jnp.isfinite, np.isfinite, EVERY, 0),
    "to truth": (lambda x: x.astype(bool), lambda x: x.astype(bool), EVERY, 0),
    "x ** 0": (lambda x: lax.integer_pow(x, 0), lambda x: x**0, EVERY, 0),
    "x ** 3": (lambda x: lax.integer_pow(x, 3), lambda x: x**3, BOTH, 2),
    "x ** 7": (lambda x: lax.integer_pow(x, 7), lambda x: x**7, BOTH[np.abs(BOTH) > 1e-4], 4),
    "x ** -2": (lambda x: lax.integer_pow(x, -2), lambda x: x**-2.0, BOTH[np.abs(BOTH) > 1e-15], 3),
    "polynomial": (lambda x: jnp.polyval(jnp.asarray([1.0, 2.0, 3.0]), x),
                   lambda x: (x + 2) * x + 3, BOTH, 8),
}  # fmt: skip

if not NEW:
    del FUNCTIONS["polynomial"]  # is a loop there


def padded(x):
    """At the places of many cells, one at each."""
    lanes = -len(x) % N
    return np.concatenate([x, np.ones(lanes, x.dtype)]).reshape(-1, N)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_rewritten_function_is_what_it_was(name):
    f, exact, at, roundings = FUNCTIONS[name]
    x = padded(np.asarray(at))
    with np.errstate(all="ignore"):
        want = exact(x.astype(float))
    got = as_lanes(f, x)
    if got.dtype == bool:
        np.testing.assert_array_equal(got, want)
    else:
        # The smallest numbers are zero to a processor that flushes them.
        np.testing.assert_allclose(got, want, rtol=roundings * EPS, atol=2e-38, err_msg=name)


@pytest.mark.parametrize("y", [0.0, 0.3, 1.7, -2.5, 2.0, -3.0, 4.0])
def test_powers(y):
    x = padded(BOTH[np.abs(BOTH) < 20]) + np.float32(0)  # no negative zero
    with np.errstate(all="ignore"):
        want = np.power(x.astype(float), y)
    got = as_lanes(lambda x: lax.pow(x, jnp.float32(y)), x)
    # The exponent y log2(x) is rounded, and with its size grows the error.
    with np.errstate(all="ignore"):
        bound = (4 + np.abs(y * np.log2(np.abs(np.where(x == 0, 1, x))))) * EPS
        visible = (np.abs(want) < 3e38) & (np.abs(want) > 1e-37)
        assert (np.abs(got - want) <= bound * np.abs(want))[visible].all()
    special = ~np.isfinite(want) | (want == 0)
    np.testing.assert_array_equal(got[special], want[special].astype(np.float32))


@pytest.mark.parametrize("y", [0.7, -0.7, 3.0])
def test_remainders(y):
    x = padded(np.concatenate([np.linspace(-50, 50, 300), [0.0, 2.1, -2.1]]).astype(np.float32))
    y = np.float32(y)
    got = as_lanes(lambda x: lax.rem(x, y), x)
    want = np.fmod(x.astype(float), float(y))
    # What a rounding of x decides is whether it is zero or all of y.
    away = np.abs(got - want)
    assert np.minimum(away, np.abs(away - abs(y))).max() < 50 * EPS
    assert (np.abs(got) < abs(y)).all() and (got * x >= 0).all()
    whole = x.astype(np.int32)
    np.testing.assert_array_equal(as_lanes(lambda x: lax.rem(x, 3), whole), np.fmod(whole, 3))


def test_quick_exponentials_keep_to_their_bound():
    x = np.linspace(-80, 80, 100_001).astype(np.float32)
    exact = np.exp(x.astype(float))
    error = np.abs(np.asarray(intrinsics.fast_exp(x), float) / exact - 1)
    assert (error <= (2 + np.abs(x)) * 1.2e-7).all()


def test_quick_are_exponentials_alone():
    seen = []

    def power_of_two(x):
        seen.append("2^x")
        return lax.exp2(x)

    x = np.linspace(-3, 3, N).astype(np.float32)
    for f in (jnp.exp, jnp.exp2, jax.nn.sigmoid):
        np.testing.assert_allclose(as_lanes(f, x, power_of_two=power_of_two), f(x), rtol=1e-6)
    assert len(seen) == 3
    for f in (jnp.tanh, jnp.expm1, jnp.log1p):
        as_lanes(f, np.abs(x), power_of_two=power_of_two)
    assert len(seen) == 3


def test_a_division_is_by_the_reciprocal():
    x = np.linspace(1, 9, N).astype(np.float32)
    exact = as_lanes(lambda x: 3 / x, x, reciprocal=lambda x: 0 * x + 2)
    np.testing.assert_array_equal(exact, np.full(N, 6.0))
    np.testing.assert_allclose(as_lanes(lambda x: x / 7, x), x / 7, rtol=2 * EPS)
    np.testing.assert_array_equal(as_lanes(lambda x: x / 0.0, x), np.full(N, np.inf))


@needs_kernels
def test_what_is_called_elementary_is_in_mosaic_s_table():
    try:
        from jax._src.pallas.mosaic_gpu import lowering
    except ImportError:
        pytest.skip("this JAX has no Mosaic for GPUs")
    tables = {tuple(k.name for k in key): t for key, t in lowering.mosaic_lowering_rules.items()}
    known = {p.name for p in tables["Lane", "Warpgroup"]}
    # These the kernel makes of others before Mosaic sees them.
    assert known >= lanes.ELEMENTWISE
    assert not lanes.ELEMENTWISE & intrinsics.REWRITTEN.keys()


# -- what users write -----------------------------------------------------------------------------
A, B, C = (np.asarray(a, np.float32) for a in ([[1, 2], [3, 4]], [1, 2, 3], np.eye(3)))
X = np.random.default_rng(0).normal(0, 2, (3, N)).astype(np.float32)

PROGRAMS = {
    "stack": lambda x: jnp.stack([x[0], 2 * x[1]]),
    "concatenate": lambda x: jnp.concatenate([x, x[:1]]),
    "first": lambda x: x[0],
    "last": lambda x: x[-1],
    "part": lambda x: x[1:],
    "strides": lambda x: x[::2],
    "backwards": lambda x: x[::-1],
    "roll": lambda x: jnp.roll(x, 1, axis=0),
    "differences": lambda x: jnp.diff(x, axis=0),
    "repeat": lambda x: jnp.repeat(x, 2, axis=0),
    "tile": lambda x: jnp.tile(x, (2, 1)),
    "pad": lambda x: jnp.pad(x, ((1, 2), (0, 0)), constant_values=7.0),
    "split": lambda x: jnp.split(x, 3)[1],
    "unstack": lambda x: jnp.unstack(x)[2],
    "transpose": lambda x: jnp.stack([x, 2 * x]).transpose(1, 0, 2),
    "reshape": lambda x: jnp.stack([x, 2 * x]).reshape(6, -1),
    "set one": lambda x: x.at[1].set(5.0),
    "add to one": lambda x: x.at[2].add(x[0]),
    "multiply some": lambda x: x.at[:2].multiply(x[1:]),
    "least of one": lambda x: x.at[0].min(0.0),
    "by a list": lambda x: x[jnp.asarray([2, 0])],
    "by numbers": lambda x: x[jnp.arange(2)],
    "dynamic": lambda x: lax.dynamic_index_in_dim(x, 1, 0, keepdims=False),
    "sum": lambda x: x.sum(0),
    "mean": lambda x: x.mean(0),
    "standard deviation": lambda x: x.std(0),
    "norm": lambda x: jnp.linalg.norm(x, axis=0),
    "product": lambda x: x.prod(0),
    "largest": lambda x: x.max(0),
    "least": lambda x: x.min(0),
    "which is largest": lambda x: x.argmax(0),
    "which is least": lambda x: x.argmin(0),
    "any": lambda x: (x > 1).any(0),
    "all": lambda x: (x < 1).all(0),
    "running sum": lambda x: jnp.cumsum(x, 0),
    "running sum back": lambda x: lax.cumsum(x, 0, reverse=True),
    "running product": lambda x: jnp.cumprod(x, 0),
    "running maximum": lambda x: lax.cummax(x, 0),
    "matrix": lambda x: A @ x[:2],
    "vector": lambda x: B @ x,
    "einsum": lambda x: jnp.einsum("ij,jp->ip", C, x),
    "einsum of cells": lambda x: jnp.einsum("ap,ap->p", x, x),
    "outer": lambda x: B[:, None] * x[0],
    "softmax": lambda x: jax.nn.softmax(x, axis=0),
    "table of one": lambda x: B[1] * x,
    "linspace": lambda x: jnp.linspace(0, 1, 5)[:, None] * x[0],
    "bins": lambda x: jnp.arange(4)[:, None] == x[0].astype(int),
    "one hot": lambda x: jax.nn.one_hot(jnp.clip(x[0], 0, 3).astype(int), 4, axis=0),
    "where": lambda x: jnp.where(x > 0, x, -x),
    "where of truths": lambda x: jnp.where(x > 0, x > 1, x < -1),
    "select": lambda x: jnp.select([x < -1, x < 1], [x, 2 * x], 3 * x),
    "piecewise": lambda x: jnp.piecewise(x, [x < 0], [lambda x: -x, lambda x: 2 * x]),
    "clip": lambda x: jnp.clip(x, -1, 1),
    "logic": lambda x: (x > 0) & ~(x > 1) | (x < -2) ^ (x > 2),
    "no truth": lambda x: jnp.zeros_like(x, bool),
    "count": lambda x: (x > 0) + jnp.int32(1),
    "integers": lambda x: (x * 10).astype(int) // 3 + (x * 10).astype(int) % 3,
    "modulo": lambda x: jnp.mod(x, 2.0),
    "power": lambda x: jnp.abs(x) ** 1.7,
    "of a negative": lambda x: x**3.0,
    "two to the": lambda x: 2.0**x,
    "sinc": jnp.sinc,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "log sum": lambda x: jax.nn.logsumexp(x, axis=0),
    "slope": lambda x: jax.jvp(jnp.exp, (x,), (jnp.ones_like(x),))[1],
    "jit": jax.jit(lambda x: x * 2),
    "checkpoint": jax.checkpoint(jnp.exp),
    "stop gradient": lax.stop_gradient,
    "barrier": lax.optimization_barrier,
    "cells by vmap": lambda x: jax.vmap(jnp.exp, 1, 1)(x),
    "choice": lambda x: lax.cond(x.shape[0] == 3, jnp.sin, jnp.cos, x),
    "choice while it runs": lambda x: lax.switch(
        (x[0, 0:1] * 0 + 1).sum().astype(int), [jnp.sin, jnp.cos, jnp.tanh], x
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [k for k in PROGRAMS if k != "choice while it runs"])
def test_what_users_write_along_leading_axes(name):
    f = PROGRAMS[name]
    want, got = f(jnp.asarray(X)), as_lanes(f, X)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_choice_that_only_a_run_can_tell(which):
    def f(x, which):
        return lax.switch(which, [jnp.sin, jnp.cos, jnp.tanh], x)

    one, other = (jax.make_jaxpr(f)(jnp.ones((3, n)), 0) for n in (N, 2 * N))
    along = lanes.Lanes(lanes.lanes_of(one.jaxpr, other.jaxpr), N)
    inputs = [filled((3,), lambda at: X[at]), filled((), lambda at: jnp.asarray(which))]
    (got,) = along.evaluate(one.jaxpr, one.consts, inputs)
    np.testing.assert_allclose(np.stack(got), f(X, which), rtol=1e-6)


UNSUPPORTED = {
    "'sort' has no counterpart": lambda x: jnp.sort(x, axis=0),
    "'cumsum' over the cells": lambda x: jnp.cumsum(x, -1),
    "'reduce_sum' over the cells": lambda x: x - x.sum(-1, keepdims=True),
    "'slice' of the cells": lambda x: x[:, :64],
    "'rev' over the cells": lambda x: x[:, ::-1],
    "'scatter' over the cells": lambda x: x.at[:, 0].set(1.0),
    "'dot_general' over the cells": lambda x: jnp.einsum("ap,bp->ab", x, x),
    "numbering the cells": lambda x: x + jnp.arange(x.shape[-1]),
    "axis of an array .384": lambda x: x.ravel(),
    "'transpose' of the cells|last axis": lambda x: x.T,
    "last axis of an array": lambda x: jnp.stack([x, x], axis=-1),
    "'while' has no counterpart": lambda x: lax.while_loop(
        lambda x: (x > 1).any(), lambda x: x / 2, x
    ),
    "makes complex64": lambda x: jnp.abs(x + 1j),
    "'scatter-add' to one place more than once": lambda x: x.at[np.array([0, 0])].add(x[:2]),
    "'debug_": lambda x: (jax.debug.print("here"), x)[1],
}


@pytest.mark.parametrize("reason", UNSUPPORTED)
def test_what_no_kernel_can_do_has_a_reason(reason):
    with pytest.raises(Unsupported, match=reason):
        as_lanes(UNSUPPORTED[reason], X)


def test_programs_that_depend_on_the_number_of_cells_are_refused():
    with pytest.raises(Unsupported, match="depends on the number of cells"):
        as_lanes(lambda x: x if x.shape[-1] == N else x + 1, X)


def test_an_array_of_as_many_entries_as_cells_is_not_taken_for_cells():
    @jax.jit
    def double(x):
        return 2 * x

    table = jnp.arange(float(N))
    with pytest.raises(Unsupported, match="as many cells as"):
        as_lanes(lambda x: double(x) + double(table).sum(), X[0])
    # Where nothing is shared but the number, it is told apart.
    got = as_lanes(lambda x: x + (table * 2).max(), X[0])
    np.testing.assert_allclose(got, X[0] + 254.0, rtol=1e-6)


@needs_kernels
def test_every_rule_has_a_test():
    covered = set()
    for f in [*PROGRAMS.values(), *(f for f, *_ in FUNCTIONS.values()), *UNSUPPORTED.values()]:
        covered |= {e.primitive.name for e in lanes.equations(jax.make_jaxpr(f)(X).jaxpr)}
    covered |= {"pow", "rem"}  # with tests of their own
    made_by_jax = {"add_any", "copy", "copy_p", "expand_dims"}
    as_others = {"cummin", "scatter-max"}
    assert (
        lane_shapes.ALONG.keys() | intrinsics.REWRITTEN.keys()
    ) - covered <= made_by_jax | as_others


# -- in a kernel ----------------------------------------------------------------------------------
@needs_kernels
def test_mosaic_lowers_all_of_it_in_one_kernel():
    programs = [f for f in PROGRAMS.values() if f is not PROGRAMS["choice while it runs"]]
    functions = [f for f, *_ in FUNCTIONS.values()]

    def f(leaves):
        def body(x, _):
            return x + 1, [f(x) for f in [*programs, *functions]]

        return lax.scan(body, leaves[0], length=2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program = jax.jit(kernel.fused(f, [True], kernel.Kernel())).trace([jnp.asarray(X)])
        text = program.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("custom_call @mosaic_gpu") == 1
