"""CohortDescent: one start of a cohort goes downhill, all its cells at once.

It is not `optimisers.descent`: there starts are independent; here cells share parameters, and a
step is accepted for all of them or for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neurojax.fit.hierarchical import pooling
from neurojax.fit.optimisers import schur_complement
from neurojax.fit.optimisers.trust_region import at_bound, next_damping

PATIENCE = 5
"""Iterations without a gain after which a phase is over."""

COARSE = 1e-2
"""Share of the sum of squares that is a gain while the cells are still coupled to their data."""

STUCK, RESCUES = 3.0, 2
"""A residual this many times the median is of another minimum; how often such cells try again."""


class Left(NamedTuple):
    """Where cells were before they were sent the whole way again."""

    z: np.ndarray  # [P, cell]
    value: np.ndarray  # [cell]


_PAIRS: dict[str, Any] = {"population": pooling.Population, "left": Left}
"""What of a start is two arrays, where there is any."""


class Phase(NamedTuple):
    """A part of the descent, under one coupling, mS/cm2."""

    coupling: float
    what: str  # "fit", "rescue" of stuck cells, or "pool"


@dataclass(frozen=True)
class Plan:
    """What is the same for all starts of a cohort."""

    shared: np.ndarray  # [P] bool
    pooled: np.ndarray  # [P] bool
    samples: np.ndarray  # [cell]
    noise: np.ndarray | None  # [cell], in the unit of the error; None: to be estimated
    least_noise: np.ndarray  # [cell]: estimates are not below
    couplings: Sequence[float]  # mS/cm2, strong to weak
    iterations: int  # at most, in each phase
    tolerance: float

    @property
    def phases(self) -> list[Phase]:
        """One for each coupling, and one in which cells are weighed by their noise and pooled."""
        fits = [Phase(g, "fit") for g in self.couplings]
        if self.noise is None or self.pooled.any():
            fits.append(Phase(self.couplings[-1], "pool"))
        return fits


class CohortDescent:
    """One start: simulate `trial` `[P, cell]` under `coupling`, and give the result to `advance`.

    A joint step moves all cells and what they share, and is accepted when the sum over the cells
    falls. After a rejected one each cell's own parameters move alone, and are accepted alone. Cells
    whose residual is far above the others' in the end go once more through all couplings, from the
    median of the others.
    """

    def __init__(self, plan: Plan, z: np.ndarray):
        self.plan, self.trial, self.z = plan, z, z
        cells = z.shape[1]
        self.alive, self.stuck = np.ones(cells, dtype=bool), np.zeros(cells, dtype=bool)
        self.value = np.full(cells, np.inf)
        self.gradient, self.matrix = np.zeros_like(z), np.zeros((len(z), *z.shape))
        self.weight = plan.samples if plan.noise is None else plan.samples / plan.noise**2
        self.population: pooling.Population | None = None
        self.ahead, self.rescues = plan.phases, RESCUES
        self.phases_done = -1
        self._enter()

    # -- where it stands ---------------------------------------------------------------------------
    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that changes on the way, by name: arrays, and what JSON can hold."""
        arrays: dict[str, np.ndarray] = {}
        settings: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                arrays[name] = value
            elif name in _PAIRS and value is not None:
                arrays |= {f"{name} {k}": a for k, a in enumerate(value)}
            elif name not in ("plan", *_PAIRS):
                settings[name] = value
        return arrays, settings

    @classmethod
    def restored(
        cls, plan: Plan, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]
    ) -> CohortDescent:
        """The start that a `state` is of."""
        descent = cls(plan, arrays["z"])
        own = {name: a for name, a in arrays.items() if name[:-2] not in _PAIRS}
        for name, kind in _PAIRS.items():
            if f"{name} 0" in arrays:
                own[name] = kind(arrays[f"{name} 0"], arrays[f"{name} 1"])
        vars(descent).update(own, **settings)
        descent.phase = Phase(*settings["phase"])
        descent.ahead = [Phase(*phase) for phase in settings["ahead"]]
        return descent

    @property
    def coupling(self) -> float:
        return self.phase.coupling

    @property
    def free(self) -> bool:
        """Whether the last coupling is reached, which is mostly none."""
        return self.phase.coupling == self.plan.couplings[-1] and self.phase.what != "rescue"

    @property
    def mean_square(self) -> float:
        """Of the residual, over all samples of living cells, in the unit of the error squared."""
        if not np.isfinite(self.value[self.alive]).any():
            return np.inf
        return float(np.average(self.value[self.alive], weights=self.plan.samples[self.alive]))

    # -- what is known of the present point --------------------------------------------------------
    def likelihood(self) -> tuple[np.ndarray, np.ndarray]:
        """J'J `[P, P, cell]` and half the gradient, in units of the noise, of the data alone."""
        w = np.where(self.alive & np.isfinite(self.value), self.weight, 0.0)
        return w * self.matrix, 0.5 * w * self.gradient

    def _prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Precision and mean `[P]` of the population: no precision where nothing is pooled."""
        precision, mean = np.zeros(len(self.z)), np.zeros(len(self.z))
        if self.population is not None:
            precision[self.plan.pooled] = self.population.spread**-2
            mean[self.plan.pooled] = self.population.mean
        return precision, mean

    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """`likelihood` with the population as prior; for what is shared without cells apart."""
        H, g = self.likelihood()
        precision, mean = self._prior()
        shared, apart = self.plan.shared, self.apart
        rows = shared[:, None, None] | shared[None, :, None]
        H = np.where(rows & apart, 0.0, H)
        g = np.where(shared[:, None] & apart, 0.0, g)
        k = np.arange(len(self.z))
        H[k, k] += precision[:, None]
        return H, g + precision[:, None] * (self.z - mean[:, None])

    @property
    def apart(self) -> np.ndarray:
        """Cells `[cell]` in another minimum: their residual is far above that of the others.

        They must not influence what the others share.
        """
        if not self.alive.any():
            return ~self.alive
        typical = np.median(self.value[self.alive])
        return ~(self.value <= STUCK**2 * np.maximum(typical, (100 * self.plan.least_noise) ** 2))

    def _cost(self, value: np.ndarray, z: np.ndarray) -> np.ndarray:
        precision, mean = self._prior()
        prior = (precision[:, None] * (z - mean[:, None]) ** 2).sum(0)
        with np.errstate(invalid="ignore"):
            return np.where(self.alive, self.weight * value + prior, 0.0)

    # -- from trial to trial -----------------------------------------------------------------------
    def advance(self, value: np.ndarray, gradient: np.ndarray, matrix: np.ndarray) -> None:
        """From the trial's mean squares `[cell]`, their gradient and matrix to the next trial."""
        value = np.where(np.isfinite(value), value, np.inf)
        kind = self.kind
        if kind == "look" and self.phase.what != "rescue":
            self.alive = np.isfinite(value)
        old, new = self._cost(self.value, self.z), self._cost(value, self.trial)
        fell = new < old
        if kind == "joint":
            near = ~self.apart
            better = np.full_like(fell, new[near].sum() < old[near].sum())
            self.damping = next_damping(self.damping, better.all())
        elif kind == "solo":
            better = fell & (self.stuck | (self.phase.what != "rescue"))
            self.own_damping = next_damping(self.own_damping, fell)
        else:
            better = np.ones_like(fell)
        counts = better & (~self.apart if kind == "joint" else True)
        self._take(better, value, gradient, matrix)
        least = self.plan.tolerance if self.free else COARSE
        finite = counts & np.isfinite(old)  # a lost cell in a rescue gains without measure
        gained = kind == "look" or (old[finite] - new[finite]).sum() > least * new[finite].sum()
        self.quiet = 0 if gained else self.quiet + 1
        self.age += 1
        if better.any() and self.phase.what == "pool":
            self._weigh()  # anew: a cell may have come late to where its residual is its noise
            self._pool()
        alone = not self.plan.shared.any() or (kind == "joint" and not better.all())
        self._propose("solo" if alone or self.phase.what == "rescue" else "joint")

    def _take(
        self, better: np.ndarray, value: np.ndarray, gradient: np.ndarray, matrix: np.ndarray
    ) -> None:
        self.z = np.where(better, self.trial, self.z)
        self.value = np.where(better, value, self.value)
        self.gradient = np.where(better & np.isfinite(value), gradient, self.gradient)
        self.matrix = np.where(better & np.isfinite(value), matrix, self.matrix)

    def _propose(self, kind: str) -> None:
        if self.quiet >= PATIENCE or self.age >= self.plan.iterations or not self.alive.any():
            self._enter()
            return
        self.kind = kind
        H, g = self.posterior()
        for_all = at_bound(self.z, g.sum(1, keepdims=True)) | (kind == "solo")
        held = np.where(self.plan.shared[:, None], for_all, at_bound(self.z, g))
        # Together all are damped alike, or what is shared could not move along with what is own.
        own = self.own_damping if kind == "solo" else np.full_like(self.own_damping, self.damping)
        move = schur_complement.step(H, g, self.plan.shared, held, own, self.damping)
        self.trial = np.clip(self.z + move, 0.0, 1.0)

    def _enter(self) -> None:
        """The next phase, from the present point."""
        if self.phases_done >= 0 and self.free and self.phase.what == "fit":
            self._rescue()
        elif self.phases_done >= 0 and self.phase.what == "rescue":
            self._rescued()
        self.phases_done += 1
        self.damping, self.own_damping = 1.0, np.ones(self.z.shape[1])
        self.age = self.quiet = 0
        self.kind, self.trial = "look", self.z
        self.done = not self.ahead
        if not self.done:
            self.phase = self.ahead.pop(0)
            if self.phase.what == "pool" and self.alive.any():
                self._weigh()
                self._pool()

    def _rescue(self) -> None:
        """Send cells that are far above the others the whole way again."""
        self.stuck = self.apart
        if not self.rescues or not self.stuck.any() or (~self.stuck).sum() < 2:
            return
        self.rescues -= 1
        self.left = Left(self.z, self.value)
        median = np.median(self.z[:, ~self.stuck], axis=1, keepdims=True)
        away = self.stuck & ~self.plan.shared[:, None]
        self.z = np.where(away, median, self.z)
        self.alive = self.alive | self.stuck
        again = [Phase(g, "rescue") for g in self.plan.couplings]
        self.ahead = [*again, Phase(self.plan.couplings[-1], "fit"), *self.ahead]

    def _rescued(self) -> None:
        """After the last phase of a rescue: cells that have gained nothing are put back."""
        if self.ahead[0].what == "fit":
            better = self.value < self.left.value
            self.z = np.where(self.stuck & better, self.z, self.left.z)

    def finish_early(self) -> None:
        """Go to the last coupling at once: only one simulation is left."""
        if self.phase.what == "rescue":
            self.z = self.left.z
        self.ahead, self.phase = [], Phase(self.plan.couplings[-1], "fit")
        self.kind, self.trial = "look", self.z

    def _weigh(self) -> None:
        if self.plan.noise is None:
            freedom = np.maximum(self.plan.samples - (~self.plan.shared).sum(), 1)
            value = np.where(self.alive, self.value, np.nan)
            noise = np.sqrt(value * self.plan.samples / freedom)
            self.weight = self.plan.samples / np.maximum(noise, self.plan.least_noise) ** 2

    @property
    def noise(self) -> np.ndarray:
        """Standard deviation of each cell's noise, in the unit of the error, `[cell]`."""
        return np.sqrt(self.plan.samples / self.weight)

    def _pool(self) -> None:
        if not self.plan.pooled.any():
            return
        evidence = self.evidence()
        if self.population is None:
            z = self.z[self.plan.pooled][:, self.alive]
            spread = np.maximum(z.std(axis=1), pooling.NARROWEST)
            self.population = pooling.Population(z.mean(axis=1), spread)
        self.population = pooling.estimate(*evidence, self.population)

    def evidence(self) -> tuple[np.ndarray, np.ndarray]:
        """What the data of living cells say of the pooled parameters, see `pooling.of_pooled`."""
        H, g = self.likelihood()
        on = self.alive
        return pooling.of_pooled(
            H[..., on], g[:, on], self.z[:, on], self.plan.pooled, ~self.plan.shared
        )
