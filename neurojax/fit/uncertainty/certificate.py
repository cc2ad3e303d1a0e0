"""Certificate: what is known of how good a fit is and how well the data determine its parameters.

A result of plain numbers and arrays, for reports and files; `certify` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from neurojax.fit.scoring.agreement import Agreement
from neurojax.model.space import Free, Space
from neurojax.recording.trace import Trace


class NoiseLevel(NamedTuple):
    """How much a trace scatters, and for how long its deviations last."""

    sd: float  # in `unit`
    correlation_ms: float  # integrated autocorrelation time; the sampling interval if independent
    unit: str  # mV or pA

    def sentence(self) -> str:
        """ "6.9 pA"; with the time that its deviations last where it is known."""
        lasts = f", lasting {self.correlation_ms:.2g} ms" if self.correlation_ms > 0 else ""
        return f"{self.sd:.3g} {self.unit}{lasts}"


class Likelihood(NamedTuple):
    """How likely the recording is under a model and the noise of the recording, normal and known.

    Sources: Akaike 1974, IEEE Trans Autom Control 19:716, doi:10.1109/TAC.1974.1100705 (AIC);
    Schwarz 1978, Ann Stat 6:461, doi:10.1214/aos/1176344136 (BIC).
    """

    log_likelihood: float  # natural logarithm, of the fitted sweeps
    parameters: int  # free ones
    samples: float  # independent ones, in all fitted sweeps

    @property
    def aic(self) -> float:
        """Akaike's information criterion: the less the better, 2 for each parameter."""
        return 2 * self.parameters - 2 * self.log_likelihood

    @property
    def bic(self) -> float:
        """Schwarz's Bayesian information criterion: ln(samples) for each parameter."""
        return float(self.parameters * np.log(self.samples) - 2 * self.log_likelihood)

    def criteria(self) -> str:
        """ "AIC 24612.3, BIC 24633.3": to the tenth, for differences of 2 count."""
        return f"AIC {self.aic:.1f}, BIC {self.bic:.1f}"

    def sentence(self) -> str:
        """ "log likelihood -12303.1 of 8000 independent samples; AIC 24612.3, BIC 24633.3"."""
        return (
            f"log likelihood {self.log_likelihood:.1f} of {self.samples:.0f} independent samples; "
            f"{self.criteria()}"
        )


class Interval(NamedTuple):
    """Values of a parameter that the data allow at 95 %, in its unit.

    Where an interval is open the data allow everything up to that bound of the fit, and `low` or
    `high` is the bound.
    """

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def sentence(self, unit: str = "") -> str:
        """ "115 to 126 mS/cm2"; "115 mS/cm2 and more: open towards its upper bound"."""
        unit = f" {unit}" if unit not in ("", "1") else ""
        if self.open_low and self.open_high:
            return f"anything between its bounds, {self.low:.3g} and {self.high:.3g}{unit}"
        if self.open_high:
            return f"{self.low:.4g}{unit} and more: open towards its upper bound"
        if self.open_low:
            return f"{self.high:.4g}{unit} and less: open towards its lower bound"
        return f"{self.low:.4g} to {self.high:.4g}{unit}"


class Profile(NamedTuple):
    """The best that the other parameters can do for each value of one, `[n]` in rising order."""

    values: Float[np.ndarray, " point"]  # in the parameter's unit
    # chi-squared above its least; 3.84 is the 95 % limit; NaN: cell lost
    rise: Float[np.ndarray, " point"]
    interval: Interval  # where it stays below that


class Direction(NamedTuple):
    """A combination of parameters, of unit length in the box of bounds, and how far data allow it.

    `undetermined`: the data allow the whole distance between the bounds.
    """

    weights: Float[np.ndarray, " param"]  # per coordinate of the box, the largest positive
    half_width: float  # 95 % limit to either side, where 1 is from bound to bound
    undetermined: bool
    sentence: str  # "na.g_bar and na.v_shift trade against each other: ..."


class Ensemble(NamedTuple):
    """Candidates whose error is near the best: one solution, or several (a degenerate fit)."""

    kept: int  # candidates within `tolerance` of the best error
    of: int  # candidates in all
    tolerance: float  # a part: 0.05 is 5 %
    # of their places among the fit's starts, the best's group first
    groups: list[Int[np.ndarray, " _"]]
    spread: dict[str, tuple[float, float]]  # least and greatest value of each parameter
    sentence: str

    @property
    def degenerate(self) -> bool:
        """Whether points that differ are as good as each other."""
        return len(self.groups) > 1


class FreeRun(NamedTuple):
    """A sweep and what the fitted cell makes of its stimulus with nothing to guide it."""

    data: Trace
    model: Trace | None  # None where the cell could not be simulated
    agreement: Agreement | None
    held_out: bool  # whether the fit has not seen this sweep
    failure: str = ""  # why there is no model
    keep: Bool[np.ndarray, " sample"] | None = None  # those that count; None: all

    def sentence(self) -> str:
        """The agreement in words, after the sweep."""
        result = self.agreement.sentence() if self.agreement else self.failure
        return f"sweep {self.data.sweep}{' (held out)' if self.held_out else ''}: {result}"


class Posterior(NamedTuple):
    """Draws from the distribution of the parameters given the data, flat within the bounds."""

    samples: dict[str, Float[np.ndarray, " draw"]]  # in the parameter's unit
    method: str  # "laplace" or "nuts"
    seconds: float
    chains: int = 1
    divergences: int = 0  # NUTS: of trajectories that left the finite numbers
    rhat: dict[str, float] = {}  # NUTS: between-chain against within-chain scatter, 1 is good

    def sd(self, name: str) -> float:
        """Standard deviation of a parameter's draws, in its unit."""
        return float(np.std(self.samples[name], ddof=1))

    def interval(self, name: str) -> Interval:
        """The middle 95 % of a parameter's draws."""
        low, high = np.quantile(self.samples[name], (0.025, 0.975))
        return Interval(float(low), float(high))

    def sentence(self) -> str:
        """How the draws were made and whether they can be trusted."""
        n = next(iter(self.samples.values())).size
        if self.method == "laplace":
            return f"{n} draws from the normal approximation at the best point (Laplace)"
        worst = max(self.rhat.values(), default=np.nan)
        return (
            f"{n} draws by NUTS in {self.chains} chains, {self.divergences} divergent; "
            f"R-hat at most {worst:.3f}{'' if worst < 1.05 else ': not yet converged'}"
        )


@dataclass(frozen=True, eq=False)
class Certificate:
    """How good a fit is on what it has and has not seen, and how sure its parameters are.

    Matrices have one row and column for each free parameter, in the order of `names`. What could
    not be computed is empty or None: a fit to features has no Fisher information unless they are
    residuals.
    """

    space: Space
    values: dict[str, float]  # best value of each free parameter
    error: float  # at the best point, in `unit`
    unit: str
    free_runs: list[FreeRun] = field(default_factory=list)
    noise: NoiseLevel | None = None  # of the recording, from quiet parts
    misfit: NoiseLevel | None = None  # what the best fit leaves over
    likelihood: Likelihood | None = None  # under that noise
    counted: str = ""  # as noise: "quiet" or "residual"
    missing: str = ""  # why there is no Fisher information where there should be
    # information in coordinates of the box
    fisher: Float[np.ndarray, "param param"] | None = None
    # in the parameters' units; inf: undetermined
    covariance: Float[np.ndarray, "param param"] | None = None
    directions: list[Direction] = field(default_factory=list)  # left open, widest first
    profiles: dict[str, Profile] = field(default_factory=dict)
    chi2_to_minimum: float = 0.0  # by how much chi-squared falls to the nearest minimum
    posterior: Posterior | None = None
    ensemble: Ensemble | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # each moved alone

    @property
    def names(self) -> list[str]:
        """Of the free parameters."""
        return self.space.names

    @property
    def held_out(self) -> list[FreeRun]:
        """The sweeps that the fit has not seen."""
        return [run for run in self.free_runs if run.held_out]

    @property
    def standard_errors(self) -> dict[str, float]:
        """Of each parameter, in its unit; infinite where the data do not determine it."""
        if self.covariance is None:
            return {}
        return dict(zip(self.names, map(float, np.sqrt(np.diag(self.covariance))), strict=True))

    @property
    def correlation(self) -> Float[np.ndarray, "param param"] | None:
        """Of the estimates `[P, P]`; NaN in rows of what is not determined."""
        if self.covariance is None:
            return None
        sd = np.sqrt(np.diag(self.covariance))
        with np.errstate(invalid="ignore"):
            return self.covariance / np.outer(sd, sd)

    @property
    def intervals(self) -> dict[str, Interval]:
        """95 % intervals: of the profile likelihood where there is one, else of NUTS or Fisher."""
        known = {} if self.covariance is None else _wald(self.space, self.values, self.covariance)
        if self.posterior is not None and self.posterior.method == "nuts":
            known |= {name: self.posterior.interval(name) for name in self.names}
        return known | {name: profile.interval for name, profile in self.profiles.items()}

    def sentences(self) -> list[str]:
        """What a person should know, in English, what was never seen first."""
        runs = sorted(self.free_runs, key=lambda run: not run.held_out)
        lines = [run.sentence() for run in runs]
        lines += _of_noise(self)
        for f in self.space.free:
            if f.name in self.intervals:
                lines.append(_of_parameter(f, self.values[f.name], self.intervals[f.name]))
        lines += [d.sentence for d in self.directions]
        lines += [self.missing] if self.missing else []
        lines += [f"{name} ended at its {side} bound" for name, side in self.at_bounds().items()]
        if self.chi2_to_minimum > 1 and not self.missing:
            lines.append(
                "the best point is not yet a minimum: chi-squared falls by "
                f"{self.chi2_to_minimum:.2g} nearby; polish longer"
            )
        if self.posterior is not None:
            lines.append(self.posterior.sentence())
        if self.ensemble is not None and self.ensemble.sentence:
            lines.append(self.ensemble.sentence)
        return lines

    def at_bounds(self, within: float = 1e-3) -> dict[str, str]:
        """ "lower" or "upper" by name, for what ended there, `within` a part of the distance."""
        z = dict(zip(self.names, self.space.point(self.values), strict=True))
        near = {name: at for name, at in z.items() if min(at, 1 - at) < within}
        return {name: "lower" if at < 0.5 else "upper" for name, at in near.items()}


def _wald(space: Space, values: Mapping[str, float], covariance: np.ndarray) -> dict[str, Interval]:
    """1.96 standard errors to either side on the scale of each parameter, within its bounds."""
    known = {}
    for f, variance in zip(space.free, np.diag(covariance), strict=True):
        half, best = 1.96 * np.sqrt(variance), values[f.name]
        if f.scale == "log":
            with np.errstate(over="ignore"):
                low, high = best * np.exp(np.array([-1, 1]) * half / best)
        else:
            low, high = best - half, best + half
        open_low, open_high = bool(low <= f.low), bool(high >= f.high)
        known[f.name] = Interval(
            max(float(low), f.low), min(float(high), f.high), open_low, open_high
        )
    return known


def _of_parameter(f: Free, best: float, interval: Interval) -> str:
    unit = f" {f.unit}" if f.unit not in ("", "1") else ""
    return f"{f.name} is {best:.4g}{unit}; 95 % interval {interval.sentence(f.unit)}"


def _of_noise(c: Certificate) -> list[str]:
    """The noise of the recording, and whether the misfit is more than that."""
    lines = []
    if c.noise is not None:
        lines.append(f"noise of the recording {c.noise.sentence()} (from its quiet part)")
    if c.misfit is not None:
        more = "" if c.noise is None else f", {c.misfit.sd / c.noise.sd:.2g} times the noise"
        lines.append(f"misfit {c.misfit.sentence()}{more}")
    if c.likelihood is not None:
        lines.append(f"{c.likelihood.sentence()} (of the noise alone)")
    if c.covariance is None:
        return lines
    if c.counted == "residual":
        lines.append("intervals count the misfit as noise, with the time that it lasts")
    elif c.counted == "quiet":
        lines.append("intervals count the noise alone: they hold if the model is right")
    return lines
