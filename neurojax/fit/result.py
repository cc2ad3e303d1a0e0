"""What a fit gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurojax.fit.space import Space
from neurojax.membrane.compartment import Cell

Progress = Callable[[str, int, int, float, str], None]
"""Called as progress(stage, done, total, best error, its unit), for a person who waits."""


@dataclass(frozen=True)
class StageRecord:
    """What one stage of a fit did, for its report."""

    name: str  # "draw", "evolve", "nudge", "polish" ...
    unit: str  # of the errors
    seconds: float
    evaluations: int  # simulated cells x sweeps
    history: np.ndarray  # [iteration] best error so far
    errors: np.ndarray  # [start] final error of every start that lived
    dropped: int = 0  # starts that were not finite
    rejected: int | None = None  # steps that led to a worse point; None where there are no such
    clipped: int | None = None  # steps cut short at the trust region
    # [iteration, start] errors on the way, NaN where not known; of a population by rank
    start_history: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


@dataclass(frozen=True)
class Fit:
    """A fitted cell, with what is known of how good it is."""

    cell: Cell  # at the best values
    space: Space
    values: dict[str, float]  # best value of each free parameter
    error: float  # at the best values, in the unit of the last stage
    stages: list[StageRecord]
    starts: dict[str, np.ndarray]  # [start] final values of each parameter, best first
    standard_errors: dict[str, float] = field(default_factory=dict)  # from the Gauss-Newton matrix
    # how far each can move alone before the error grows by one of its unit
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    contributions: dict[str, float] = field(default_factory=dict)  # of each feature to the error
    interrupted: bool = False  # Ctrl-C: the best so far
    unit: str = ""  # of the error
    certificate: Any = None  # a Certificate, where a stage made one
