"""The error that a time step makes: what it is, and how it is told."""

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj

# Mean error of spike times in 200 ms at the default step, ms. Gates that follow v would cost the
# second 0.2 ms, were they those at the beginning of each step.
WITHIN = {("squid_axon", 10.0): 0.04, ("interneuron_wang_buzsaki", 2.0): 0.04}


def firing(name, density, dt, ms=200.0):
    cell = getattr(nj.cells, name)()
    return cell, nj.current_clamp(np.full(round(ms / dt), density * float(cell.area))), dt


@pytest.mark.parametrize(("name", "density"), WITHIN)
def test_half_the_step_tells_how_far_spikes_are_from_those_of_a_tenth(x64, name, density):
    told = nj.error_of(*firing(name, density, 0.025))

    def run(dt):
        cell, electrode, dt = firing(name, density, dt)
        found = nj.features.spikes(np.asarray(nj.simulate(cell, electrode, dt).v), dt)
        return found._replace(times=found.times + dt)  # a record is taken after its step

    found, true = run(0.025), run(0.0025)
    assert told.agrees.all() and told.number[0] == true.number == found.number
    off = np.abs(found.times - true.times)
    assert off.mean() < WITHIN[name, density]
    assert told.spike_ms[0] == pytest.approx(off.mean(), rel=0.35)
    assert told.worst_ms[0] == pytest.approx(off.max(), rel=0.35)


def test_a_population_is_told_by_some_of_its_cells():
    cell, electrode, dt = firing("squid_axon", 1.0, 0.05, ms=20.0)
    cell = nj.replace(cell, {"na.g_bar": jnp.linspace(100.0, 140.0, 50), "C_m": jnp.ones(1)})
    told = nj.error_of(cell, electrode, dt, cells=5)
    np.testing.assert_array_equal(told.cells, [0, 12, 24, 37, 49])
    assert (told.number == 0).all() and np.isnan(told.spike_ms).all()
    assert 0 < told.v_mV.max() < 0.01
    assert str(told).startswith("dt = 0.05 ms, 5 cells compared: potentials without spikes are ")


def test_a_step_that_is_too_long_is_said():
    cell, electrode, dt = firing("squid_axon", 6.3, 0.5, ms=100.0)
    told = nj.error_of(cell, electrode, dt)
    assert not told.agrees.all() and "take a shorter one" in str(told)


def test_where_there_is_no_error_to_tell_it_is_refused():
    cell, electrode, dt = firing("squid_axon", 10.0, 0.05, ms=5.0)
    with pytest.raises(ValueError, match="ideal voltage clamp"):
        nj.error_of(cell, nj.voltage_clamp(np.full(10, -60.0)), dt)
    noisy = nj.stochastic(nj.replace(cell, {"area": 1e-6}), gamma_pS=10.0)
    with pytest.raises(ValueError, match="channel 'na' moves by chance"):
        nj.error_of(noisy, nj.current_clamp(np.full(100, 1e-5)), 0.025)
    with pytest.raises(ValueError, match="cells = 0"):
        nj.error_of(cell, electrode, dt, cells=0)


def test_of_cells_with_compartments_it_is_that_of_one_place():
    channels = {"leak": nj.channels.SquidLeak()}
    cell = nj.ball_and_stick(channels, compartments=3, electrode_at=np.array([0, 3]))
    current = nj.current_clamp(np.full(400, 1e-5))
    near, far = (nj.error_of(cell, current, 0.05, at=place) for place in (0, 3))
    assert near.cells.tolist() == [0, 1] and near.agrees.all() and far.agrees.all()
    assert (near.v_mV > 0).all() and near.v_mV[0] != far.v_mV[0]


def test_it_is_told_of_one_cell_at_least():
    cell = nj.Cell(channels={"leak": nj.channels.SquidLeak()})
    with pytest.raises(ValueError, match="cells = 0: expected 1 or more to compare"):
        nj.error_of(cell, nj.current_clamp(np.zeros(4)), initial=-65.0, cells=0)
