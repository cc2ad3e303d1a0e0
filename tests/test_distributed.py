"""Fits that several processes compute together, and go on after a kill with the same."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import distributed
import jax
import numpy as np
import pytest
from distributed import fitted, numbers

import neurojax as nj
from neurojax import sweep
from neurojax.engine import processes
from neurojax.fit.hierarchical import standing


@pytest.fixture(scope="module")
def whole():
    """The fit in one go, by this process."""
    return numbers(fitted())


def check_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


class Killed(Exception):
    """Ends a fit where it stands, as nothing in it expects."""


def test_a_cohort_goes_on_from_its_checkpoint_with_the_same_numbers(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(standing, "CHECKPOINT_S", 0.0)
    path, looks = tmp_path / "cohort.h5", []

    def kill(stage, done, total, best, unit):
        looks.append(done)
        if len(looks) in (7, 20):
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            fitted(path, progress=kill)
    check_same(numbers(fitted(path)), whole)
    with pytest.raises(ValueError, match=r"is of another cohort.*Name a new file, or delete"):
        fitted(path, seed=3)
    assert whole["leak.E_rev"][0] == pytest.approx(-61.0, abs=0.02)
    np.testing.assert_allclose(whole["leak.g_bar"], np.geomspace(0.1, 0.5, 112), rtol=0.02)


def test_devices_that_get_the_results_of_all_change_no_number(whole, monkeypatch):
    """As of two processes, here two devices of one."""
    monkeypatch.setattr(processes, "_TOGETHER", [2])
    assert processes.several() and processes.devices() == jax.devices()
    found = fitted()
    for name, array in numbers(found).items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-9, err_msg=name)
    cell, recordings = distributed.plate()
    with pytest.raises(ValueError, match="end by their iterations, not by the clock"):
        nj.fit.cohort(cell, recordings, distributed.SPACE, seconds=5)
    one = sweep.Sweep(cell, {"step": sweep.step(start=1, stop=4, duration=5)})
    with pytest.raises(ValueError, match=r"run it outside of `nj\.distributed`"):
        sweep.run(one, "nowhere")


def test_nobody_tells_of_other_processes(monkeypatch):
    def initialize(*_):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    with pytest.raises(ValueError, match="start this program by srun or mpirun"), nj.distributed():
        pass


def begun(folder, pause):
    """Two processes that fit the same cohort."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    cache = str(jax.config.jax_compilation_cache_dir)
    command = [sys.executable, distributed.__file__, str(folder), "2"]
    return [
        subprocess.Popen([*command, str(k), str(port), cache, pause], cwd=Path.cwd())
        for k in range(2)
    ]


@pytest.mark.slow
def test_two_processes_agree_with_one_and_go_on_after_a_kill(whole, tmp_path):
    workers = begun(tmp_path, "0.2")
    while not (tmp_path / "cohort.h5").exists():
        assert all(worker.poll() is None for worker in workers)
        time.sleep(0.05)
    workers[1].send_signal(signal.SIGKILL)
    assert workers[1].wait(60) == -signal.SIGKILL
    assert workers[0].wait(150) != 0  # it cannot go on alone
    assert not list(tmp_path.glob("*.npz"))
    for worker in begun(tmp_path, "0"):
        assert worker.wait(150) == 0
    (first, second) = (dict(np.load(tmp_path / f"{k}.npz")) for k in range(2))
    check_same(first, second)
    for name, array in first.items():
        np.testing.assert_allclose(array, whole[name], rtol=1e-5, err_msg=name)
