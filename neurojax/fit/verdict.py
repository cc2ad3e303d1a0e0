"""How good a fit is, in words: judged by free runs of what it has not seen, where there is any."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from neurojax.fit.budget import StageRecord
from neurojax.fit.holding import base_mV
from neurojax.fit.scoring.agreement import Agreement
from neurojax.fit.uncertainty.certificate import FreeRun
from neurojax.loss import noise_of
from neurojax.recording.features import TOLERANCES

CLOSE_MV = 2 * TOLERANCES["course"].least
"""A good fit is nearer than that where there is no spike, in the median sweep, root mean square."""

Pairs = Sequence[tuple[FreeRun, Agreement]]
"""Runs that could be simulated, with their agreement."""


def pairs(runs: Sequence[FreeRun], held_out: bool) -> Pairs:
    """Those that were held out, or those that were fitted."""
    return [(r, r.agreement) for r in runs if r.held_out == held_out and r.agreement is not None]


def judged(runs: Sequence[FreeRun]) -> Pairs:
    """The runs that tell how good the fit is: those it has not seen, if any."""
    return pairs(runs, held_out=True) or pairs(runs, held_out=False)


def spiking(runs: Sequence[FreeRun]) -> bool:
    """Whether data or model fire, in current clamp."""
    told = (r.agreement for r in runs if r.data.clamp == "current" and r.agreement is not None)
    return any(a.spikes_data or a.spikes_model for a in told)


def median(some: Pairs, of: Callable[[Agreement], float]) -> float:
    """The median of a measure over the runs that have it; NaN for none."""
    known = [x for x in (of(a) for _, a in some) if np.isfinite(x)]
    return float(np.median(known)) if known else float("nan")


def asked(some: Pairs) -> Pairs:
    """The runs whose stimulus changes; all where none does. What nothing moves is noise alone."""
    return [(run, a) for run, a in some if run.data.changes().size] or some


def explained(run: FreeRun) -> float:
    """Share of the measured variance that the model explains, of the samples that count."""
    missed, variance = _variances(run)
    return 1 - missed / max(variance, 1e-12)


def unexplained(run: FreeRun) -> float:
    """Share of the variance that the model misses and might explain: noise is nothing to explain.

    Noise is what the sweep shows before its stimulus begins.
    """
    missed, variance = _variances(run)
    noise = noise_of([run.data])
    own = min(noise.sd**2, missed) if noise else 0.0
    return (missed - own) / max(variance - own, 1e-12)


def _variances(run: FreeRun) -> tuple[float, float]:
    """Mean squares, of the samples that count: what the model misses, and the measured variance."""
    assert run.model is not None
    of_current = run.data.clamp == "voltage"
    y, model = (t.i_pA if of_current else t.v_mV for t in (run.data, run.model))
    kept = slice(None) if run.keep is None else run.keep
    return float(np.mean((model - y)[kept] ** 2)), float(np.var(y[kept]))


# -- what to do next ----------------------------------------------------------------------------
def out_of_time(stages: Sequence[StageRecord]) -> str:
    """That the last stage that looked for better points was still gaining at its end; or nothing.

    "Gaining": by 2 % in the last quarter of its iterations, or too few of them to tell.
    """
    looked = [s for s in stages if s.name not in _NO_SEARCH]
    # A stage may be run again for what is left of the time, which may be nothing.
    while len(looked) > 1 and not len(looked[-1].history) and len(looked[-2].history):
        looked = looked[:-1]
    if not looked or not looked[-1].cut:
        return ""
    history = looked[-1].history
    # Stages that go on from each other by turns, each shortly, are one course.
    for before in reversed(looked[:-1]):
        goes_on = len(before.history) and before.unit == looked[-1].unit and len(history)
        if len(history) >= _TOO_FEW or not goes_on or before.history[-1] < history[0]:
            break
        history = np.concatenate([before.history, history])
    if len(history) < _TOO_FEW:
        told = f"after {len(history)} iteration{'' if len(history) == 1 else 's'}"
    elif (gain := 1 - history[-1] / max(history[-1 - len(history) // 4], 1e-300)) > 0.02:
        told = f"the error still fell, by {100 * gain:.0f} % in the last quarter of its iterations"
    else:
        return ""
    return f"The time was over before the fit was done: {looked[-1].name} ended, {told}."


_TOO_FEW = 12
_NO_SEARCH = ("certify", "ranges", "draw", "again")


def advice(runs: Sequence[FreeRun], stages: Sequence[StageRecord]) -> list[str]:
    """What to do about a fit that is not good, a sentence each, what helps most first."""
    some = judged(runs)
    if not some or grade(runs) == "good":
        return []
    told = [*_suspect(runs)]
    if late := out_of_time(stages):
        told.append(f"{late} Give it more time: --seconds, or --resume goes on from here.")
    told += _which_sweeps(some)
    told += _drift([run for run in runs if run.data.clamp == "current"])
    if not late:
        told.append(
            "More time would hardly help, for the error falls no longer: try another model "
            "(neurojax models lists them), free more of its parameters, or widen their bounds."
        )
    return told


def _suspect(runs: Sequence[FreeRun]) -> Iterator[str]:
    """What is odd in the recording itself, once where sweeps differ in its numbers alone."""
    alike: dict[str, str] = {}
    for run in runs:
        for warning in run.data.warnings:
            alike.setdefault(re.sub(r"-?\d+(\.\d+)?", "", warning), warning)
    if alike:
        yield f"Look at the recording first: {'; '.join(alike.values())}."


def _which_sweeps(some: Pairs) -> Iterator[str]:
    """Where data and model disagree, if it is not everywhere."""
    if spiking([run for run, _ in some]):
        wrong = [(run, a) for run, a in some if miscounts(a)]
        many = sum(a.spikes_model > a.spikes_data for _, a in wrong)
        kind = {0: "too few spikes", len(wrong): "too many spikes"}.get(many, "the wrong number")
    else:
        some = asked(some)
        wrong = [(run, a) for run, a in some if unexplained(run) > 0.1]
        kind = "less than 90 % explained"
    if wrong and len(wrong) < len(some):
        names = [sweep_name(run) for run, _ in wrong]
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        shown = ", ".join(names[:6]) + more if more else listed(names)
        rest = len(some) - len(wrong)
        others = "the other one agrees" if rest == 1 else f"the other {rest} agree"
        yield f"Sweeps that disagree: {shown} ({kind}); {others}."


def sweep_name(run: FreeRun) -> str:
    """ "IV 12 (+80 pA)"."""
    height = run.data.step_window()[2]
    unit = "pA" if run.data.clamp == "current" else "mV"
    return f"{run.data.name} {run.data.sweep} ({height:+.0f} {unit})".strip()


def _drift(runs: Sequence[FreeRun]) -> Iterator[str]:
    """Whether the potential at which sweeps begin moves from the first to the last."""
    if len(runs) < 3:
        return
    order = sorted(runs, key=lambda run: run.data.begun_ms)
    base = np.array([base_mV(run.data)[0] for run in order])
    order_of = np.arange(base.size)
    slope, begin = np.polyfit(order_of, base, 1)
    moved, rest = slope * order_of[-1], float(np.std(base - begin - slope * order_of))
    if abs(moved) > max(DRIFT_MV, 3 * rest):
        yield (
            f"The potential before the stimulus moves by {moved:+.1f} mV from the first sweep to "
            "the last: a drifting seal or access may be what the model cannot follow. Leave out "
            "the sweeps where it has changed."
        )


DRIFT_MV = 4.0
"""A rest that moves steadily by more than this is told."""


# -- the judgement ---------------------------------------------------------------------------------
def grade(runs: Sequence[FreeRun]) -> str:
    """ "good", "rough" or "poor", by what was not seen where there is anything.

    A model that cannot run a sweep is poor. Good: on every sweep the number of spikes is right
    within 10 % or 1, and silence is kept; the times are off by half an interval at most, or by what
    a number that is off by 10 % makes, and the potential before and between spikes by CLOSE_MV.
    """
    some = judged(runs)
    if not some or any(r.agreement is None for r in runs):
        return "poor"
    if not spiking(runs):
        missed = max(unexplained(run) for run, _ in asked(some))
        return "good" if missed < 0.03 else "rough" if missed < 0.2 else "poor"
    if not any(miscounts(a) for _, a in some):
        # Matched in order, spikes of trains that differ in number say nothing of timing.
        alike = [a for _, a in some if a.spikes_model == a.spikes_data]
        late = [a.spike_time_error / _may_be_late(a) for a in alike]
        late = [x for x in late if np.isfinite(x)]
        beneath = median(some, lambda a: a.below_mV)
        if float(np.mean(late or [0.0])) <= 1 and not beneath > CLOSE_MV:
            return "good"
    off = [abs(a.spikes_model - a.spikes_data) for _, a in some]
    worst = max(n / max(a.spikes_data, 2) for n, (_, a) in zip(off, some, strict=True))
    real = sum(a.spikes_data for _, a in some)
    return "rough" if sum(off) <= 0.25 * max(real, 1) and worst <= 0.5 else "poor"


def miscounts(a: Agreement) -> bool:
    """Whether the number of spikes is off by more than 10 % and 1, or silence is broken."""
    off = abs(a.spikes_model - a.spikes_data)
    return off > max(1.0, _OFF * a.spikes_data) or (off > 0 and a.spikes_data == 0)


_OFF = 0.1
"""Part of the spikes that may be missing or too many."""


def _may_be_late(a: Agreement) -> float:
    """By how much of the mean interval the spikes of a good fit may be off in time, on average.

    A rate that is wrong by a part moves the last spike by that part of the train, and the mean one
    by half of it. A train of the right number is asked for no more than one that lacks a few.
    """
    return max(0.5, _OFF / 2 * a.spikes_data)


def verdict(runs: Sequence[FreeRun]) -> str:
    """How good the fit is: first a judgement, then what it rests on."""
    if not judged(runs):
        return "No free run of the model: nothing says how good the fit is."
    unseen = pairs(runs, held_out=True)
    said = spikes_said if spiking(runs) else trace_said
    both = ((unseen, "not seen"), (pairs(runs, held_out=False), "fitted"))
    told = [said(some, where) for some, where in both if some]
    basis = "the sweeps it had not seen" if unseen else "the sweeps it was fitted to"
    first = {
        "good": f"A good fit, judged by {basis}.",
        "rough": f"A rough fit, judged by {basis}: right in kind, off in detail.",
        "poor": f"A poor fit, judged by {basis}: this model does not describe this recording yet.",
    }[grade(runs)]
    if not unseen:
        first += " Nothing was held out, so this says little about prediction."
    lost = [r for r in runs if r.agreement is None]
    if lost:
        sweeps = "one sweep" if len(lost) == 1 else f"{len(lost)} sweeps"
        told.append(f"On {sweeps} it could not be run: {lost[0].failure}.")
    return " ".join([first, *told])


def _sweeps(some: Pairs, where: str) -> str:
    return f"On {f'the {len(some)} sweeps' if len(some) > 1 else 'the one sweep'} {where}"


def spikes_said(some: Pairs, where: str) -> str:
    """Spikes of model and data: sweep by sweep where they are few, else in all."""
    model, real = ([getattr(a, k) for _, a in some] for k in ("spikes_model", "spikes_data"))
    if len(some) > 5:
        model, real = [sum(model)], [sum(real)]
    spikes = "spike" if model == [1] else "spikes"
    return (
        f"{_sweeps(some, where)} it fires {listed(model)} {spikes} where the neuron fired "
        f"{listed(real)}.{_timing(some)}"
    )


def _timing(some: Pairs) -> str:
    """How far spikes are off in time, where it can be told: in trains of the same number."""
    alike = [a for _, a in some if a.spikes_model == a.spikes_data]
    late = [(a.spike_time_error_ms, 100 * a.spike_time_error) for a in alike]
    late = [pair for pair in late if np.isfinite(pair).all()]
    if not late:
        return ""
    ms, share = np.mean(late, axis=0)
    where = " Where the numbers agree, the times" if len(alike) < len(some) else " The times"
    if share > 100:
        return f"{where} do not{'' if len(alike) < len(some) else ' agree'}."
    told = f"{ms:.0f}" if ms >= 10 else f"{ms:.2g}"
    off = f"{told} ms" if ms >= 0.1 else "less than 0.1 ms"
    part = f"{share:.0f}" if share >= 1 else "below 1"
    return f"{where} are {off} off on average ({part} % of the interval)."


def listed(things: Sequence[object]) -> str:
    """ "1, 2 and 3"."""
    *most, last = map(str, things)
    return f"{', '.join(most)} and {last}" if most else last


def trace_said(some: Pairs, where: str) -> str:
    """The share of the variance that is explained, of potential or current."""
    share = [explained(run) for run, _ in asked(some)]
    worst = f" (worst sweep {100 * min(share):.1f} %)" if len(share) > 1 else ""
    what = "current" if some[0][0].data.clamp == "voltage" else "potential"
    mean = 100 * float(np.mean(share))
    told = f"{_sweeps(some, where)} it explains {mean:.1f} % of the variance of the {what}{worst}"
    beyond = max(unexplained(run) for run, _ in asked(some))
    noise = ", all but the noise" if beyond < 0.01 < 1 - min(share) else ""
    return f"{told}{noise}."
