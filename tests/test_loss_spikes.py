"""The spikes that objectives find in a stream: on recordings, and as part of a GPU kernel."""

from functools import cache

import jax
import numpy as np
import pytest
from recordings import recording

import neurojax as nj
from neurojax import loss
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.engine import runner
from neurojax.engine.gpu import kernel
from neurojax.io import read
from neurojax.membrane.axes import Along
from neurojax.recording import features
from neurojax.run import simulation


@cache
def sweeps():
    """A neuron, ten steps, the last ones so strong that spikes ride on a depolarised plateau."""
    return read(recording("cc/saray_190619B_0003.npz"))


def test_spikes_of_a_recording_are_those_of_features():
    record_ms = sweeps()[0].dt_ms
    v = np.stack([t.v_mV for t in sweeps()], axis=1)
    told = features.spikes(v, record_ms)
    table = loss.SpikeTable(record_ms=record_ms, slots=int(told.number.max()) + 1)
    found = {k: np.asarray(a).T for k, a in loss.streamed(table, v, record_ms).items()}
    np.testing.assert_array_equal(np.isfinite(found["time"]).sum(-1), told.number)
    assert told.number.sum() == 58
    most = told.times.shape[-1]
    known = np.isfinite(told.times)
    rise = (told.times - found["time"][:, :most])[known]
    assert (rise > 0).all() and np.median(rise) < 1.0
    np.testing.assert_allclose(found["peak"][:, :most][known], told.peaks[known], atol=0.2)
    between = np.isfinite(told.troughs)
    np.testing.assert_allclose(
        found["trough"][:, : most - 1][between], told.troughs[between], atol=1e-3
    )


def test_a_trace_is_its_own_best_model():
    trace = sweeps()[4]
    record_ms = 2 * trace.dt_ms
    fold = loss.spike_features(trace, record_ms)
    v = np.r_[trace.v_mV[0], np.interp(
        (np.arange(trace.v_mV.size // 2 - 1) + 1) * record_ms, trace.t_ms, trace.v_mV
    )]  # fmt: skip
    assert float(loss.streamed(fold, v, record_ms)) < 1e-3
    assert float(loss.streamed(fold, np.full_like(v, -70.0), record_ms)) > 100


@pytest.mark.skipif(jax.__version_info__ < (0, 11), reason="GPU kernels need JAX 0.11")
def test_spikes_are_found_within_a_kernel():
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    fold = loss.SpikeTable(record_ms=0.1, slots=1, measures=("time", "peak"))
    where = runner.Place(None, "gpu", kernel.Kernel())
    drive = nj.current_clamp(np.full(40, 5.0, np.float32))
    told = (cell, Along((), -65.0), drive, 0.025, {"s": fold})
    program = simulation._run.trace(*told, None, record=(), every=4, place=where)
    text = program.lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("custom_call @mosaic_gpu") == 1
