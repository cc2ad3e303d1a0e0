"""Task: what is fitted to what, and all that stages derive from it, made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from neurojax.fit.holding import check_places, level
from neurojax.fit.precision import Precision, checked, computing, suited
from neurojax.fit.problem import Objective, Problem
from neurojax.loss import Sweep, counted, noise_of, prepare
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space
from neurojax.recording.trace import Trace


@dataclass(frozen=True, eq=False)
class Task:
    """The free parameters of a cell, and the sweeps of one clamp that it should reproduce.

    dt: the time step, ms (default 0.025 in current clamp, the sampling interval in voltage clamp).
    keep: samples `[sample]` of each sweep that count (default: all, but for capacitive transients
    in voltage clamp without a pipette). weights: how much each sweep counts, one number each
    (default: alike).
    held_out: sweeps that are predicted only. seed: of all that is random. hold: in every objective,
    as in scores and free runs, a constant current holds the cell at the potential recorded before
    each current-clamp stimulus, so that a drift of the rest does not pass for a response. Such a
    current makes up for what only moves the rest, as a leak's E_rev does: give it a prior.
    precision: "single", in which sweeps are simulated in float32, or "exact", in float64: slower,
    and never in the kernels of a GPU, for the last digits of a few starts.

    Of a cell with compartments each sweep was recorded at `Trace.at`, by default where the cell's
    electrode is.

    Raises ValueError for no sweep, mixed clamps, or masks and weights that do not fit.
    """

    cell: Cell
    space: Space
    traces: Sequence[Trace]
    held_out: Sequence[Trace] = ()
    dt: float = 0.0
    keep: Sequence[Bool[np.ndarray, " _"]] | None = None  # [sample] of each sweep
    weights: Sequence[float] | None = None
    seed: int = 0
    hold: bool = False
    precision: Precision = "single"
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        checked(self.precision)
        clamp = one_clamp([*self.traces, *self.held_out] if self.traces else [])
        check_places(self.cell, [*self.traces, *self.held_out])
        shares_of(self.weights, len(self.traces))  # or says what is wrong with them
        defaults: dict[str, Any] = {"traces": tuple(self.traces), "held_out": tuple(self.held_out)}
        defaults["cell"] = suited(self.cell, self.precision)
        if not self.dt:
            defaults["dt"] = 0.025 if clamp == "current" else self.traces[0].dt_ms
        if self.keep is None:
            masks = [counted(self.cell, t) for t in self.traces]
            defaults["keep"] = None if masks[0] is None else masks
        for name, value in defaults.items():
            object.__setattr__(self, name, value)

    @property
    def clamp(self) -> str:
        """ "current" or "voltage": of all sweeps."""
        return self.traces[0].clamp

    @property
    def every_sample(self) -> int:
        """Steps from one sample of the recording to the next: records between tell nothing new."""
        return max(1, round(max(t.dt_ms for t in self.traces) / self.dt))

    def rng(self, *stream: int) -> np.random.Generator:
        """The random numbers of one stage, independent of those of another `stream`."""
        return np.random.default_rng([self.seed, *stream])

    def problem(self, objective: Objective | None = None, every: int = 1) -> Problem:
        """The sum of an objective over the sweeps, read every `every` steps, with derivatives.

        `objective(trace, record_ms)` makes the fold that scores a simulation of a sweep, from
        records at record_ms, 2 record_ms and so on. Default: the squared error of the potential
        (current clamp) or of the current (voltage clamp), averaged over all samples that count.
        """
        return self.once(("problem", objective, every), lambda: self._problem(objective, every))

    def _problem(self, objective: Objective | None, every: int) -> Problem:
        how = every, self.keep, self.hold, self.precision
        sweeps = sweeps_for(self.cell, self.traces, self.dt, *how)
        weights = len(sweeps) * shares_of(self.weights, len(sweeps))
        if objective is not None:
            with computing(self.precision):  # it may compute with the data
                folds = [objective(t, self.dt * every) for t in self.traces]
            sweeps = [s._replace(error=f) for s, f in zip(sweeps, folds, strict=True)]
            weights = weights / len(sweeps)
        prior = 0.0
        if any(f.prior for f in self.space.free):
            prior = self._noise_power() if objective is None else 1 / len(sweeps)
        how = self.dt, every, self.clamp, prior, self.precision
        return Problem(self.cell, self.space, sweeps, weights, *how)

    def _noise_power(self) -> float:
        """How much one standard deviation squared is of the mean squared error.

        The variance of the noise over the number of its independent samples: with it the error of
        the data and of the priors add up to a negative log likelihood, in units of the error.
        """
        noise = noise_of(self.traces)
        if noise is None:
            raise ValueError(
                "a prior counts against the noise of the recording, and no sweep is quiet for 5 ms "
                "before its stimulus: give such a sweep, or no prior"
            )
        kept = self.keep or [np.ones(t.v_mV.size, bool) for t in self.traces]
        total = sum(k.sum() * t.dt_ms for k, t in zip(kept, self.traces, strict=True))
        return noise.sd**2 / noise.independent(total)

    def stepped(self, dt: float | None) -> Task:
        """The same task in steps of `dt` ms (None: as it is)."""
        if dt is None or dt == self.dt:
            return self
        return self.once(("stepped", dt), lambda: replace(self, dt=dt))

    def simulated(self, precision: Precision | None) -> Task:
        """The same task in another precision (None: as it is)."""
        if precision is None or precision == self.precision:
            return self
        return self.once(("precision", precision), lambda: replace(self, precision=precision))

    def jittered(self, share: float) -> Task:
        """The same task with each sweep twice, its current stronger and weaker by `share` of it."""
        if not share:
            return self
        return self.once(("jittered", share), lambda: self._swayed(share))

    def _swayed(self, share: float) -> Task:
        def twice(each: Sequence[Any] | None) -> Any:
            return None if each is None else [x for x in each for _ in range(2)]

        traces = [replace(t, i_pA=t.i_pA * (1 + by)) for t in self.traces for by in (share, -share)]
        return replace(self, traces=traces, keep=twice(self.keep), weights=twice(self.weights))

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make()` gives, made at the first call with this key and kept."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def sweeps_for(
    cell: Cell,
    traces: Sequence[Trace],
    dt: float,
    every: int = 1,
    keep: Sequence[Bool[np.ndarray, " _"] | None] | None = None,
    hold: bool = False,
    precision: Precision = "single",
) -> list[Sweep]:
    """Traces as a cell sees them, through its pipette if it has one; see `Task` and `prepare`."""
    with computing(precision):
        sweeps = prepare(traces, dt, every, keep, cell=cell)
    if hold and one_clamp(traces) == "current":
        sweeps = [s._replace(level=level(t)) for s, t in zip(sweeps, traces, strict=True)]
    return sweeps


def one_clamp(traces: Sequence[Trace]) -> str:
    """The clamp that all traces share. Raises ValueError for none or mixed ones."""
    clamps = {t.clamp for t in traces}
    if not clamps:
        raise ValueError("no trace to fit")
    if len(clamps) > 1:
        raise ValueError("cannot fit current clamp and voltage clamp together: give one kind")
    return clamps.pop()


def shares_of(weights: Sequence[float] | None, sweeps: int) -> Float[np.ndarray, " {sweeps}"]:
    """How much each sweep counts, `[sweep]`, in all 1; alike without weights.

    Raises ValueError for weights that do not fit.
    """
    given = np.ones(sweeps) if weights is None else np.asarray(weights, dtype=float)
    if given.shape != (sweeps,) or not (given >= 0).all() or given.sum() <= 0:
        raise ValueError(f"weights {weights!r}: expected {sweeps} numbers >= 0, not all 0")
    return given / given.sum()
