"""The first screen of a report: what was asked, the verdict, the numbers that matter, one look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

import numpy as np

from neurojax.fit.verdict import Pairs, advice, asked, explained, grade, judged, median, verdict
from neurojax.plot.look import number
from neurojax.report import page, words
from neurojax.report.content import FitReport
from neurojax.report.figures import Drawn


def opening(report: FitReport, made: Mapping[str, Drawn]) -> Iterator[str]:
    """The pieces of the first screen."""
    when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M")
    yield page.paragraph(f"Report of a fit with neurojax, {when}", "eyebrow")
    yield page.heading(1, page.text(report.title))
    yield page.paragraph(page.text(words.asked(report)), "asked")
    if chosen := report.settings.get("chosen"):
        yield page.paragraph(page.text(f"Several models were compared: {chosen}."), "note")
    told, word = page.text(verdict(report.runs)), grade(report.runs)
    first = f"A {word} fit"
    told = told.replace(first, f'<strong class="{word}">{first}</strong>', 1)
    yield page.paragraph(told, "verdict")
    if told := advice(report.runs, report.fit.stages):
        yield page.bullets([page.text(x) for x in told], "What to do next", "plain")
    yield page.facts([*_key_numbers(report)])
    if found := words.cautions(report):
        yield page.bullets([page.text(x) for x in found], "Before you use these numbers")
    yield page.drawing("glance", made["glance"])
    if report.files:
        linked = ", ".join(
            page.link(file, f"{kind} ({file})") for kind, file in report.files.items()
        )
        yield page.paragraph(f"Beside this report: {linked}.", "note")


def _key_numbers(report: FitReport) -> Iterator[tuple[str, str]]:
    tests = report.judged_by()
    role = tests[0][0].role
    where = f'<span class="{role}">{role} {"sweeps" if len(tests) > 1 else "sweep"}</span>'
    yield from _of_spikes(report, where) if report.spiking else _of_traces(report, where)
    fit = report.fit
    counted = "" if fit.unit in ("", "1", "mV", "pA") else f", in {fit.unit}"
    unit = fit.unit if fit.unit in ("mV", "pA") else ""
    seen = '<span class="fitted">fitted sweeps</span>'
    yield f"{number(fit.error, 3)} {unit}", f"final error{counted} {seen}"
    simulated = sum(stage.evaluations for stage in fit.stages)
    yield _duration(report.seconds), f"for everything, {simulated:,} simulated sweeps"


def _of_spikes(report: FitReport, where: str) -> Iterator[tuple[str, str]]:
    pairs = judged(report.runs)
    model, data = (sum(getattr(a, k) for _, a in pairs) for k in ("spikes_model", "spikes_data"))
    yield f"{model} / {data}", f"spikes of model / neuron {where}"
    silent = [a for _, a in pairs if not a.spikes_data]
    if silent:
        still = sum(not a.spikes_model for a in silent)
        yield f"{still} of {len(silent)}", f"silent sweeps stay silent {where}"
    late = median(pairs, lambda a: abs(a.latency_error_ms))
    if np.isfinite(late):
        told = f"{number(late, 2)} ms" if late >= 0.1 else "< 0.1 ms"
        yield told, f"first spike off{_median(pairs)} {where}"
    below = median(pairs, lambda a: a.subthreshold_rmse_mV)
    if np.isfinite(below):
        yield f"{number(below, 2)} mV", f"subthreshold RMSE{_median(pairs)} {where}"


def _of_traces(report: FitReport, where: str) -> Iterator[tuple[str, str]]:
    pairs = judged(report.runs)
    what = "current" if report.clamp == "voltage" else "potential"
    share = float(np.median([explained(run) for run, _ in asked(pairs)]))
    yield f"{100 * share:.1f} %", f"of the {what}'s variance explained{_median(pairs)} {where}"
    unit = "pA" if report.clamp == "voltage" else "mV"
    yield f"{number(median(pairs, lambda a: a.rmse), 3)} {unit}", f"RMSE{_median(pairs)} {where}"
    c = report.fit.certificate
    if c is not None and c.noise is not None and c.misfit is not None and c.noise.sd > 0:
        left = c.misfit.sd / c.noise.sd
        yield f"{number(left, 2)} \N{MULTIPLICATION SIGN}", "the recording's noise is left over"


def _median(pairs: Pairs) -> str:
    return ", median" if len(pairs) > 1 else ""


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
