"""Units at the border, and Nernst potentials from two tables."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurojax import units

pytestmark = pytest.mark.smoke

finite = st.floats(min_value=-1e12, max_value=1e12, allow_subnormal=False)


@given(finite, st.sampled_from(sorted(units.UNITS)))
def test_a_quantity_written_in_its_own_unit_comes_back(x, unit):
    assert units.parse(f"{x!r} {unit}", unit, "x") == x
    assert units.parse(repr(x), unit, "x") == x
    assert units.parse(x, unit, "x") == x


@given(
    finite,
    st.sampled_from([(a, b) for a in units.UNITS for b in units.UNITS]).filter(
        lambda p: units.UNITS[p[0]][0] == units.UNITS[p[1]][0]
    ),
)
def test_there_and_back(x, pair):
    a, b = pair
    there = units.parse(f"{x!r} {a}", b, "x")
    assert units.parse(f"{there!r} {b}", a, "x") == pytest.approx(x, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    ("text", "to", "value"),
    [
        ("50 mS/cm2", "mS/cm2", 50.0),
        ("0.05 S/cm2", "mS/cm2", 50.0),
        ("500 pS/um2", "mS/cm2", 50.0),
        ("500 S/m2", "mS/cm2", 50.0),
        ("-0.07 V", "mV", -70.0),
        ("20e3 um2", "cm2", 2e-4),
        ("150 pA", "uA", 1.5e-4),
        ("1 µF/cm²", "uF/cm2", 1.0),
        ("1uF/cm^2", "uF/cm2", 1.0),
        ("0.01 F/m2", "uF/cm2", 1.0),
        ("36 °C", "degC", 36.0),
        ("5 MΩ", "kOhm", 5e3),
        ("40 Hz", "1/ms", 0.04),
        (np.float64(3.0), "mV", 3.0),
        (np.float32(3.0), "mV", 3.0),
        (np.int64(3), "mV", 3.0),
    ],
)
def test_spellings(text, to, value):
    assert units.parse(text, to, "x") == pytest.approx(value, rel=1e-12)


def test_the_inner_set_is_coherent():
    one = {name: f for name, (_, f) in units.UNITS.items()}
    volt, second, ampere = one["V"], one["s"], one["A"]
    assert one["S"] * volt == pytest.approx(ampere)
    assert 1e3 * one["mA"] == pytest.approx(ampere)
    assert 1e6 * one["uF"] * volt / second == pytest.approx(ampere)
    assert volt / ampere == pytest.approx(one["Ohm"])
    assert one["S/cm2"] == pytest.approx(one["S"] / one["cm2"])
    assert one["F/m2"] == pytest.approx(1e6 * one["uF"] / (1e4 * one["cm2"]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("50 mS/cm", r"g_bar = '50 mS/cm': unknown unit 'mS/cm'; did you mean 'mS/cm2'"),
        ("50 mV", r"g_bar = '50 mV': 'mV' is a unit of voltage, but 'mS/cm2'"),
        ("fifty", r"g_bar: cannot read 'fifty' as a quantity in mS/cm2"),
        (True, r"g_bar: expected a number or a quantity in mS/cm2, got True"),
        (None, r"g_bar: expected a number or a quantity in mS/cm2, got None"),
        (math.nan, r"g_bar = nan: expected a finite number in mS/cm2"),
        ("1e999", r"g_bar = '1e999': expected a finite number"),
    ],
)
def test_errors_name_the_thing_the_value_and_the_unit(value, message):
    with pytest.raises(ValueError, match=message):
        units.parse(value, "mS/cm2", "g_bar")


# Two published tables of concentrations (mM, inside and outside), and E in mV at six temperatures.
CELSIUS = (6.3, 18.5, 20.0, 25.0, 34.0, 37.0)
NERNST = [
    (20, 400, 1, (-72.1406, -75.2901, -75.6773, -76.9681, -79.2915, -80.0659)),
    (440, 50, 1, (52.3705, 54.6568, 54.9380, 55.8750, 57.5616, 58.1238)),
    (560, 52, -1, (-57.2335, -59.7321, -60.0393, -61.0634, -62.9066, -63.5211)),
    (5, 140, 1, (-80.2433, -83.7465, -84.1772, -85.6129, -88.1973, -89.0587)),
    (145, 10, 1, (64.3965, 67.2079, 67.5536, 68.7058, 70.7797, 71.4711)),
    (110, 10, -1, (-57.7440, -60.2650, -60.5749, -61.6081, -63.4678, -64.0877)),
    (2, 1e-4, 2, (119.2436, 124.4495, 125.0895, 127.2231, 131.0634, 132.3436)),
    (2.5, 54.4, 1, (-74.1717, -77.4098, -77.8079, -79.1350, -81.5238, -82.3201)),
    (140, 10, 1, (63.5515, 66.3260, 66.6671, 67.8042, 69.8509, 70.5332)),
    (2, 5e-5, 2, (127.5895, 133.1597, 133.8446, 136.1274, 140.2366, 141.6063)),
]


@pytest.mark.parametrize(("outside", "inside", "valence", "E"), NERNST)
def test_nernst_potentials(outside, inside, valence, E):
    got = [units.nernst(inside, outside, valence, c) for c in CELSIUS]
    np.testing.assert_allclose(got, E, atol=6e-5)


def test_nernst_refuses_nonsense():
    with pytest.raises(ValueError, match="positive, got 0 mM in, 5 mM out"):
        units.nernst(0, 5, 1, 20.0)
    with pytest.raises(ValueError, match="valence 0"):
        units.nernst(1, 5, 0, 20.0)


def test_nearest_ignores_case():
    assert units.nearest("NA.G_BAR", ["na.g_bar", "k.g_bar"]) == "; did you mean 'na.g_bar'?"
    assert units.nearest("zzz", ["na.g_bar"]) == ""


def test_a_name_that_is_none_of_the_known_is_told_with_the_nearest():
    units.check_known("C_m", ["C_m", "area"], "parameter")
    with pytest.raises(ValueError, match=r"^\[x\]: no parameter 'aera'; did you mean 'area'\? \(h"):
        units.check_known("aera", ["C_m", "area"], "parameter", "[x]: ")
    with pytest.raises(ValueError, match=r"no channel 'na' \(have: none\)"):
        units.check_known("na", [], "channel")


def test_a_nernst_potential_needs_charge_and_concentrations():
    with pytest.raises(ValueError, match="concentrations must be positive, got 0"):
        units.nernst(0.0, 145.0, 1, 20.0)
    with pytest.raises(ValueError, match="uncharged solute has no Nernst potential"):
        units.nernst(10.0, 145.0, 0, 20.0)
