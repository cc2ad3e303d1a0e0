"""Programs as lanes: what a kernel computes is what the program said, or there is a reason."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from kernels import needs_kernels

from neurojax.engine.gpu import intrinsics, kernel, lanes
from neurojax.engine.gpu.lane_shapes import Unsupported, filled
from neurojax.engine.passes.jaxpr import equations

N = 128


def as_lanes(f, *arrays, **options):
    """What f, a program for one cell, makes of arrays `[..., N]` as lanes: plain JAX vectors."""
    one = jax.make_jaxpr(f)(*(jax.ShapeDtypeStruct(a.shape[:-1], a.dtype) for a in arrays))
    inputs = [filled(a.shape[:-1], lambda at, a=a: jnp.asarray(a)[at]) for a in arrays]
    (out,) = lanes.Lanes(N, **options).evaluate(one.jaxpr, one.consts, inputs)
    rows = [jnp.broadcast_to(e, (N,)) for e in out.flat]
    return jnp.stack(rows).reshape(*out.shape, N)


def at_once(fs):
    """What functions of nothing make, compiled as one program."""
    return jax.tree.map(np.asarray, jax.jit(lambda: {name: f() for name, f in fs.items()})())


NEW = jax.__version_info__ >= (0, 11)  # older ones have no kernels, and other primitives


# -- one primitive in terms of others -------------------------------------------------------------
EPS = 1.2e-7  # of float32
SIZES = np.concatenate([np.geomspace(1e-30, 30, 60), [0.0]])
BOTH = np.concatenate([-SIZES, SIZES]).astype(np.float32)
EVERY = np.concatenate(
    [BOTH, np.array([1e3, -1e3, 1e20, -1e20, np.inf, -np.inf, np.nan], np.float32)]
)

# By primitive: the function in JAX and in NumPy, where it is tested, and how many roundings it is
# off; each of these is of the result, where nothing cancels.
FUNCTIONS = {
    "expm1": (jnp.expm1, np.expm1, EVERY, 8),
    "log1p": (jnp.log1p, np.log1p, EVERY[~(EVERY <= -1)], 4),
    "floor": (jnp.floor, np.floor, EVERY, 0),
    "ceil": (jnp.ceil, np.ceil, EVERY, 0),
    "atan": (jnp.arctan, np.arctan, EVERY, 4),
    "sinh": (jnp.sinh, np.sinh, BOTH, 10),
    "cosh": (jnp.cosh, np.cosh, BOTH, 4),
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


def test_a_rewritten_function_is_what_it_was():
    at = {name: padded(np.asarray(x)) for name, (_, _, x, _) in FUNCTIONS.items()}
    made = at_once({k: partial(as_lanes, f, at[k]) for k, (f, *_) in FUNCTIONS.items()})
    for name, (_, exact, _, roundings) in FUNCTIONS.items():
        with np.errstate(all="ignore"):
            want = exact(at[name].astype(float))
        if made[name].dtype == bool:
            np.testing.assert_array_equal(made[name], want, err_msg=name)
        else:
            # The smallest numbers are zero to a processor that flushes them.
            close = {"rtol": roundings * EPS, "atol": 2e-38, "err_msg": name}
            np.testing.assert_allclose(made[name], want, **close)


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
A, B = (np.asarray(a, np.float32) for a in ([[1, 2], [3, 4]], [1, 2, 3]))
X = np.random.default_rng(0).normal(0, 2, (3, N)).astype(np.float32)

PROGRAMS = {
    "stack": lambda x: jnp.stack([x[0], 2 * x[1]]),
    "concatenate": lambda x: jnp.concatenate([x, x[:1]]),
    "first": lambda x: x[0],
    "last": lambda x: x[-1],
    "part": lambda x: x[1:],
    "strides": lambda x: x[::2],
    "backwards": lambda x: x[::-1],
    "roll": lambda x: jnp.roll(x, 1),
    "differences": lambda x: jnp.diff(x),
    "repeat": lambda x: jnp.repeat(x, 2),
    "tile": lambda x: jnp.tile(x, 2),
    "pad": lambda x: jnp.pad(x, (1, 2), constant_values=7.0),
    "split": lambda x: jnp.split(x, 3)[1],
    "unstack": lambda x: jnp.unstack(x)[2],
    "transpose": lambda x: jnp.stack([x, 2 * x]).T,
    "reshape": lambda x: jnp.stack([x, 2 * x]).ravel(),
    "by a list": lambda x: x[jnp.asarray([2, 0])],
    "by numbers": lambda x: x[jnp.arange(2)],
    "dynamic": lambda x: lax.dynamic_index_in_dim(x, 1, 0, keepdims=False),
    "set one": lambda x: lax.dynamic_update_slice(x, jnp.ones(1), (1,)),
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "standard deviation": lambda x: x.std(),
    "norm": jnp.linalg.norm,
    "product": lambda x: x.prod(),
    "largest": lambda x: x.max(),
    "least": lambda x: x.min(),
    "any": lambda x: (x > 1).any(),
    "all": lambda x: (x < 1).all(),
    "sum of rows": lambda x: jnp.stack([x, 2 * x]).sum(0),
    "running sum": lambda x: jnp.cumsum(jnp.stack([x, 2 * x]), 0),
    "running sum back": lambda x: lax.cumsum(x, reverse=True),
    "running maximum": lax.cummax,
    "running minimum": lax.cummin,
    "outer": lambda x: B[:, None] * x,
    "softmax": jax.nn.softmax,
    "table of one": lambda x: B[1] * x,
    "linspace": lambda x: jnp.linspace(0, 1, 5) * x[0],
    "bins": lambda x: jnp.arange(4) == x[0].astype(int),
    "one hot": lambda x: jax.nn.one_hot(jnp.clip(x[0], 0, 3).astype(int), 4),
    "where": lambda x: jnp.where(x > 0, x, -x),
    "where of truths": lambda x: jnp.where(x > 0, x > 1, x < -1),
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
    "log sum": jax.nn.logsumexp,
    "slope": lambda x: jax.jvp(jnp.exp, (x,), (jnp.ones_like(x),))[1],
    "jit": jax.jit(lambda x: x * 2),
    "checkpoint": jax.checkpoint(jnp.exp),
    "stop gradient": lax.stop_gradient,
    "barrier": lax.optimization_barrier,
    "number for each": lambda x: jax.vmap(jnp.exp)(x),
}  # fmt: skip


def test_what_users_write_for_a_cell():
    got = at_once({name: partial(as_lanes, f, X) for name, f in PROGRAMS.items()})
    many = {name: jax.vmap(f, -1, -1) for name, f in PROGRAMS.items()}
    want = at_once({name: partial(f, jnp.asarray(X)) for name, f in many.items()})
    for name in PROGRAMS:
        assert (got[name].shape, got[name].dtype) == (want[name].shape, want[name].dtype), name
        np.testing.assert_allclose(got[name], want[name], rtol=2e-6, atol=2e-6, err_msg=name)


UNSUPPORTED = {
    "'sort' has no counterpart": jnp.sort,
    "'scatter' has no counterpart": lambda x: x.at[1].set(1.0),
    "'dot_general' has no counterpart": lambda x: A @ x[:2],
    "'argmax' has no counterpart": lambda x: x.argmax(),
    "'dynamic_slice' at places that are not": lambda x: lax.dynamic_slice(
        x, (x[0].astype(int),), (1,)
    ),
    "'while' has no counterpart": lambda x: lax.while_loop(
        lambda x: (x > 1).any(), lambda x: x / 2, x
    ),
    "'cond' has no counterpart": lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x),
    "'gather' may read what lies beyond": lambda x: x.at[jnp.asarray([1, 7])].get(
        mode="fill", fill_value=0
    ),
    "makes complex64": lambda x: jnp.abs(x + 1j),
    "an array .5000,. in itself": lambda x: x[0] * np.arange(5000.0, dtype=np.float32),
    "'debug_": lambda x: (jax.debug.print("here"), x)[1],
}


@pytest.mark.parametrize("reason", UNSUPPORTED)
def test_what_no_kernel_can_do_has_a_reason(reason):
    with pytest.raises(Unsupported, match=reason):
        as_lanes(UNSUPPORTED[reason], X)


@needs_kernels
def test_every_rule_has_a_test():
    covered = {"pow", "rem"}  # with tests of their own
    for f in [*PROGRAMS.values(), *(f for f, *_ in FUNCTIONS.values()), *UNSUPPORTED.values()]:
        covered |= {e.primitive.name for e in equations(jax.make_jaxpr(f)(X[:, 0]).jaxpr)}
    made_by_jax = {"add_any", "copy", "copy_p", "expand_dims", "squeeze", "reshape"}
    assert lanes.KERNEL_SAFE - lanes.ELEMENTWISE - covered <= made_by_jax


# -- in a kernel ----------------------------------------------------------------------------------
@needs_kernels
def test_mosaic_lowers_all_of_it_in_one_kernel():
    programs, functions = PROGRAMS.values(), [f for f, *_ in FUNCTIONS.values()]

    def f(leaves):
        def body(x, _):
            return x + 1, [f(x) for f in (*programs, *functions)]

        return lax.scan(body, leaves[0], length=2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        program = jax.jit(kernel.fused(f, [True], kernel.Kernel())).trace([jnp.asarray(X)])
        text = program.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("custom_call @mosaic_gpu") == 1
