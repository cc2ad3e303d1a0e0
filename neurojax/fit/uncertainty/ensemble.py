"""The ensemble: candidates as good as the best, and whether they are one solution or several."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurojax.fit.candidates import Candidates
from neurojax.fit.uncertainty.certificate import Ensemble
from neurojax.model.space import Space

APART = 0.05
"""Points of one group differ from its best by less than this part of the bounds' distance."""


def ensemble(space: Space, found: Candidates, tolerance: float = 0.05) -> Ensemble:
    """Groups of the candidates whose error is within `tolerance` (a part) of the best.

    A point belongs to the first group, best first, from whose best it differs by less than APART in
    every coordinate.
    """
    good = found.within(1 + tolerance)
    groups: list[list[int]] = []
    for k in range(len(good)):
        point = good.z[:, k]
        near = (g for g in groups if np.abs(good.z[:, g[0]] - point).max() < APART)
        group = next(near, None)
        groups.append([k]) if group is None else group.append(k)
    values = space.values(good.z)
    spread = {k: (float(np.min(v)), float(np.max(v))) for k, v in values.items()}
    sentence = _sentence(space, good.z, len(found), tolerance, groups, spread)
    return Ensemble(
        len(good), len(found), tolerance, [np.array(g) for g in groups], spread, sentence
    )


def _sentence(
    space: Space, z: np.ndarray, of: int, tolerance: float, groups: Any, spread: Any
) -> str:
    n = z.shape[1]
    if of == 1:
        return ""
    ends = "end" if n > 1 else "ends"
    sentence = f"{n} of {of} candidates {ends} within {100 * tolerance:.3g} % of the best error"
    if n == 1:
        return sentence
    if len(groups) == 1:
        most = 100 * float(np.ptp(z, axis=1).max())
        far = f"{most:.1g} %" if most >= 0.1 else "0.1 %"
        return f"{sentence}; no parameter differs by more than {far} of its bounds' distance"
    widest = np.argsort(-np.ptp(z, axis=1))[:3]
    differ = []
    for k in widest[np.ptp(z, axis=1)[widest] > APART]:
        f, (low, high) = space.free[k], spread[space.names[k]]
        if f.scale == "log":
            differ.append(f"a factor {high / low:.2g} in {f.name}")
        else:
            unit = f" {f.unit}" if f.unit not in ("", "1") else ""
            differ.append(f"{high - low:.2g}{unit} in {f.name}")
    return f"{sentence}, in {len(groups)} groups; they differ by {' and '.join(differ)}: degenerate"
