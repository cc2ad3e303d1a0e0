"""What lies between amplifier and membrane: one declaration, three that read it."""

import numpy as np
import pytest

import neurojax as nj
from neurojax.membrane import access
from neurojax.membrane.channel import check_range, params
from neurojax.membrane.electrode import voltage_clamp


def test_resistances_have_the_unit_of_the_equations():
    # 10 mV over 10 MOhm are 1 nA, 1e-3 uA.
    assert 10.0 * access.conductance(10.0) == pytest.approx(1e-3)
    assert 10.0 / access.kilohms(10.0) == pytest.approx(1e-3)
    assert access.left_by(0.7, 10.0) == pytest.approx(3.0)


def test_drift_leaves_a_tenth_of_the_resistance():
    assert access.drifted(10.0, 0.5, 4.0) == 12.0
    assert access.drifted(10.0, -2.0, 100.0) == 1.0


def test_the_junction_potential_is_undone_by_its_way_back():
    v = np.array([-80.0, 0.0])
    np.testing.assert_array_equal(access.membrane_side(v, 12.0), v - 12.0)
    np.testing.assert_array_equal(access.amplifier_side(access.membrane_side(v, 12.0), 12.0), v)


def test_electrode_pipette_and_amplifier_are_coupled_by_the_same_resistance():
    g = float(voltage_clamp(np.zeros(3), R_s_MOhm=8.0).g)
    assert 1 / float(nj.Pipette(R_s=8.0).resistance(0.0)) == pytest.approx(g, rel=1e-6)
    left = nj.Rig(R_s_MOhm=16.0, compensation=0.5)
    assert float(left.electrode(np.zeros(3)).g) == pytest.approx(g)


def test_no_bound_is_so_soft_that_nothing_passes_for_little():
    known = params(nj.Ion)["inside"]
    with pytest.raises(ValueError, match=r"ca.inside = 0 mM is outside \[1e-06, 1000\] mM"):
        check_range("ca.inside", 0.0, known)
    check_range("ca.inside", np.float32(1000.0) * (1 + 1e-7), known)


def test_they_have_the_same_bounds():
    assert params(nj.Pipette)["R_s"] == access.R_S
    assert params(nj.Pipette)["junction"] == access.JUNCTION
    told = r"R_s_MOhm = 900 MOhm is outside \[0, 500\] MOhm"
    with pytest.raises(ValueError, match=told):
        voltage_clamp(np.zeros(3), R_s_MOhm=900.0)
    with pytest.raises(ValueError, match=told):
        nj.Rig(R_s_MOhm=900.0)
    with pytest.raises(ValueError, match=r"junction_mV = 40 mV is outside \[-30, 30\] mV"):
        nj.Rig(junction_mV=40.0)
