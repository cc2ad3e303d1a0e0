"""The definition of a spike: the search of whole traces and the course of a run agree about it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neurojax as nj
from neurojax import loss
from neurojax.recording import features, spike


def counted(v):
    """Spikes of v `[sample, *pop]` that have ended, and that have begun, sample by sample."""
    at, ended, begun = spike.course(v[0], np), np.zeros(v.shape[1:], int), 0
    for x in v[1:]:
        at, begins, ends = spike.follow(at, x, np)
        ended, begun = ended + ends, begun + begins
    return ended, begun


steps = st.lists(st.integers(-12, 6).map(lambda k: 10.0 * k), min_size=2, max_size=40)


@given(steps)
def test_a_trace_has_as_many_spikes_sample_by_sample_as_at_once(v):
    v = np.array(v)
    ended, begun = counted(v)
    assert ended == features.spikes(v, 0.1).number
    assert begun - ended in (0, 1)  # the last may not be over


def test_so_have_wild_populations():
    walk = np.random.default_rng(0).normal(0, 12, (4000, 50)).cumsum(0)
    v = 60 * np.sin(0.05 * walk) - 40
    found = features.spikes(v, 0.1)
    assert found.number.min() > 5
    ended, begun = counted(v)
    np.testing.assert_array_equal(ended, found.number)
    np.testing.assert_array_equal(loss.streamed(nj.SpikeCount(), v, 0.1), begun)
    times = loss.streamed(loss.SpikeTable(record_ms=0.1, slots=int(begun.max())), v, 0.1)["time"]
    np.testing.assert_array_equal(np.isfinite(times).sum(0), begun)


@pytest.mark.parametrize(
    ("v", "number"),
    [
        ([-60, -20, -60], 1),  # reaches the threshold
        ([-60, -20.5, -60], 0),
        ([-30, -15, -60], 0),  # rises by too little
        ([30, -60, -60], 0),  # begins on its way down
        ([-10, 30, -10], 1),  # never below the threshold
        ([-60, 30, 30], 0),  # goes up and stays there
        ([-60, 30, 15, 30, -60], 1),  # a notch
        ([-60, 30, 10, 30, -60], 2),
    ],
)
def test_what_a_spike_is(v, number):
    v = np.array(v, float)
    ended, begun = counted(v)
    assert ended == features.spikes(v, 0.1).number == number
    assert loss.streamed(nj.SpikeCount(), v, 0.1) == begun


def test_a_crossing_is_interpolated_and_a_vertex_is_that_of_the_parabola():
    passed, part = spike.crossed(np.array([-30.0, -30.0, -10.0]), np.array([10.0, -25.0, 10.0]),
                                 -20.0, np)  # fmt: skip
    assert passed.tolist() == [True, False, False] and part[0] == 0.25
    t = np.array([-1.0, 0.0, 1.0])
    shift, top = spike.vertex(*(30.0 - 4.0 * (t - 0.2) ** 2), np)
    assert shift == pytest.approx(0.2) and top == pytest.approx(30.0)
    assert spike.vertex(*np.full(3, 7.0), np) == (0.0, 7.0)


def test_the_time_of_a_crossing_has_the_implicit_derivative():
    def time(low):
        return spike.crossed(jnp.asarray(low), jnp.asarray(10.0), -20.0, jnp)[1]

    # t = (level - low) / (v - low), so dt/dlow = (level - v) / (v - low)^2.
    assert float(jax.grad(time)(-30.0)) == pytest.approx(-30.0 / 40.0**2)
