"""What tests of sweeps share: a small sweep, one program; and whether its results are the same.

As a program it computes a part of that sweep, for tests that need processes of their own:
python sweeps.py FOLDER PART OF DEVICES CACHE PAUSE
"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jax
import numpy as np

import neurojax as nj
from neurojax import sweep
from neurojax.model import load_model

UNIT = 64


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


def command(folder, part=(1, 1), devices=1, pause=0.0) -> list[str]:
    """What `main` computes, as a command."""
    cache = str(jax.config.jax_compilation_cache_dir)
    told = [folder, *part, devices, cache, pause]
    return [sys.executable, __file__, *map(str, told)]


def process(folder, part=(1, 1), devices=1, pause=0.0) -> subprocess.Popen:
    """A process that computes a part of the sweep."""
    asked = command(folder, part, devices, pause)
    return subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)


def kill(worker: subprocess.Popen) -> None:
    """kill -9"""
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    assert worker.returncode == -signal.SIGKILL


def main(folder, part, of, devices, cache, pause):
    """After each launch it waits `pause` seconds; it tells the shards computed, found, missing."""
    nj.configure(cpu_devices=int(devices), compilation_cache=cache)
    done = sweep.run(
        squid(),
        folder,
        part=(int(part), int(of)),
        shard=UNIT,
        unit=UNIT,
        progress=lambda *_: time.sleep(float(pause)),
    )
    print(done.computed, done.found, done.missing)


if __name__ == "__main__":
    main(*sys.argv[1:])
