"""Goldman, Donnan and pump-leak equilibria against tables, root finders and cells that rest."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import neurojax as nj
from neurojax.channels import HippocampusNaKPump
from neurojax.membrane.channel import Channel, Leaf, param, pytree
from neurojax.membrane.ions import ghk_current, nernst_potential
from neurojax.units import thermal_voltage

SQUID = {
    "k": nj.Ion(inside=400.0, outside=20.0),
    "na": nj.Ion(inside=50.0, outside=440.0),
    "cl": nj.Ion(valence=-1, inside=52.0, outside=560.0),
}
MAMMAL = {
    "k": nj.Ion(inside=140.0, outside=5.0),
    "na": nj.Ion(inside=10.0, outside=145.0),
    "cl": nj.Ion(valence=-1, inside=10.0, outside=150.0),
    "ca": nj.Ion(valence=2, inside=1e-4, outside=2.0),
}


def test_goldman_potentials_of_the_squid_axon(x64):
    rest, peak = {"k": 1.0, "na": 0.04, "cl": 0.45}, {"k": 1.0, "na": 20.0, "cl": 0.45}
    for celsius, v in ((20.0, -59.9267), (6.3, -57.1261), (37.0, -63.4019)):
        assert float(nj.goldman_potential(rest, SQUID, celsius)) == pytest.approx(v, abs=1e-4)
    assert float(nj.goldman_potential(peak, SQUID, 20.0)) == pytest.approx(42.3812, abs=1e-4)


def test_the_goldman_potential_of_one_ion_is_its_nernst_potential():
    for name, ion in MAMMAL.items():
        E = nernst_potential(ion.inside, ion.outside, ion.valence, 37.0)
        v = nj.goldman_potential({name: 3e-7}, MAMMAL, 37.0)
        assert float(v) == pytest.approx(float(E), abs=2e-4)  # float32


def test_a_neuron_s_40_to_1_puts_it_15_mV_above_potassium():
    v = float(nj.goldman_potential({"k": 40.0, "na": 1.0}, MAMMAL, 37.0))
    # (RT/F) ln((40 * 5 + 145) / (40 * 140 + 10))
    assert v == pytest.approx(26.7268 * np.log(345 / 5610), abs=1e-2)
    assert 14 < v - -89.06 < 15


@pytest.mark.parametrize("P_ca", [0.01, 1.0, 300.0])
def test_with_divalent_ions_the_constant_field_currents_cancel(x64, P_ca):
    P = {"k": 1.0, "na": 0.03, "cl": 0.2, "ca": P_ca}

    def total(v):
        each = ((P[k], MAMMAL[k]) for k in P)
        return float(sum(p * ghk_current(v, i.inside, i.outside, i.valence, 37.0) for p, i in each))

    v = brentq(total, -150, 150, xtol=1e-11)
    assert float(nj.goldman_potential(P, MAMMAL, 37.0)) == pytest.approx(v, abs=1e-9)


def test_goldman_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"permeability to 'li': no such ion \(have: k, na"):
        nj.goldman_potential({"li": 1.0}, MAMMAL, 37.0)
    with pytest.raises(ValueError, match=r"ion 'p': no closed form for valence -2"):
        nj.goldman_potential({"p": 1.0}, {"p": nj.Ion(valence=-2)}, 37.0)


# -- Donnan ----------------------------------------------------------------------------------------
def outside(**ions) -> dict:
    return {k: dataclasses.replace(MAMMAL[k], outside=c) for k, c in ions.items()}


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
def test_proteins_in_potassium_chloride_make_the_donnan_potential(double):
    # r = [K]i/[K]o is the root of S r - S/r = X: with X = 100, S = 5, r = 10 + sqrt(101).
    with jax.enable_x64(double):
        found = nj.donnan(-100.0, outside(k=5.0, cl=5.0), 37.0)
        r = 10 + np.sqrt(101)
        tolerance = 1e-10 if double else 1e-5
        assert float(found.v) == pytest.approx(
            -float(thermal_voltage(37.0)) * np.log(r), rel=tolerance
        )
        assert float(found.inside["k"]) == pytest.approx(5 * r, rel=10 * tolerance)
        assert float(found.inside["cl"]) == pytest.approx(5 / r, rel=10 * tolerance)
        # Water is drawn by the excess of small ions: 2 S (cosh(ln r) - 1).
        assert float(found.excess) == pytest.approx(5 * (r + 1 / r) - 10, rel=10 * tolerance)
        assert float(nj.donnan(0.0, outside(k=5.0, cl=5.0), 37.0).v) == pytest.approx(0, abs=1e-5)


def test_a_donnan_equilibrium_of_many_ions_and_a_population_of_proteins(x64):
    ions = outside(k=5.0, na=145.0, cl=154.0, ca=2.0)
    fixed = jnp.array([-150.0, -20.0, 0.0, 60.0])
    found = nj.donnan(fixed, ions, 37.0)
    V_T = thermal_voltage(37.0)
    for x, v in zip(fixed, found.v, strict=True):

        def charge(v, x=x):
            each = (i.valence * i.outside * np.exp(-i.valence * v / V_T) for i in ions.values())
            return x + sum(each)

        assert float(v) == pytest.approx(brentq(charge, -200, 200, xtol=1e-12), abs=1e-10)
    for name, ion in ions.items():
        E = nernst_potential(found.inside[name], ion.outside, ion.valence, 37.0)
        np.testing.assert_allclose(E, found.v, atol=1e-9)
    slope = jax.grad(lambda x: nj.donnan(x, ions, 37.0).v)(-20.0)
    up, down = (float(nj.donnan(-20.0 + h, ions, 37.0).v) for h in (1e-4, -1e-4))
    assert float(slope) == pytest.approx((up - down) / 2e-4, rel=1e-7)


# -- pump and leak ---------------------------------------------------------------------------------
@pytree
class Leak(Channel):
    """A conductance of one ion, at its Nernst potential."""

    g_bar: Leaf = param(0.1, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = param(None, "mV", -200.0, 200.0)


@pytree
class SodiumLeak(Leak):
    """Sodium's."""

    carries = {"na": 1.0}


@pytree
class PotassiumLeak(Leak):
    """Potassium's."""

    carries = {"k": 1.0}


@pytree
class ChlorideLeak(Leak):
    """Chloride's."""

    carries = {"cl": 1.0}


@pytest.mark.parametrize("valence", [-1.0, -1.4, -0.6])
def test_a_cell_at_the_pumped_volume_rests_and_no_pool_of_it_moves(x64, valence):
    bath = outside(k=5.0, na=145.0, cl=150.0)
    found = nj.pumped_volume(0.5, 0.02, 0.3, bath, 37.0, valence)
    charge = sum(bath[k].valence * c for k, c in found.inside.items()) + valence * found.impermeant
    assert float(charge) == pytest.approx(0, abs=1e-9)
    assert float(sum(found.inside.values()) + found.impermeant) == pytest.approx(300, abs=1e-9)
    pump = HippocampusNaKPump(i_max=1.0)
    ions = {
        k: dataclasses.replace(bath[k], inside=c, depth=1.0, depth_o=None)
        for k, c in found.inside.items()
    }
    rate = pump.current(jnp.zeros(()), {}, na_i=ions["na"].inside, k_o=5.0)
    cell = nj.Cell(
        channels={
            "na": SodiumLeak(g_bar=0.02),
            "k": PotassiumLeak(g_bar=0.3),
            "cl": ChlorideLeak(g_bar=0.1),
            "pump": dataclasses.replace(pump, i_max=0.5 / rate),
        },
        ions=ions,
        celsius=37.0,
    )
    rest = nj.at_rest(cell)
    assert float(rest.v) == pytest.approx(float(found.v), abs=1e-8)
    after = nj.step(cell, rest, nj.Electrode(0.0, 0.0, 0.0), 100.0)
    for name in rest.c:
        assert float(after.c[name]) == pytest.approx(float(rest.c[name]), abs=1e-9)


def test_without_its_pump_a_cell_has_no_volume(x64):
    bath = outside(k=5.0, na=145.0, cl=150.0)
    found = nj.pumped_volume(jnp.array([0.5, 0.1, 0.01, 0.0]), 0.02, 0.3, bath, 37.0)
    volume = found.impermeant[0] / found.impermeant  # in that of the first
    assert np.all(np.diff(volume[:3]) > 0) and volume[2] > 10
    assert float(found.impermeant[3]) == pytest.approx(0, abs=1e-9)
    assert float(found.v[3]) == pytest.approx(0, abs=1e-9)
    assert float(found.inside["na"][3]) == pytest.approx(145, abs=1e-9)


def test_potentials_as_textbooks_write_them(x64):
    # NEURON agrees with the first two; the squid's of Hodgkin & Katz 1949, at 20 degC.
    E = nj.nernst(np.array([20.0, 5.0]), np.array([400.0, 140.0]), celsius=37.0)
    np.testing.assert_allclose(E, [-80.0659, -89.0587], atol=1e-4)
    assert float(nj.nernst(2.0, 1e-4, valence=2, celsius=37.0)) == pytest.approx(132.3436, abs=1e-4)
    P = {"k": 1.0, "na": np.array([0.04, 20.0]), "cl": 0.45}
    outside, inside = {"k": 20, "na": 440, "cl": 560}, {"k": 400, "na": 50, "cl": 52}
    V = nj.ghk(P, outside, inside, celsius=20.0)
    np.testing.assert_allclose(V, [-59.9267, 42.3812], atol=1e-4)
    with pytest.raises(ValueError, match=r"ghk: inside: no concentration of 'cl'"):
        nj.ghk(P, outside, {"k": 400, "na": 50})
    with pytest.raises(ValueError, match="valence 0"):
        nj.nernst(1.0, 2.0, valence=0)
