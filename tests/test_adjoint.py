"""Checkpointed reverse mode: independent of its checkpoints, within the memory asked for."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.engine import adjoint, tangent
from neurojax.membrane.path_names import substitute

DT, STEPS, EVERY = 0.05, 260, 4
DRIVE = nj.current_clamp(nj.steps(12.0, start=1.0, stop=10.0, duration=STEPS * DT, dt=DT))
SQUID = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
THETA = {"C_m": 1.0, "na.g_bar": 120.0, "k.v_shift": 1.0, "na.tau_scale": 1.1, "leak.E_rev": -54.0}


def build(theta):
    cell = substitute(SQUID, theta)
    return cell, nj.steady_state(cell, -65.0)


def error(steps=STEPS):
    n = steps // EVERY
    return nj.VoltageError(data=nj.Target(jnp.linspace(-70.0, 0.0, n), jnp.full(n, n**-0.5)))


def gradient(engine=adjoint, electrode=DRIVE, fold=None, **more):
    theta = {k: jnp.full(3, x) * jnp.array([0.99, 1.0, 1.01]) for k, x in THETA.items()}
    fold = error() if fold is None else fold
    run = jax.jit(lambda theta: engine.run(build, theta, electrode, DT, fold, EVERY, **more))
    return run(dict(sorted(theta.items())))


@cache
def whole():
    """The gradient with all memory there is, in float64."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, gradient())


@pytest.mark.smoke
def test_it_is_what_tangents_find(x64):
    back, ahead = whole(), gradient(tangent)
    np.testing.assert_allclose(back.value, ahead.value, rtol=1e-12)
    np.testing.assert_allclose(back.gradient, ahead.gradient, rtol=1e-9)
    assert back.matrix is None


# A state of three cells is 96 bytes, the carry of the fold 48; 65 records of 4 steps.
@pytest.mark.parametrize("memory", [2**20, 12 * 2**10, 6 * 2**10])
def test_segments_do_not_show(memory, x64):
    one, other = whole(), gradient(memory=memory)
    np.testing.assert_allclose(one.value, other.value, rtol=1e-12)
    np.testing.assert_allclose(one.gradient, other.gradient, rtol=1e-9)


def test_a_segment_is_as_long_as_memory_allows():
    state, every = 1000, 4

    def needed(length, records):
        return state * (-(-records // length) + length * (every + 1))

    assert adjoint.segment_records(100, every, state, 10**9) == 100  # every state is kept
    for records in (1000, 10_000, 100_000):
        short = adjoint.segment_records(records, every, state, needed(16, records))
        assert short == adjoint.SEGMENT // every == 16
        least = round((records / (every + 1)) ** 0.5)
        tight = needed(least, records) + state
        assert needed(adjoint.segment_records(records, every, state, tight), records) <= tight


def test_too_little_memory_is_said():
    with pytest.raises(
        ValueError, match=r"the gradient needs .* MB .*, but only .* MB are allowed"
    ):
        adjoint.segment_records(10_000, 4, 1000, 10_000)


@pytest.mark.slow
def test_memory_is_within_what_is_asked_for():
    def temporary(steps, memory):
        electrode = nj.current_clamp(jnp.zeros(steps))
        theta = {k: jnp.full(64, x) for k, x in THETA.items()}
        program = jax.jit(
            lambda theta: adjoint.run(build, theta, electrode, DT, error(steps), EVERY, memory)
        )
        return program.lower(theta).compile().memory_analysis().temp_size_in_bytes

    # What a step itself works on comes on top, whatever the number of steps.
    own = temporary(400, 2**30) - 400 * 64 * 4 * 4 * 5 // 4
    for steps, memory in ((4000, 2**19), (40_000, 2**21)):
        assert temporary(steps, memory) < memory + max(own, 2**17) + 3 * 4 * steps
