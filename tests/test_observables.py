"""Observables: which names a cell has, which it has not, and what each of them is."""

import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import (
    CortexCaT,
    CortexLeak,
    SquidK,
    SquidLeak,
    SquidNa,
)
from neurojax.membrane.observables import check_observables, observables, observe

pytestmark = pytest.mark.smoke


def squid():
    return nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})


def test_names_follow_the_channels_and_their_gates():
    assert observables(squid()) == [
        "v", "i_ion", "na.i", "k.i", "leak.i", "na.h", "na.m", "k.n", "v_amp", "i_amp"
    ]  # fmt: skip
    thalamic = nj.Cell(channels={"t": CortexCaT(), "leak": CortexLeak()})
    listed = ["v", "i_ion", "t.i", "leak.i", "t.s", "t.u", "v_amp", "i_amp"]
    assert observables(thalamic) == listed
    assert observables(nj.Cell(channels={})) == ["v", "i_ion", "v_amp", "i_amp"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("V", "; did you mean 'v'"),
        ("na.hh", "; did you mean 'na.h'"),
        ("K.n", "; did you mean 'k.n'"),
        ("i_io", "; did you mean 'i_ion'"),
        ("calcium", ""),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, hint):
    with pytest.raises(ValueError, match=rf"cannot record {name!r}{hint}.*\(have: v, i_ion, na.i"):
        check_observables(squid(), ["v", name])


def test_every_listed_name_passes():
    check_observables(squid(), observables(squid()))
    check_observables(squid(), [])


def test_values_are_the_equations_of_hodgkin_and_huxley():
    v = jnp.array([-70.0, -40.0, 10.0])
    gates = {"na": {"m": jnp.array([0.1, 0.5, 0.9]), "h": jnp.array(0.6)}, "k": {"n": 0.3 + v * 0}}
    s = nj.State(v, gates | {"leak": {}})
    m, h, n = np.array([0.1, 0.5, 0.9]), 0.6, 0.3
    volts = np.asarray(v)
    want = {
        "v": volts,
        "na.m": m,
        "na.h": h,
        "k.n": n,
        "na.i": 120 * m**3 * h * (volts - 50),
        "k.i": 36 * n**4 * (volts + 77),
        "leak.i": 0.3 * (volts + 54.387),
    }
    want["i_ion"] = want["na.i"] + want["k.i"] + want["leak.i"]
    want |= {"v_amp": volts, "i_amp": want["i_ion"] * 1e6}  # of 1 cm2, in pA
    assert set(want) == set(observables(squid()))
    for name, value in want.items():
        np.testing.assert_allclose(observe(squid(), s, name), value, rtol=1e-5, err_msg=name)


def test_a_gate_without_delay_is_that_of_the_shifted_potential():
    cell = nj.Cell(channels={"t": CortexCaT(v_shift=3.0), "leak": CortexLeak()})
    s = nj.steady_state(cell, -62.0)
    # Huguenard's activation as in Pospischil et al. 2008, displaced by 2 mV and the shift.
    activation = 1 / (1 + np.exp(-(-62.0 - 3.0 + 2.0 + 57.0) / 6.2))
    assert float(observe(cell, s, "t.s")) == pytest.approx(activation, rel=1e-5)
    assert float(observe(cell, s, "t.u")) == float(s.x["t"]["u"])


def test_the_potential_of_an_ion_is_at_the_temperature_of_its_channels(x64):
    # CortexCaT is of 24 degC: its current vanishes at the potential that is recorded.
    ca = nj.Ion(valence=2, inside=1e-4, outside=2.0)
    cell = nj.Cell(channels={"t": CortexCaT(E_rev=None)}, ions={"ca": ca})
    E = observe(cell, nj.steady_state(cell, -50.0), "E_ca")
    np.testing.assert_allclose(E, 1e3 * 8.314462618 * 297.15 / (2 * 96485.33212) * np.log(2e4))
    moved = nj.steady_state(cell, -50.0)._replace(v=E)
    np.testing.assert_allclose(observe(cell, moved, "t.i"), 0, atol=1e-12)
