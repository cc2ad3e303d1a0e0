import numpy as np
import pytest

from neurojax.fit.uncertainty.ranges import probes, ranges
from neurojax.model.space import Free, Space

SPACE = Space((Free("a", "mV", -100.0, 100.0), Free("b", "mS/cm2", 0.01, 100.0, "log")))


def bowl(z, best, steepness):
    """1 at the best point, rising with the square of the distance in each coordinate."""
    return 1 + (steepness[:, None] * (z - best[:, None]) ** 2).sum(axis=0)


def test_ranges_of_a_bowl_are_its_own():
    best, steepness = np.array([0.5, 0.25]), np.array([400.0, 25.0])
    found = ranges(SPACE, best, bowl(probes(best), best, steepness), allowed=2.0)
    # The bowl rises by 1 at 0.05 and 0.2 of the box: 10 mV of 200, and 0.8 of four decades.
    assert found["a"] == pytest.approx((-10.0, 10.0), rel=0.15)
    centre = np.log10(0.1)
    # Linear between offsets that double, so within the chord of a parabola.
    assert np.log10(found["b"]) == pytest.approx((centre - 0.8, centre + 0.8), abs=0.06)


def test_what_the_data_do_not_see_ranges_over_its_bounds():
    best = np.array([0.9, 0.5])
    found = ranges(SPACE, best, bowl(probes(best), best, np.array([0.0, 1e4])), allowed=2.0)
    assert found["a"] == pytest.approx((-100.0, 100.0))


def test_a_cliff_ends_a_range_before_it():
    best = np.array([0.5, 0.5])
    z = probes(best)
    errors = np.where(z[0] > 0.6, np.inf, 1.0)
    low, high = ranges(SPACE, best, errors, allowed=2.0)["a"]
    assert low == -100.0
    assert 0.0 < high <= 20.0
