"""spike: the one definition of a spike, for whole traces (NumPy) and for runs as they go (JAX).

A spike is a maximum of the potential that reaches THRESHOLD and stands out by PROMINENCE on either
side: v has risen by so much from the lowest since the spike before, and falls by so much from its
peak before it rises higher. So a notch in a broad spike is no second spike, noise around the
threshold is none, and neither is a potential that goes up and stays there.

The functions take arrays of either kind; `xp` is their module, `numpy` or `jax.numpy`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

THRESHOLD = -20.0
"""A spike's peak reaches this potential, mV."""

PROMINENCE = 20.0
"""A spike stands out by at least this from the potential on either side, mV."""

MARGIN_MS = (2.0, 5.0)
"""How long before and after its peak a spike shapes the potential, ms."""


class Course(NamedTuple):
    """How far a potential is in its course from spike to spike, `[*pop]` each."""

    inside: Any  # bool: a spike has begun and is not over
    top: Any  # mV, the highest since it began
    low: Any  # mV, the lowest since its peak


def course(v: Any, xp: ModuleType) -> Course:
    """The course that begins at v `[*pop]`, mV: in no spike, however high it is."""
    return Course(xp.zeros(v.shape, bool), v, v)


def follow(
    at: Course,
    v: Any,
    xp: ModuleType,
    threshold: Any = THRESHOLD,
    prominence: Any = PROMINENCE,
) -> tuple[Course, Any, Any]:
    """The course with one more sample v `[*pop]`, mV; where a spike begins, and where one ends."""
    begins = ~at.inside & (v >= begin_level(at.low, xp, threshold, prominence))
    top = xp.where(begins, v, xp.maximum(at.top, v))
    # From the peak on: where a spike begins v may be lower than it falls afterwards.
    low = xp.where(begins | at.inside & (v > at.top), v, xp.minimum(at.low, v))
    ends = at.inside & (top - v >= prominence)
    return Course((at.inside | begins) & ~ends, top, low), begins, ends


def begin_level(
    low: Any, xp: ModuleType, threshold: Any = THRESHOLD, prominence: Any = PROMINENCE
) -> Any:
    """The potential at which a spike begins, mV, where v had fallen to `low`."""
    return xp.maximum(threshold, low + prominence)


def crossed(before: Any, v: Any, level: Any, xp: ModuleType, up: bool = True) -> tuple[Any, Any]:
    """Whether v has just risen (or else fallen) through a level, and when, by a straight line.

    When is a part of the time from the sample `before` to `v`; 0 where it has not.
    """
    passed = (before < level) & (v >= level) if up else (before >= level) & (v < level)
    return passed, xp.where(passed, level - before, 0.0) / xp.where(passed, v - before, 1.0)


def vertex(before: Any, v: Any, after: Any, xp: ModuleType) -> tuple[Any, Any]:
    """The top of a parabola through three samples of which the middle one is a maximum.

    When it is, as a part of the sampling interval after the middle one, and how high (mV). Where
    all three are alike it is the middle one itself.
    """
    bend = before - 2 * v + after
    curved = bend < 0
    shift = xp.where(curved, 0.5 * (before - after) / xp.where(curved, bend, 1.0), 0.0)
    return shift, v - 0.25 * (before - after) * shift
