"""What a report tells of, and the measures that its words and figures rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurojax.fit import Agreement, Fit, Free, Space
from neurojax.plot.sweep import SweepView, measured, residual


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
    seconds: float = 0.0

    @property
    def clamp(self) -> str:
        """What was held: "current" or "voltage"."""
        return self.views[0].data.clamp

    @property
    def spiking(self) -> bool:
        """Whether data or model fire."""
        return self.clamp == "current" and any(
            a.spikes_data or a.spikes_model for a in self.agreements
        )

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


def median(pairs: Sequence[tuple[SweepView, Agreement]], of: Callable[[Agreement], float]) -> float:
    """The median of a measure over the sweeps that have it; NaN for none."""
    known = [x for x in (of(a) for _, a in pairs) if np.isfinite(x)]
    return float(np.median(known)) if known else float("nan")


def explained(view: SweepView) -> float:
    """Share of the measured variance that the model explains, of the samples that count."""
    _, r = residual(view.data, view.model)
    y = measured(view.data)[: r.size]
    if view.keep is not None:
        kept = view.keep[: r.size]
        y, r = y[kept], r[kept]
    return float(1 - np.mean(r**2) / max(float(np.var(y)), 1e-12))


def at_bound(f: Free, value: float, within: float = 0.005) -> str:
    """ "lower" or "upper" where a value sits on a bound of its search, else nothing."""
    place = float(Space((f,)).point({f.name: value})[0])
    return "lower" if place < within else "upper" if place > 1 - within else ""
