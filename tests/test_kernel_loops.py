"""Loops of any form as kernels: what they carry, read and write, and loops within loops."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from kernels import needs_kernels

from neurojax.engine.gpu import kernel

pytestmark = needs_kernels

X = np.linspace(-1.0, 2.0, kernel.BLOCK, dtype=np.float32)
ROWS = np.arange(6.0, dtype=np.float32)
OWN = np.random.default_rng(0).normal(size=(6, kernel.BLOCK)).astype(np.float32)


def within(x, length=3, rows=None):
    """A loop of its own: the last x, and every one."""
    return lax.scan(lambda x, r: (0.9 * x + (0 if r is None else r),) * 2, x, rows, length)


LOOPS = {
    "rows read and written": lambda x, own: lax.scan(lambda c, r: (c + r, c * r), x, ROWS),
    "rows of each cell": lambda x, own: lax.scan(lambda c, r: (c + r, c * r), x, own),
    "backwards": lambda x, own: lax.scan(lambda c, r: (0.5 * c + r, c), x, own, reverse=True),
    "once": lambda x, own: lax.scan(lambda c, r: (c + r, c), x, ROWS[:1]),
    "one row twice": lambda x, own: lax.scan(lambda c, r: (c + r, (c, c, c)), x, ROWS),
    "a row as it was read": lambda x, own: lax.scan(lambda c, r: (c + r[0], r), x, (ROWS, own)),
    "a constant as a row": lambda x, own: lax.scan(lambda c, r: (c + r, (x, 1.0, x > 0)), x, ROWS),
    "numbers that all share": lambda x, own: lax.scan(
        lambda c, r: ((c[0] + c[1], c[1] * r, c[2] + 1), c[1]), (x, jnp.float32(1), 0), ROWS + 1
    ),
    "truth values": lambda x, own: lax.scan(
        lambda c, r: ((c[0] + r, (c[0] > 1) ^ c[1]), ~c[1]), (x, x > 0), ROWS
    ),
    "truth values as rows": lambda x, own: lax.scan(
        lambda c, r: (jnp.where(r[0] | (r[1] & (x < 1)), c + 1, c), r[1] ^ (c > 2)),
        x,
        (ROWS > 2, own > 0),
    ),
    "an exchange": lambda x, own: lax.scan(
        lambda c, r: ((c[1], c[0]), c[0] - c[1]), (x, 2 * x), ROWS
    ),
    "leading axes": lambda x, own: lax.scan(
        lambda c, r: (c * 0.5 + jnp.stack([r, 2 * r]), c[::-1]), jnp.stack([x, -x]), own
    ),
    "a loop within": lambda x, own: lax.scan(lambda c, _: within(c), x, length=4),
    "rows of both": lambda x, own: lax.scan(
        lambda c, r: within(c, 2, r), x, own.reshape(3, 2), reverse=True
    ),
    "its rows twice": lambda x, own: lax.scan(
        lambda c, _: (lambda c, r: (c, (r, r, c)))(*within(c)), x, length=4
    ),
    "loops one after the other": lambda x, own: lax.scan(
        lambda c, _: (lambda a: (within(a[0])[0], a[1]))(within(c)), x, length=2
    ),
    "three loops": lambda x, own: lax.scan(
        lambda c, _: lax.scan(lambda c, _: within(c, 2), c, length=3), x, length=4
    ),
    "a loop that counts": lambda x, own: lax.scan(
        lambda c, _: (lax.fori_loop(0, 3, lambda k, y: y + k, c), c), x, length=2
    ),
}


def program(f, **how):
    return jax.jit(kernel.fused(lambda leaves: f(*leaves), [True, True], kernel.Kernel(**how)))


def kernels_in(f):
    text = program(f).trace([X, OWN]).lower(lowering_platforms=("cuda",)).as_text()
    return text.count("custom_call @mosaic_gpu")


def compare(f):
    want = jax.jit(jax.vmap(f, -1, -1))(X, OWN)
    got = program(f, interpret=True)([X, OWN])
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_of_any_form_is_one_kernel(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(LOOPS[name])
        assert kernels_in(LOOPS[name]) == 1


def test_rows_that_a_turn_makes_for_another_loop_are_left_to_xla():
    def turn(c, _):
        c, rows = within(c)
        return lax.scan(lambda c, r: (c + r, c), c, rows)

    def f(x, own):
        return lax.scan(turn, x, length=4)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(f)
        assert kernels_in(f) == 2


def test_rows_that_the_loop_around_uses_are_left_to_xla_and_that_is_said():
    kernel.warn_of_scan.cache_clear()

    def f(x, own):
        def turn(c, _):
            c, rows = within(c)
            return c, rows.sum(0)

        return lax.scan(turn, x, length=4)

    with pytest.warns(RuntimeWarning, match="made turn by turn"):
        compare(f)
    assert kernels_in(f) == 1


def test_a_loop_without_cells_is_that_of_copies():
    # As the gates of all cells under one clamp: turn by turn it would be many launches.
    def f(x, own):
        total, _ = lax.scan(lambda c, r: (c + r, None), jnp.float32(0), ROWS)
        return x + total

    compare(f)
    assert kernels_in(f) == 1
