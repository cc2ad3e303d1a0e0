import warnings

import jax
import numpy as np
import pytest
from recordings import recording

import neurojax as nj
from neurojax.channels import SquidLeak
from neurojax.engine import tangent
from neurojax.io import read
from neurojax.loss import MaskWarning, capacitive_mask, prepare
from neurojax.membrane.electrode import n_steps
from neurojax.membrane.path_names import substitute


def trace(v, i=None, clamp="current", dt=0.1):
    v = np.asarray(v, dtype=float)
    return nj.Trace(clamp=clamp, dt_ms=dt, v_mV=v, i_pA=np.zeros(v.size) if i is None else i)


def passive(**leak):
    return nj.Cell(channels={"leak": SquidLeak(**leak)}, area=1e-5)


def mean_square(cell, traces, dt, every=1, keep=None):
    """The objective of a cell, through the engine that fits use."""
    with jax.enable_x64(True):
        return sum(
            float(
                tangent.run(
                    lambda th, s=s: (
                        substitute(cell, th),
                        nj.steady_state(cell, s.v_start),
                    ),
                    {"C_m": np.ones(1)},
                    s.electrode,
                    dt,
                    s.error,
                    every,
                ).value[0]
            )
            for s in prepare(traces, dt, every, keep)
        )


def test_the_objective_is_the_mean_square_over_all_kept_samples():
    # A cell that rests at -60 mV against constant data: the errors are known.
    cell = passive(E_rev=-60.0)
    start = np.array([-60.0])
    data = [trace(np.r_[start, np.full(50, -57.0)]), trace(np.r_[start, np.full(100, -63.0)])]
    assert mean_square(cell, data, 0.1) == pytest.approx(9.0)
    keep = [np.arange(51) > 25, np.zeros(101, dtype=bool)]
    assert mean_square(cell, data, 0.1, keep=keep) == pytest.approx(9.0)
    assert mean_square(cell, data, 0.05, every=2) == pytest.approx(9.0)


def test_the_current_of_a_clamped_leak_is_ohms_law():
    cell = passive(g_bar=0.3, E_rev=-60.0)
    v = np.full(100, -40.0)
    # 0.3 mS/cm2 * 20 mV * 1e-5 cm2 = 6e-5 uA = 60 pA
    data = trace(v, i=np.full(100, 50.0), clamp="voltage")
    assert mean_square(cell, [data], 0.1) == pytest.approx(100.0, rel=1e-9)


def test_protocols_that_are_nearly_as_long_as_each_other_are_one_program():
    cell = passive(g_bar=0.3, E_rev=-60.0)
    sizes = 101, 96, 92, 51
    data = [trace(np.full(n, -40.0), i=np.full(n, 50.0 + n), clamp="voltage") for n in sizes]
    sweeps = prepare(data, 0.1)
    assert [n_steps(s.electrode) for s in sweeps] == [100, 100, 100, 50]
    counted = [int((s.error.data.weight > 0).sum()) for s in sweeps]
    assert counted == [n - 1 for n in sizes]
    # 60 pA at every record; nothing of what is simulated beyond the end counts.
    squares = sum((n - 1) * (60.0 - 50.0 - n) ** 2 for n in sizes) / sum(counted)
    assert mean_square(cell, data, 0.1) == pytest.approx(squares, rel=1e-9)
    keep = [None, np.arange(96) < 50, None, None]
    assert (prepare(data, 0.1, keep=keep)[1].error.data.weight > 0).sum() == 49
    assert n_steps(prepare([trace(np.zeros(n)) for n in sizes], 0.1)[1].electrode) == 95


def test_records_between_samples_are_interpolated():
    ramp = trace(np.linspace(-70, -60, 101))
    target = prepare([ramp], 0.025, every=1)[0].error.data
    np.testing.assert_allclose(target.data[:8], -70 + 0.025 * np.arange(1, 9), rtol=1e-12)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ([np.ones(7, dtype=bool)], "mask has shape"),
        ([np.zeros(20, dtype=bool)], "leaves no sample"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(keep, message):
    with pytest.raises(ValueError, match=message):
        prepare([trace(np.full(20, -65.0))], 0.1, keep=keep)


def test_the_capacitive_mask_of_the_sine_protocol_is_the_published_one():
    sine = {t.name: t for t in read(recording("vc/herg_16713003.npz"))}["sine_wave"]
    # Beattie et al. 2018: samples left out, at 0.1 ms, both ends included.
    published = np.ones(sine.v_mV.size, dtype=bool)
    for first in (2499, 2999, 4999, 14999, 19999, 29999, 64999, 69999):
        published[first : first + 49] = False
    mine = capacitive_mask(sine)
    # The command takes two small steps into and out of the sine waves; their masks agree too.
    assert (mine == published).all()


def test_a_mask_that_leaves_little_of_a_sweep_says_so():
    command = np.r_[np.full(20, -80.0), np.full(80, -20.0)]  # 10 ms: 0.2 + 4.6 ms at the step
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = capacitive_mask(nj.Trace("voltage", 0.1, command, command))
    assert (~kept).sum() == 49
    short = nj.Trace("voltage", 0.1, command[:60], command[:60], name="probe", sweep=3)
    with pytest.warns(MaskWarning, match=r"sweep 3 of probe: 70 % of its 6 ms .*4\.6 ms"):
        capacitive_mask(short)
