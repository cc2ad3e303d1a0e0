"""Sweeps as traces: one that is broken costs that sweep, or its end, and not the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from neurojax.recording.command import holding_of, is_measured
from neurojax.recording.trace import RecordingError, Trace

_KEPT = 0.3
"""A sweep that was stopped is kept when so much of it is there."""

_LEAST = 10  # samples

_SPARE = 0.01
"""One of two halves of a sweep may be longer than the other by this part, or by two samples."""

_SILENT_MS = 2.0
"""Zeros at the end of a sweep for so long, where nothing was zero before, were never measured."""


def clamped(clamp: str, measured: np.ndarray, command: np.ndarray) -> dict[str, Any]:
    """The fields of a sweep (mV, pA) under a clamp, of what was measured and what was commanded."""
    v_mV, i_pA = (measured, command) if clamp == "current" else (command, measured)
    return {"clamp": clamp, "v_mV": v_mV, "i_pA": i_pA}


def traces_from(path: object, drafts: Iterable[dict[str, Any]]) -> list[Trace]:
    """Traces of the fields of each sweep; what had to be left out or cut is in their `warnings`.

    `holding` and `commanded` need not be among the fields: the command tells them. Raises
    RecordingError, as `Trace` does, where no sweep is left.
    """
    traces, lost, first = [], [], None
    for draft in drafts:
        name = f"sweep {draft.get('sweep', 0)}"
        try:
            traces.append(_whole(draft))
        except RecordingError as error:
            first = first or error
            said = str(error).removeprefix(f"{path}, {name}").removeprefix(": ")
            lost.append(f"{name} was left out: {said}")
    if not traces and first is not None:
        raise first
    more = f"; and {len(lost) - 5} more" if len(lost) > 5 else ""
    told = ("; ".join(lost[:5]) + more,) if lost else ()
    return [replace(t, warnings=(*t.warnings, *told)) for t in traces]


def _whole(draft: dict[str, Any]) -> Trace:
    """The trace of a sweep, without the end that was never measured."""
    v, i = (np.asarray(draft[key], np.float64) for key in ("v_mV", "i_pA"))
    fields = dict(draft)
    command, dt_ms = i if draft["clamp"] == "current" else v, draft["dt_ms"]
    if command.ndim == 1 and command.size and dt_ms > 0:  # else it is no trace
        fields.setdefault("commanded", not is_measured(command))
        if "holding" not in fields:
            fields["holding"] = holding_of(command, dt_ms)
    said: list[str] = []
    if v.ndim == i.ndim == 1 and v.size != i.size:
        n, longer = min(v.size, i.size), max(v.size, i.size)
        if longer - n <= max(2, _SPARE * longer):
            said.append(f"{longer - n} of {longer} samples left out, which v_mV or i_pA alone has")
            v, i = v[:n], i[:n]
    if v.ndim == i.ndim == 1 and v.size == i.size:
        n, why = _measured(v, i, draft["clamp"], draft["dt_ms"])
        if n < v.size and n >= max(_LEAST, _KEPT * v.size):
            said.append(f"cut after {n} of {v.size} samples, as the rest {why}: stopped by hand?")
            v, i = v[:n], i[:n]
    told = tuple(f"sweep {draft.get('sweep', 0)}: {s}" for s in said)
    fields.update(v_mV=v, i_pA=i, warnings=(*draft.get("warnings", ()), *told))
    return Trace(**fields)


def _measured(v: np.ndarray, i: np.ndarray, clamp: str, dt_ms: float) -> tuple[int, str]:
    """How many samples were measured, and what the others are."""
    finite = np.isfinite(v) & np.isfinite(i)
    if not finite.all():
        n = int(np.argmin(finite))
        return (n, "is not a number") if not finite[n:].any() else (v.size, "")
    response = v if clamp == "current" else i
    zeros = response != 0
    n = response.size - int(np.argmax(zeros[::-1])) if zeros.any() else response.size
    long_enough = response.size - n >= 5 and (response.size - n) * dt_ms >= _SILENT_MS
    if not long_enough or n < 2 or np.mean(~zeros[:n]) > 0.01:
        return v.size, ""
    noise = float(np.median(np.abs(np.diff(response[:n]))))
    jumped = abs(response[n - 1]) > max(8 * noise, 5.0)
    return (n, "is zeros") if noise > 0 or jumped else (v.size, "")
