"""What a report tells of, and the measures that its words and figures rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from neurojax.fit import Agreement, Fit, Free, Space
from neurojax.fit.uncertainty.certificate import FreeRun
from neurojax.fit.uncertainty.free_runs import free_runs
from neurojax.fit.verdict import spiking
from neurojax.plot.sweep import SweepView, together


@dataclass(frozen=True, eq=False)
class FitReport:
    """All that a report tells: the fit, each sweep beside its free run, and how it was made."""

    title: str
    fit: Fit
    views: Sequence[SweepView]
    agreements: Sequence[Agreement]  # of each view
    truth: Mapping[str, float] = field(default_factory=dict)  # where the data are synthetic
    command: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0  # that the fit took, its certificate included
    compiling: float = 0.0  # of them, those in which programs were compiled
    files: Mapping[str, str] = field(default_factory=dict)  # what is written beside it, by kind

    def __post_init__(self):
        object.__setattr__(self, "views", together(self.views))

    def label(self, view: SweepView) -> str:
        """How the report calls a sweep: the protocol is named where there are several."""
        several = len({v.data.name for v in self.views}) > 1
        return view.label if several else f"sweep {view.data.sweep}"

    @property
    def clamp(self) -> str:
        """What was held: "current" or "voltage"."""
        return self.views[0].data.clamp

    @property
    def runs(self) -> list[FreeRun]:
        """The sweeps and free runs as the words of a fit take them; those that failed come last."""
        both = zip(self.views, self.agreements, strict=True)
        shown = [FreeRun(v.data, v.model, a, not v.fitted, keep=v.keep) for v, a in both]
        return shown + [run for run in self.fit.free_runs if run.agreement is None]

    @property
    def spiking(self) -> bool:
        """Whether data or model fire."""
        return spiking(self.runs)

    def pairs(self, fitted: bool) -> list[tuple[SweepView, Agreement]]:
        """Sweeps with their agreement, those that were fitted or those that were not."""
        both = zip(self.views, self.agreements, strict=True)
        return [(view, a) for view, a in both if view.fitted == fitted]

    def judged_by(self) -> list[tuple[SweepView, Agreement]]:
        """The sweeps that tell how good the fit is: those it has not seen, if any."""
        return self.pairs(fitted=False) or self.pairs(fitted=True)

    def typical(self, fitted: bool) -> int | None:
        """Place of the sweep of median error, of those that fire where there are any."""
        places = [k for k, view in enumerate(self.views) if view.fitted == fitted]
        firing = [k for k in places if self.agreements[k].spikes_data]
        order = sorted(firing or places, key=lambda k: self.agreements[k].rmse)
        return order[(len(order) - 1) // 2] if order else None


def report_of(fit: Fit, title: str = "", **more: Any) -> FitReport:
    """What there is to report of a fit alone, or of one that was loaded from its file.

    `more` are other fields of the report. A sweep that the model cannot run is left out. Raises
    ValueError for a fit that does not say to which sweeps it was fitted.
    """
    runs = fit.free_runs or (free_runs(fit.task, fit.cell) if fit.task else ())
    views = [SweepView(r.data, r.model, not r.held_out, r.keep) for r in runs if r.model]
    if not views:
        raise ValueError("a report shows sweeps with free runs of the model: this fit has none")
    agreements = [r.agreement for r in runs if r.agreement]
    return FitReport(title or "A fitted cell", fit, views, agreements, **more)


def at_bound(f: Free, value: float, within: float = 0.005) -> str:
    """ "lower" or "upper" where a value sits on a bound of its search, else nothing."""
    place = float(Space((f,)).point({f.name: value})[0])
    return "lower" if place < within else "upper" if place > 1 - within else ""
