"""Recordings of real cells in current clamp, and the limits within which a fit predicts them."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import numpy as np
from common import recordings

import neurojax as nj
from neurojax.fit import Prepared, Space, agreement, free_run, prepare_recording
from neurojax.io import read
from neurojax.model import load_model
from neurojax.recording import features
from neurojax.recording.stimulus import latency_from
from neurojax.recording.trace import Trace

CELLS = (
    "axon5_step_cclamp",
    "saray_190619B_0003",
    "lantyer_180817_ME_9",
    "swh_18711001",
    "bluepyefe_B6",
    "bbp_C060109A1_SR_C1",
)
ALLEN = tuple(f"allen_{n}" for n in (518290966, 509881736, 532571720, 526950199, 532355382))
FINE_MS = 0.1
"""Half-widths are judged where a recording was sampled this often or more."""
ADAPTATION_MS = (200.0, 160.0)
"""Median of the time constants of adaptation, and how far they are known, as `Free.prior`."""
_UNTOLD = ("nap", "h", "medium")


def load(name: str) -> list[Trace]:
    """The sweeps of a cell, as they are read."""
    path = recordings() / "cc" / f"{name}.npz"
    if not path.exists():
        sys.exit(f"no recording {path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(path)


def prepared(name: str, model_name: str = "cortex") -> Prepared:
    """A recording and a packaged model, made ready as `neurojax fit` does."""
    model = load_model(model_name)
    assert model.space is not None
    return prepare_recording(model.cell, model.space, load(name))


def cortex_of_one_step() -> tuple[nj.Cell, Space]:
    """The same without the channels that one depolarising step cannot tell from the others.

    Nor does it tell a slow process from a drift: time constants of adaptation have a prior. Fast
    adaptation of cortical neurons is over in 300 ms (La Camera et al. 2006, J Neurophysiol 96:3448,
    doi:10.1152/jn.00453.2006).
    """
    model = load_model("cortex")
    assert model.space is not None
    told = {k: c for k, c in model.cell.channels.items() if k not in _UNTOLD}
    chosen = [
        replace(
            f,
            also=tuple(a for a in f.also if a.split(".")[0] in told),
            prior=ADAPTATION_MS if f.name in ("slow.tau", "km.tau_max") else f.prior,
        )
        for f in model.space.free
        if f.name.split(".")[0] not in _UNTOLD
    ]
    return replace(model.cell, channels=told), Space(tuple(chosen))


def predicted(cell: nj.Cell, trace: Trace, held: bool = True) -> tuple[dict, Trace]:
    """How a free run agrees with a sweep, as a row of results, and the run."""
    run = free_run(cell, trace, held=held)
    told = agreement(trace, run)
    found = features.spikes(trace.v_mV, trace.dt_ms)
    first = float(found.times[0]) if found.number else np.nan
    row = {
        "sweep": f"{trace.name} {trace.sweep}".strip(),
        "step_pA": round(trace.step_window()[2], 1),
        "bias_pA": round(told.bias_pA, 1),
        "spikes_data": told.spikes_data,
        "spikes_model": told.spikes_model,
        "latency_ms": round(first - latency_from(trace, first), 2) if found.number else None,
        "latency_error_ms": told.latency_error_ms,
        "spike_time_error_percent": 100 * told.spike_time_error,
        "peak_error_mV": told.peak_error_mV,
        "trough_error_mV": told.trough_error_mV,
        "width_error_percent": 100 * told.width_error_ms / np.nanmean(found.widths)
        if found.number
        else np.nan,
        "subthreshold_rmse_mV": told.quiet_rmse_mV,
    }
    return {k: _plain(v) for k, v in row.items()}, run


def _plain(value):
    """Short numbers, and null where there is none."""
    if isinstance(value, float):
        return round(value, 3) if np.isfinite(value) else None
    return value


def verdict(rows: list[dict], dt_ms: float) -> dict[str, dict]:
    """Each limit of a good prediction: its value over some sweeps, and whether it is kept.

    Medians over sweeps. Counts: of |error| in units of the larger of one spike and 10 %. Latency:
    in units of the larger of 3 ms and 15 %.
    """
    firing = [r for r in rows if r["spikes_data"]]
    silent = [r for r in rows if not r["spikes_data"]]
    both = [r for r in firing if r["spikes_model"]]
    false_alarms = sum(r["spikes_model"] > 0 for r in silent)
    count = [
        abs(r["spikes_model"] - r["spikes_data"]) / max(1, 0.1 * r["spikes_data"]) for r in firing
    ]
    late = [abs(r["latency_error_ms"]) / max(3, 0.15 * r["latency_ms"]) for r in both]
    limits = {
        "count_error": (_median(count), 1.0),
        "silent_sweeps_that_fire": (float(false_alarms), 0.0),
        "subthreshold_rmse_mV": (_median([r["subthreshold_rmse_mV"] for r in rows]), 1.5),
        "latency_error": (_median(late), 1.0),
        "peak_error_mV": (_median([abs(r["peak_error_mV"]) for r in both]), 5.0),
    }
    if dt_ms <= FINE_MS:
        widths = [abs(r["width_error_percent"]) for r in both if r["width_error_percent"]]
        limits["width_error_percent"] = (_median(widths), 20.0)
    return {
        name: {"value": round(value, 3), "limit": limit, "kept": bool(value <= limit)}
        for name, (value, limit) in limits.items()
    }


def median_verdict(rows: list[dict]) -> dict[str, dict]:
    """Each limit of the held-out sweeps of one cell, its value the median over fits."""
    limits = {}
    for name, first in rows[0]["held_out"].items():
        value = _median([r["held_out"][name]["value"] for r in rows])
        limits[name] = first | {"value": round(value, 3), "kept": bool(value <= first["limit"])}
    return limits


def _median(values: list[float]) -> float:
    known = [v for v in values if v is not None]
    return float(np.median(known)) if known else float("nan")
