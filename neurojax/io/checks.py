"""What looks wrong in a recording that can be read: each complaint is warned of once and kept."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from neurojax.recording.command import Step, is_measured
from neurojax.recording.trace import Trace

HIGHEST_BASE_MV = -40.0
LONGEST_DT_MS = 1.0
SHORTEST_DT_MS = 1e-3
CLIPPED_RUN = 5
BEYOND_SODIUM_MV = 65.0
"""Sodium reverses below: no spike reaches it."""

_LOST = 0.03
"""A step that moves the cell by less than this part of what others do never reached it."""


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
        if clamp == "current":
            yield from _of_the_electrode(family)
        elif _like_a_potential(family):
            yield (
                "i_pA rests and moves like a potential, under a command of 0 mV: a current clamp "
                "whose channel is labelled wrong? then unit='mV' with channel="
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


def _of_the_electrode(family: list[Trace]) -> Iterator[str]:
    """What the sweeps of a current clamp tell of the electrode: an offset, steps without effect."""
    base = float(np.median([_base(t) for t in family]))
    highest = max(float(t.v_mV.max()) for t in family)
    if base > HIGHEST_BASE_MV and BEYOND_SODIUM_MV < highest < 250.0:
        yield (
            f"the cell rests at {base:.1f} mV and reaches {highest:.1f} mV, beyond where sodium "
            "reverses: both look too high, by an offset of the electrode? less_junction, or "
            "--junction-potential, takes one off"
        )
    told = [(t.sweep, s.height, _response(t, s)) for t in family for s in [t.main_step()]
            if s.height < 0 and s.flat]  # fmt: skip
    most = max((abs(v / i) for _, i, v in told), default=0.0)
    lost = [(sweep, i, v) for sweep, i, v in told if abs(v / i) < _LOST * most]
    largest = max((abs(i) for _, i, v in told if abs(v / i) >= 0.5 * most), default=np.inf)
    lost = [x for x in lost if abs(x[1]) >= 0.5 * largest]
    if lost:
        _, i, v = lost[0]
        yield (
            f"in sweep {', '.join(str(sweep) for sweep, _, _ in lost)} the step moves v_mV hardly "
            f"({i:.4g} pA by {v:.2g} mV, where others move it by {1e3 * most:.3g} mV/nA): did it "
            "reach the cell, or is it another sweep's?"
        )


def _response(trace: Trace, step: Step) -> float:
    """How far a step moves the potential in its end, mV."""
    end = trace.v_mV[round((0.9 * step.off + 0.1 * step.on) / trace.dt_ms) :]
    end = end[: max(1, round(0.1 * (step.off - step.on) / trace.dt_ms))]
    return float(np.median(end)) - _base(trace) if end.size else np.nan


def _like_a_potential(family: list[Trace]) -> bool:
    """Whether currents under a command that stays at 0 are where membranes rest."""
    return all(
        not t.v_mV.any()
        and -120.0 < float(np.median(t.i_pA)) < -40.0
        and float(np.abs(t.i_pA).max()) < 150.0
        for t in family
    )


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
    """The resting potential."""
    base = _base(trace)
    if base > HIGHEST_BASE_MV:
        yield (
            "base",
            f"the base potential is {base:.1f} mV, above {HIGHEST_BASE_MV:g} mV: an unhealthy "
            "cell, an offset, or a wrong unit?",
        )


def _base(trace: Trace) -> float:
    """The resting potential, from the samples before the step, mV."""
    found = trace.steps()
    # Without a step the first 5 ms, too: the stimulus may be missing in the file, not in the cell.
    times = (found[0].on,) if found else (5.0, 50.0)
    return min(float(np.median(trace.v_mV[: max(1, round(t / trace.dt_ms))])) for t in times)


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
