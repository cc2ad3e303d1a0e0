"""All mechanisms of Hay et al. 2011 as one cell of .mod files: NEURON's spikes, and slopes."""

import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from nmodl_files import published

import neurojax as nj
from neurojax.model import load_model

MODEL = Path(__file__).resolve().parents[1] / "benchmarks" / "hay_2011.toml"

SPIKES = {0.6: [24.0568, 44.1924, 76.8331]}
"""ms, by the current from 20 ms on, nA: NEURON 9.0.2 from -75 mV, upward through -20 mV at the
soma, at steps of 0.005 and 0.0025 ms extrapolated to none."""


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hay")
    for name in {line.split('"')[1] for line in MODEL.read_text().splitlines() if ".mod" in line}:
        if name.endswith(".mod"):
            shutil.copy(published(name), folder)
    shutil.copy(MODEL, folder)
    return load_model(folder / MODEL.name).cell


def test_it_has_all_mechanisms(cell):
    assert len(cell.channels) == 12 and len(cell.parents) == 14
    assert cell.ions["ca"].valence == 2


@pytest.mark.slow
def test_its_spikes_are_neurons(cell):
    dt = 0.005
    current = np.where(np.arange(16000) * dt >= 20, 0.6e-3, 0.0)
    run = nj.simulate(cell, nj.current_clamp(current), dt, initial=-75.0, at=[0])
    v = np.asarray(run.v)[:, 0]
    up = np.flatnonzero((v[1:] >= -20) & (v[:-1] < -20))
    times = (up + 1 + (-20 - v[up]) / (v[up + 1] - v[up])) * dt
    np.testing.assert_allclose(times, SPIKES[0.6], atol=0.02)


@pytest.mark.slow
def test_its_gradient_is_that_of_differences(cell, x64):
    current = np.where(np.arange(240) * 0.025 >= 1, 2e-3, 0.0)
    at = {"nats.g_bar": 900.0, "skv.g_bar": 300.0, "ions.ca.decay": 100.0}
    off = 1e-4 * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    some = nj.replace(
        cell, {k: jnp.asarray(x * (1 + off[None, :, n])) for n, (k, x) in enumerate(at.items())}
    )
    error = nj.VoltageError(data=nj.Target(np.full(240, -60.0), np.full(240, 240**-0.5)))
    of = nj.At(fold=error, place=0)
    found = nj.gradient(some, nj.current_clamp(current), of=of, wrt=list(at), initial=-75.0)
    value, slopes = np.asarray(found.value), np.asarray(found.gradient)
    assert np.isfinite(slopes).all()
    differences = (value[1:4] - value[4:]) / (2e-4 * np.asarray(list(at.values())))
    np.testing.assert_allclose(slopes[:, 0], differences, rtol=1e-4)


@pytest.mark.slow
def test_ten_thousand_run_at_once(cell):
    g_bar = np.linspace(600.0, 1300.0, 10_000)
    some = nj.replace(cell, {"nats.g_bar": jnp.asarray(g_bar[None])})
    current = np.where(np.arange(160) * 0.025 >= 1, 2e-3, 0.0)
    v = np.asarray(nj.simulate(some, nj.current_clamp(current), initial=-75.0, at=[0]).v)[:, 0]
    assert v.shape == (160, 10_000) and np.isfinite(v).all()
    peaks = v.max(axis=0)
    assert peaks[-1] > peaks[5000] + 1 > peaks[0] + 2  # more sodium, higher spikes
