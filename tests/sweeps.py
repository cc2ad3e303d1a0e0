"""A small sweep that tests of sweeps share: one cell, one program."""

import numpy as np

from neurojax import sweep
from neurojax.model import load_model


def squid(shortest=20.0, longest=50.0) -> sweep.Sweep:
    """300 cells, in units of 64: 6 by 50."""
    return sweep.Sweep(
        load_model("squid").cell,
        {"step": sweep.step(100.0, start=2.0, stop=19.0, duration=20.0)},
        axes={"step.amplitude": np.linspace(0.0, 250.0, 6)},
        samples=sweep.as_table({"k.g_bar": np.linspace(shortest, longest, 50)}),
    )
