"""Candidates: the points that one stage of a fit hands to the next, best first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Candidates:
    """Points of the unit box with their errors, best first; what is not finite has been left out.

    What a stage learns of its best point goes with them: `contributions` of parts of an objective
    to the error, `standard_errors`, computed when asked for, `ranges` in which each parameter can
    move alone until the error has grown by one of its unit, and the `certificate`.
    """

    z: Float[np.ndarray, "param start"]  # in [0, 1]
    errors: Float[np.ndarray, " start"]
    unit: str  # of the errors
    contributions: Mapping[str, float] = field(default_factory=dict)
    standard_errors: Callable[[], Mapping[str, float]] = dict
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    certificate: Any = None  # a Certificate

    @classmethod
    def sorted(cls, z: Any, errors: Any, unit: str, **more: Any) -> Candidates:
        """Candidates of points z `[P, n]` in any order; those of no finite error are left out."""
        z, errors = np.asarray(z, dtype=np.float64), np.asarray(errors, dtype=np.float64)
        order = np.argsort(errors, kind="stable")
        order = order[np.isfinite(errors[order])]
        return cls(z[:, order], errors[order], unit, **more)

    def __len__(self) -> int:
        return self.errors.size

    @property
    def best(self) -> Float[np.ndarray, " param"]:
        """The best point `[P]`."""
        return self.z[:, 0]

    def first(self, n: int) -> Candidates:
        """The best n of them."""
        return replace(self, z=self.z[:, :n], errors=self.errors[:n])

    def within(self, times: float) -> Candidates:
        """Those whose error is less than `times` the best's, and the best itself."""
        if np.isinf(times):
            return self
        n = max(1, int(np.searchsorted(self.errors, times * self.errors[:1].sum())))
        return self.first(n)

    def distinct(self, n: int, apart: float = 0.02) -> Float[np.ndarray, "param point"]:
        """The best up to n points `[P, m]` that differ by `apart` or more in some coordinate."""
        chosen: list[int] = []
        for k in range(len(self)):
            near = np.abs(self.z[:, chosen] - self.z[:, k : k + 1]).max(axis=0, initial=0.0)
            if not (near < apart)[: len(chosen)].any():
                chosen.append(k)
            if len(chosen) == n:
                break
        return self.z[:, chosen]
