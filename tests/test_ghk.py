"""Channels by the constant-field equation: where they reverse, what each ion's pool gets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import GoldmanLeak, PurkinjeCaP
from neurojax.membrane.compartment import channel_current
from neurojax.membrane.ions import ghk_current
from neurojax.units import FARADAY

BATH = {
    "k": nj.Ion(inside=400.0, outside=20.0),
    "na": nj.Ion(inside=50.0, outside=440.0),
    "cl": nj.Ion(valence=-1, inside=52.0, outside=560.0),
}
SQUID = GoldmanLeak(P_bar=1.8e-6, ratio_na=0.04, ratio_cl=0.45)


def test_a_leak_rests_at_the_goldman_potential(x64):
    for celsius, v in ((20.0, -59.9267), (6.3, -57.1261), (37.0, -63.4019)):
        cell = nj.Cell(channels={"leak": SQUID}, ions=BATH, celsius=celsius)
        assert float(nj.at_rest(cell).v) == pytest.approx(v, abs=1e-4)
    # Without a temperature it is at that of its `celsius_ref`.
    assert float(nj.at_rest(nj.Cell(channels={"leak": SQUID}, ions=BATH)).v) == pytest.approx(
        -59.9267, abs=1e-4
    )


def test_what_it_carries_adds_up_to_its_current():
    c = {f"{k}_{side}": getattr(ion, name) for k, ion in BATH.items() for side, name in SIDES}
    v = jnp.linspace(-120.0, 60.0, 37)
    i = SQUID.current(v, {}, 20.0, **c)
    flows = SQUID.ion_fluxes(i, v, {}, 20.0, **c)
    assert set(flows) == {"k", "na", "cl"}
    np.testing.assert_allclose(sum(flows.values()), i, rtol=1e-6, atol=1e-5)
    for name, P in (("k", 1.8e-6), ("na", 0.04 * 1.8e-6), ("cl", 0.45 * 1.8e-6)):
        ion = BATH[name]
        expected = P * ghk_current(v, ion.inside, ion.outside, ion.valence, 20.0)
        np.testing.assert_allclose(flows[name], expected, rtol=1e-6)


SIDES = (("i", "inside"), ("o", "outside"))


def test_no_net_current_is_not_no_flow(x64):
    # At the Goldman potential sodium comes in, chloride too, and potassium leaves as much: every
    # pool moves by its own ion's flux while v stays.
    ions = {
        k: nj.Ion(valence=i.valence, inside=i.inside, outside=i.outside, depth=0.5)
        for k, i in BATH.items()
    }
    cell = nj.Cell(channels={"leak": SQUID}, ions=ions, celsius=20.0)
    rest = nj.at_rest(cell)
    after = nj.step(cell, rest, nj.Electrode(0.0, 0.0, 0.0), 1.0)
    assert float(after.v) == pytest.approx(float(rest.v), abs=1e-6)
    moved = {k: float(after.c[f"{k}_i"] - rest.c[f"{k}_i"]) for k in ions}
    assert moved["na"] > 0 > moved["k"]
    assert moved["na"] + moved["k"] - moved["cl"] == pytest.approx(0, abs=1e-10)
    for k, ion in BATH.items():
        P = 1.8e-6 * {"k": 1.0, "na": 0.04, "cl": 0.45}[k]
        flux = P * ghk_current(rest.v, ion.inside, ion.outside, ion.valence, 20.0)
        expected = -10 * float(flux) / (FARADAY * ion.valence * 0.5)
        assert moved[k] == pytest.approx(expected, rel=1e-6)


def test_p_type_calcium_channels_as_published(x64):
    channel = PurkinjeCaP()
    v = np.array([-90.0, -50.0, -40.0, -39.99, -26.798, -20.0, 0.0, 30.0])
    m = 1 / (1 + np.exp(-(v + 29.458) / 8.429))
    tau = np.where(
        v >= -40,
        0.2702 + 1.1622 * np.exp(-((v + 26.798) ** 2) / 164.19),
        0.6923 * np.exp(v / 1089.372),
    )
    ours = channel.gating(jnp.asarray(v))["m"]
    np.testing.assert_allclose(ours.inf, m, rtol=1e-12)
    np.testing.assert_allclose(1 / ours.rate, tau, rtol=1e-12)
    warm = channel.kinetics(jnp.asarray(v), 34.0, ca_i=1e-4, ca_o=2.0)["m"]
    np.testing.assert_allclose(warm.rate, 3 ** (11 / 10) / tau, rtol=1e-12)

    # Settled, the current is m^3 times the constant-field current, largest between -25 and -5 mV.
    ions = {"ca": nj.Ion(valence=2, inside=1e-4, outside=2.0)}
    cell = nj.Cell(channels={"ca": channel}, ions=ions, celsius=34.0)
    v = jnp.arange(-80.0, 61.0, 1.0)
    s = nj.steady_state(cell, v)
    i = channel_current(cell, "ca", v, s.x["ca"], {})
    at = np.asarray(v)
    bell = 2.2e-4 * (1 / (1 + np.exp(-(at + 29.458) / 8.429))) ** 3
    u = 2 * at / 26.4682 + 1e-9
    field = 2 * FARADAY * u * (1e-4 - 2.0 * np.exp(-u)) / -np.expm1(-u)
    np.testing.assert_allclose(i, bell * field, rtol=1e-4)
    assert -25 < at[np.argmin(i)] < -5


def test_gradients_in_a_permeability_ratio(x64):
    def rest(ratio):
        leak = GoldmanLeak(P_bar=1e-6, ratio_na=ratio, ratio_cl=0.45)
        return nj.at_rest(nj.Cell(channels={"leak": leak}, ions=BATH, celsius=20.0)).v

    def closed(ratio):
        return nj.goldman_potential({"k": 1.0, "na": ratio, "cl": 0.45}, BATH, 20.0)

    ours, exact = (float(jax.grad(f)(0.04)) for f in (rest, closed))
    assert ours == pytest.approx(exact, rel=1e-6)
