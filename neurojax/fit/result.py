"""What a fit gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurojax.fit.budget import StageRecord
from neurojax.membrane.compartment import Cell
from neurojax.model.space import Space


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
