"""What looks wrong in a recording that can be read: each complaint is warned of once and kept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from neurojax.recording.command import is_measured
from neurojax.recording.trace import Trace

HIGHEST_BASE_MV = -40.0
LONGEST_DT_MS = 1.0
SHORTEST_DT_MS = 1e-3
CLIPPED_RUN = 5


class RecordingWarning(UserWarning):
    """A recording that can be read, but in which something looks wrong."""


def checked(traces: list[Trace]) -> list[Trace]:
    """The traces with what looks wrong appended to `warnings`, each kind also warned of once."""
    whole = tuple(_of_the_file(traces))
    result, sweeps = [], {}
    for trace in traces:
        found = dict(_of_one(trace))
        for kind, message in found.items():
            sweeps.setdefault(kind, []).append((trace.sweep, message))
        result.append(replace(trace, warnings=(*trace.warnings, *whole, *found.values())))
    path = traces[0].origin.path
    for message in dict.fromkeys(m for t in traces for m in (*t.warnings, *whole)):
        _warn(f"{path}: {message}")
    for told in sweeps.values():
        numbers = [str(sweep) for sweep, _ in told]
        listed = ", ".join(numbers[:10]) + (
            f" and {len(numbers) - 10} more" if numbers[10:] else ""
        )
        _warn(f"{path}, sweep {listed}: {told[0][1]}")
    return result


def _warn(message: str) -> None:
    # 4 levels up: this line, checked, read, and whoever called read.
    warnings.warn(message, RecordingWarning, stacklevel=4)


def _of_the_file(traces: list[Trace]) -> Iterator[str]:
    """What only the sweeps together show: a single sweep without a step is nothing unusual."""
    for clamp, command, unit in (("current", "i_pA", "pA"), ("voltage", "v_mV", "mV")):
        family = [t for t in traces if t.clamp == clamp]
        if not family:
            continue
        levels = [getattr(t, command) for t in family]
        if all(np.ptp(x) == 0 for x in levels):
            yield (
                f"no stimulus: {command} stays at {levels[0][0]:g} {unit} throughout every sweep; "
                "expected a command that changes, so what the cell was given is not in the file"
            )
        if _exchanged(family):
            yield (
                "v_mV and i_pA look exchanged: i_pA rests like a potential, and v_mV at 0 like a "
                "current"
            )
        largest = max(float(np.abs(t.i_pA).max()) for t in family)
        if clamp == "current" and 0 < largest < 1e-3:
            yield f"the largest i_pA is {largest:g} pA: amperes or nanoamperes taken for pA?"
        elif clamp == "current" and 0 < largest < 2.0:
            yield f"the largest i_pA is {largest:g} pA: nanoamperes taken for pA?"
        elif clamp == "current" and largest > 1e5:
            yield f"the largest i_pA is {largest:g} pA, too much for a patch electrode"
        elif clamp == "voltage" and (largest > 1e7 or 0 < largest < 1e-3):
            yield f"the largest i_pA is {largest:g} pA: wrong unit or gain?"


def _exchanged(family: list[Trace]) -> bool:
    """Whether what is called a current rests where membranes do, and the potential at 0."""
    for t in family:
        n = max(1, round(5.0 / t.dt_ms))
        v, i = float(np.median(t.v_mV[:n])), float(np.median(t.i_pA[:n]))
        if not (abs(v) < 5.0 and -120.0 < i < -30.0 and np.abs(t.i_pA).max() < 150.0):
            return False
    return any(np.ptp(t.v_mV) > 1.0 for t in family)


def _of_one(trace: Trace) -> Iterator[tuple[str, str]]:
    """Complaints about one sweep, by kind."""
    if not SHORTEST_DT_MS <= trace.dt_ms <= LONGEST_DT_MS:
        yield (
            "dt",
            f"the sampling interval of {trace.dt_ms:g} ms is implausible; expected "
            f"{SHORTEST_DT_MS:g} to {LONGEST_DT_MS:g} ms",
        )
    v = trace.v_mV
    extreme = float(np.abs(v).max())
    if 0 < extreme < 1.0:
        yield "volts", f"no v_mV is beyond {extreme:.2g} mV: volts taken for millivolts?"
    elif extreme > 250.0:
        yield "range", f"v_mV reaches {extreme:g} mV: wrong unit, gain, or electrode not in a cell?"
    elif trace.clamp == "current":
        yield from _of_the_base(trace)
    if trace.clamp == "current" and np.ptp(v) == 0:
        yield "flat", f"v_mV never changes from {v[0]:g} mV: electrode not connected?"
    measured = v if trace.clamp == "current" else trace.i_pA
    limit = _clipped(measured)
    if limit is not None:
        field, unit = ("v_mV", "mV") if trace.clamp == "current" else ("i_pA", "pA")
        yield "clipped", f"{field} looks clipped: samples in a row stay at {limit:g} {unit}"
    if trace.clamp == "current":
        # A measured potential may be so smooth that it has no noise, but it never stands still.
        still = np.ptp(v) > 0 and np.mean(np.diff(v) == 0) > 0.98
        if still and is_measured(trace.i_pA):
            yield (
                "clamp",
                "v_mV moves in steps, i_pA does not: a voltage clamp? then clamp='voltage'",
            )
        scatter = _scatter(trace.i_pA)
        if scatter:
            yield (
                "scatter",
                f"the measured i_pA scatters by {scatter:.3g} pA around its level (noise, spike "
                "artefacts): holding and step are a better stimulus",
            )


def _of_the_base(trace: Trace) -> Iterator[tuple[str, str]]:
    """The resting potential, from the samples before the step."""
    found = trace.steps()
    # Without a step the first 5 ms, too: the stimulus may be missing in the file, not in the cell.
    times = (found[0].on,) if found else (5.0, 50.0)
    base = min(float(np.median(trace.v_mV[: max(1, round(t / trace.dt_ms))])) for t in times)
    if base > HIGHEST_BASE_MV:
        yield (
            "base",
            f"the base potential is {base:.1f} mV, above {HIGHEST_BASE_MV:g} mV: an unhealthy "
            "cell, an offset, or a wrong unit?",
        )


def _clipped(x: np.ndarray) -> float | None:
    """The largest or smallest value, when it is a converter's limit; else None.

    A limit is hit several times in a row, entered by a jump, and hit more often than the next value
    inside it; the crest of a smooth signal is not. Without noise, rest itself is such a level.
    """
    if x.size < 10 * CLIPPED_RUN or not is_measured(x):
        return None
    jumps = np.abs(np.diff(x))
    quantum = jumps[jumps > 0].min()
    for limit in (x.max(), x.min()):
        at = x == limit
        count = int(at.sum())
        if count < CLIPPED_RUN:
            continue
        edges = np.flatnonzero(np.diff(np.concatenate(([0], at.view(np.int8), [0]))))
        starts, stops = edges[::2], edges[1::2]
        k = int(np.argmax(stops - starts))
        if stops[k] - starts[k] < CLIPPED_RUN:
            continue
        entry = jumps[starts[k] - 1] if starts[k] > 0 else np.inf
        inside = x[~at]
        next_value = inside.max() if limit > inside[0] else inside.min()
        if entry > 2.5 * quantum and count > 3 * int((x == next_value).sum()):
            return float(limit)
    return None


def _scatter(i_pA: np.ndarray) -> float:
    """How far a measured stimulus scatters around its level, pA, where that is much; else 0.

    The level is the median of each 200th of the sweep; the 2 % of samples farthest from it are left
    out, so that the step's own edges do not count.
    """
    length = i_pA.size // 200
    if length < 5 or not is_measured(i_pA):
        return 0.0
    blocks = i_pA[: 200 * length].reshape(200, length)
    levels = np.median(blocks, axis=1)
    scatter = float(np.quantile(np.abs(blocks - levels[:, None]), 0.98))
    return scatter if scatter > max(10.0, 0.1 * float(np.ptp(levels))) else 0.0
