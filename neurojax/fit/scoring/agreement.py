"""agreement: run a fitted cell freely under a sweep's own stimulus; say how well it agrees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from neurojax.fit.holding import base_mV, check_places, holding_pA, level, patched
from neurojax.loss import Level
from neurojax.membrane import pipette
from neurojax.membrane.compartment import Cell, State
from neurojax.membrane.electrode import Electrode
from neurojax.membrane.holding import Held, held_at
from neurojax.membrane.observables import observe
from neurojax.membrane.pipette import before, repeated
from neurojax.membrane.rest import at_rest
from neurojax.recording import features
from neurojax.recording.spike import MARGIN_MS
from neurojax.recording.trace import RecordingError, Trace
from neurojax.run.simulation import simulate
from neurojax.units import PA

_TOGETHER = 64  # sweeps run side by side at most
_EVERY_MS = 0.05  # simulations are read this often, or as often as the data if that is less


class Agreement(NamedTuple):
    """How a simulated sweep agrees with the recorded one. NaN where there is nothing to compare.

    Spikes are matched in order, first with first. Errors of peaks, troughs, widths and of the
    latency are model minus data, the mean over what matches.
    """

    clamp: str
    spikes_data: int
    spikes_model: int
    spike_time_error_ms: float  # mean |error|
    mean_interval_ms: float  # of the data
    latency_error_ms: float
    peak_error_mV: float
    trough_error_mV: float
    width_error_ms: float
    subthreshold_rmse_mV: float  # away from the spikes of either, over the whole sweep
    rmse: float  # mV in current clamp, pA in voltage clamp
    quiet_rmse_mV: float = math.nan  # before the first spike of either
    between_rmse_mV: float = math.nan  # of the potentials between spikes, in order of their size
    bias_pA: float = 0.0  # what held the model where the cell rested, beside the data's current

    @property
    def spike_time_error(self) -> float:
        """Mean spike-time error as a part of the mean interval (or NaN)."""
        return self.spike_time_error_ms / self.mean_interval_ms

    @property
    def below_mV(self) -> float:
        """How far the potential is off where there is no spike.

        Trains with other times show other parts of their course at any one time, though their
        courses may be alike. So of trains it is the larger of what is off before the first spike
        and of what is off between spikes, there whatever the time.
        """
        known = [x for x in (self.quiet_rmse_mV, self.between_rmse_mV) if math.isfinite(x)]
        if math.isfinite(self.between_rmse_mV):
            return max(known)
        return self.subthreshold_rmse_mV

    def sentence(self) -> str:
        """What a person should know, in English."""
        if self.clamp == "voltage":
            return f"current RMSE {self.rmse:.3g} pA"
        held = f"; held by {self.bias_pA:+.1f} pA" if abs(self.bias_pA) >= 0.05 else ""
        quiet = f"subthreshold RMSE {self.subthreshold_rmse_mV:.1f} mV{held}"
        if self.spikes_data == 0 and self.spikes_model == 0:
            return f"no spikes in the data or the model; RMSE {self.rmse:.1f} mV{held}"
        if self.spikes_data == 0:
            return f"{_spikes(self.spikes_model)} where the data has none; {quiet}"
        if self.spikes_model == 0:
            return f"no spikes where the data has {self.spikes_data}; {quiet}"
        parts = [f"{self.spikes_model} of {_spikes(self.spikes_data)}"]
        if self.spikes_model > self.spikes_data:
            parts = [f"{_spikes(self.spikes_model)} where the data has {self.spikes_data}"]
        excess = self.spikes_model / self.spikes_data - 1
        if excess == 0:
            times = f"times within {self.spike_time_error_ms:.1f} ms on average"
            if math.isfinite(self.spike_time_error):
                times += f" ({100 * self.spike_time_error:.0f} % of the interval)"
            parts.append(times)
        else:  # matched in order, times would tell of the count once more
            parts[0] += f" ({100 * abs(excess):.0f} % too {'many' if excess > 0 else 'few'})"
        parts.append(f"first spike {_late(self.latency_error_ms)}")
        parts.append(f"peak {self.peak_error_mV:+z.1f} mV")
        if math.isfinite(self.trough_error_mV):
            parts.append(f"trough {self.trough_error_mV:+z.1f} mV")
        if math.isfinite(self.width_error_ms):
            parts.append(f"width {self.width_error_ms:+z.2f} ms")
        return f"{', '.join(parts)}; {quiet}"


def _spikes(n: int) -> str:
    return "1 spike" if n == 1 else f"{n} spikes"


def _late(ms: float) -> str:
    return f"{abs(ms):.1f} ms {'late' if ms > 0 else 'early'}"


def free_run(cell: Cell, trace: Trace, dt: float = 0.025, held: bool = True) -> Trace:
    """Simulate a sweep's own stimulus from where the cell rested, sampled as the sweep is.

    Nothing couples the model to the measured course. In current clamp the trace returned holds the
    model's `v_mV`; in voltage clamp its `i_pA`, the ionic current of the whole membrane. It has the
    sweep's length: before the first simulated step stands the initial state.

    In current clamp a constant current (see `held_at`) holds the model at the potential recorded
    before the stimulus, so that a drift from sweep to sweep does not pass for a response; it is
    part of the `i_pA` of the trace returned. With `held=False` the model is at its own rest.

    Raises RecordingError for a cell without a resting state at this holding level, or one that
    diverges.
    """
    (found,) = free_runs(cell, [trace], dt, held)
    if isinstance(found, RecordingError):
        raise found
    return found


def free_runs(
    cell: Cell, traces: Sequence[Trace], dt: float = 0.025, held: bool = True
) -> list[Trace | RecordingError]:
    """The free run of each sweep, or why there is none; those of one length run side by side."""
    begun = [_begun(cell, trace, dt, held) for trace in traces]
    groups: dict[Any, list[int]] = {}
    for k, b in enumerate(begun):  # a cell that is held has one part more
        alike = b.trace.clamp, b.trace.v_mV.size, b.trace.dt_ms, jax.tree.structure(b[:3])
        groups.setdefault(alike, []).append(k)
    found: dict[int, Trace | RecordingError] = {}
    for group in groups.values():
        for first in range(0, len(group), _TOGETHER):
            some = group[first : first + _TOGETHER]
            found |= zip(some, _side_by_side([begun[k] for k in some], dt), strict=True)
    return [found[k] for k in range(len(traces))]


class _Begun(NamedTuple):
    """A sweep before its first step."""

    cell: Cell
    electrode: Electrode
    initial: State
    trace: Trace  # with what holds the cell


def _begun(cell: Cell, trace: Trace, dt: float, held: bool) -> _Begun:
    check_places(cell, [trace])
    cell, electrode = patched(cell, trace.at), repeated(cell, trace, dt)
    if trace.clamp == "voltage":
        initial = pipette.clamped(before(cell, electrode), float(trace.v_mV[0]))
        return _Begun(cell, electrode, initial, trace)
    cell, initial, bias = _resting(cell, trace, held)
    return _Begun(cell, electrode, initial, replace(trace, i_pA=trace.i_pA + bias))


def _side_by_side(begun: Sequence[_Begun], dt: float) -> Iterator[Trace | RecordingError]:
    """Sweeps of one length as a population."""
    record, field = ("v_amp", "v_mV") if begun[0].trace.clamp == "current" else ("i_amp", "i_pA")
    every = max(1, math.floor(min(begun[0].trace.dt_ms, _EVERY_MS) / dt + 1e-6))
    rest = [np.isfinite(np.asarray(b.initial.v)).all() for b in begun]
    alive = [b for b, rests in zip(begun, rest, strict=True) if rests]
    runs = iter(_simulated(alive, dt, record, every) if alive else ())
    for (*_, trace), rests in zip(begun, rest, strict=True):
        where = f"sweep {trace.sweep} of {trace.name or trace.origin.path or 'the recording'}"
        course = next(runs) if rests else None
        if course is None:
            told = f"the model has no resting potential under the holding of {where}"
            yield RecordingError(told)
        elif not np.isfinite(course).all():
            yield RecordingError(f"the model left the finite numbers in {where}")
        else:
            name = f"{trace.name} (model)".strip()
            yield replace(trace, name=name, warnings=(), **{field: course})


def _simulated(begun: Sequence[_Begun], dt: float, record: str, every: int) -> Iterator[np.ndarray]:
    """What is recorded of each sweep, at its samples; NaN of one that left the finite numbers."""
    each = [b[:3] for b in begun]
    cell, electrode, initial = each[0] if len(each) == 1 else jax.tree.map(_stacked, *each)
    run = simulate(cell, electrode, dt, record=(record,), every=every, initial=initial)
    data, t = np.asarray(run.data[record]), np.r_[0.0, np.asarray(run.t)]
    ok = np.broadcast_to(np.asarray(run.ok), len(begun))
    data = np.broadcast_to(data.reshape(len(data), -1), (len(data), len(begun)))
    for k, (cell, electrode, initial, trace) in enumerate(begun):
        first = np.asarray(observe(before(cell, electrode), initial, record))
        course = np.interp(trace.t_ms, t, np.r_[first, data[:, k]])
        yield course if ok[k] else np.full(course.size, np.nan)


def _stacked(*leaves: Any) -> Any:
    """Values of many sweeps: one where they are alike, else with the population as last axis."""
    arrays = [np.asarray(leaf) for leaf in leaves]
    if all(np.array_equal(arrays[0], a) for a in arrays[1:]):
        return leaves[0]
    return np.stack(arrays, axis=-1)


def _resting(cell: Cell, trace: Trace, held: bool) -> tuple[Cell, State, float]:
    """The cell as it is before the stimulus, its state, and the current that holds it, pA.

    The current comes on top of the sweep's own: 0 for a model that rests where the cell did.
    """
    if held and base_mV(trace)[1]:
        cell, state, bias = _held(cell, level(trace))
        return cell, state, float(bias) / PA
    return cell, _rest(cell, holding_pA(trace) * PA), 0.0


@jax.jit
def _held(cell: Cell, level: Level) -> Held:
    return held_at(cell, *level)


_rest = jax.jit(at_rest)


def agreement(data: Trace, model: Trace, keep: np.ndarray | None = None) -> Agreement:
    """Compare a simulated sweep with the recorded one, both sampled alike, over the whole sweep.

    Under voltage clamp only samples to `keep` `[sample]` count, if given: no capacitive transients.

    Raises ValueError when their clamp, sampling or length differ.
    """
    if (data.clamp, data.v_mV.size) != (model.clamp, model.v_mV.size) or not math.isclose(
        data.dt_ms, model.dt_ms
    ):
        raise ValueError("data and model differ in clamp, sampling interval or length")
    nan = math.nan
    if data.clamp == "voltage":
        missed = (data.i_pA - model.i_pA)[slice(None) if keep is None else keep]
        rmse = float(np.sqrt(np.mean(missed**2)))
        return Agreement("voltage", 0, 0, nan, nan, nan, nan, nan, nan, nan, rmse)
    error = model.v_mV - data.v_mV
    a, b = (features.spikes(t.v_mV, t.dt_ms) for t in (data, model))
    quiet = _away(a.times, data) & _away(b.times, data)
    silent = _before(np.r_[a.times, b.times], data)
    n = min(int(a.number), int(b.number))
    late = b.times[:n] - a.times[:n]
    return Agreement(
        "current",
        int(a.number),
        int(b.number),
        float(np.abs(late).mean()) if n else nan,
        float(np.diff(a.times).mean()) if a.number > 1 else nan,
        float(late[0]) if n else nan,
        _mean(b.peaks[:n] - a.peaks[:n]),
        _mean(b.troughs[: max(0, n - 1)] - a.troughs[: max(0, n - 1)]),
        _mean(b.widths[:n] - a.widths[:n]),
        float(np.sqrt(np.mean(error[quiet] ** 2))) if quiet.any() else nan,
        float(np.sqrt(np.mean(error**2))),
        float(np.sqrt(np.mean(error[silent] ** 2))) if silent.any() else nan,
        _unlike(_between(a.times, data), _between(b.times, model)),
        float(np.median(model.i_pA - data.i_pA)),
    )


def _before(times: np.ndarray, trace: Trace) -> np.ndarray:
    """Samples before the first spike."""
    return trace.t_ms < times.min(initial=math.inf) - MARGIN_MS[0]


def _away(times: np.ndarray, trace: Trace) -> np.ndarray:
    """Samples at which no spike shapes the potential."""
    t, (before, after) = trace.t_ms, MARGIN_MS
    k = np.searchsorted(times, t - after)  # the first spike that could still matter
    near = np.r_[times, np.inf][k]
    return t < near - before


def _between(times: np.ndarray, trace: Trace) -> np.ndarray:
    """The potentials from the first to the last spike of a trace that no spike shapes, mV."""
    if times.size < 2:
        return np.empty(0)
    inside = (trace.t_ms > times[0]) & (trace.t_ms < times[-1])
    return trace.v_mV[inside & _away(times, trace)]


def _unlike(a: np.ndarray, b: np.ndarray) -> float:
    """RMS difference of two sets of numbers, each in order of their size; NaN for an empty one."""
    if not (a.size and b.size):
        return math.nan
    parts = np.linspace(0.005, 0.995, 100)
    return float(np.sqrt(np.mean((np.quantile(a, parts) - np.quantile(b, parts)) ** 2)))


def _mean(x: np.ndarray) -> float:
    known = x[np.isfinite(x)]
    return float(known.mean()) if known.size else math.nan
