"""What tests of sweeps share: a small sweep, one program; and whether its results are the same."""

from pathlib import Path

import h5py
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


def results(folder) -> dict[str, np.ndarray]:
    """Everything that is presented as one array."""
    with h5py.File(Path(folder) / "sweep.h5", "r") as file:
        return {name: file[name][()] for name in file}


def check_same(folder, expected):
    found = results(folder)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
