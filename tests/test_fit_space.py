"""Free parameters and their unit box."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurojax as nj
from neurojax.channels import SquidK, SquidLeak, SquidNa
from neurojax.fit import Free, Space, free

CELL = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})


@st.composite
def spaces(draw):
    chosen = []
    for k in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            low = 10.0 ** draw(st.floats(-6, 2))
            chosen.append(Free(f"p{k}", "1", low, low * 10 ** draw(st.floats(0.1, 6)), "log"))
        else:
            low = draw(st.floats(-1e3, 1e3))
            chosen.append(Free(f"p{k}", "1", low, low + draw(st.floats(1e-2, 1e3)), "linear"))
    return Space(tuple(chosen))


@settings(max_examples=50, deadline=None)
@given(spaces(), st.integers(0, 2**31))
def test_point_is_the_inverse_of_values(space, seed):
    z = space.random(5, seed)
    assert z.shape == (len(space), 5) and z.min() >= 0 and z.max() <= 1
    with jax.enable_x64(True):
        values = space.values(z)
        assert list(values) == space.names
        np.testing.assert_allclose(space.point(values), z, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(spaces())
def test_corners_are_the_bounds(space):
    with jax.enable_x64(True):
        low, high = space.values(np.zeros(len(space))), space.values(np.ones(len(space)))
    for f in space.free:
        assert float(low[f.name]) == pytest.approx(f.low, rel=1e-12, abs=1e-12)
        assert float(high[f.name]) == pytest.approx(f.high, rel=1e-12, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(spaces())
def test_slopes_are_the_derivative_of_values(space):
    with jax.enable_x64(True):
        z = jnp.asarray(space.random(1, 0)[:, 0])
        jacobian = jax.jacfwd(lambda z: jnp.stack(list(space.values(z).values())))(z)
        np.testing.assert_allclose(space.slopes(z), jnp.diagonal(jacobian), rtol=1e-10)
        np.testing.assert_allclose(jacobian - jnp.diag(jnp.diagonal(jacobian)), 0.0)


def test_point_clips_into_the_box():
    space = Space((Free("a", "1", 1.0, 100.0, "log"), Free("b", "1", -1.0, 1.0)))
    np.testing.assert_allclose(space.point({"a": 10.0, "b": 0.0}), [0.5, 0.5])
    np.testing.assert_array_equal(space.point({"a": 0.0, "b": 9.0}), [0.0, 1.0])


def test_free_takes_bounds_from_the_declaration():
    space = free(CELL, ["na.g_bar", "C_m"])
    assert space.names == ["na.g_bar", "C_m"]
    assert (space.free[0].low, space.free[0].high, space.free[0].scale) == (0, 1000, "linear")
    assert (space.free[1].low, space.free[1].high, space.free[1].scale) == (0.3, 50.0, "log")
    assert space.free[1].unit == "uF/cm2"


def test_free_takes_bounds_scale_and_ties():
    space = free(
        CELL,
        {
            "na.g_bar": (10.0, 500.0),
            "k.E_rev": {"low": -100.0, "high": -60.0, "also": ["leak.E_rev"]},
            "k.g_bar": {"low": 10.0, "scale": "linear"},
        },
    )
    assert [f.scale for f in space.free] == ["log", "linear", "linear"]
    assert space.free[2].high == 500.0
    theta = {"na.g_bar": 100.0, "k.E_rev": -80.0, "k.g_bar": 30.0}
    assert space.spread(theta) == theta | {"leak.E_rev": -80.0}
    cell = space.apply(CELL, theta)
    assert cell.channels["leak"].E_rev == cell.channels["k"].E_rev == -80.0
    assert cell.channels["na"].g_bar == 100.0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["na.gbar"], r"no parameter 'na.gbar'; did you mean 'na.g_bar'\? \(have: "),
        ({"na.g_bar": (1.0, 2.0, 3.0)}, r"na.g_bar: expected \(low, high\), got \(1.0, 2.0, 3.0\)"),
        ({"na.g_bar": (5.0, 5.0)}, r"na.g_bar: bounds \[5, 5\] mS/cm2 are empty"),
        ({"na.g_bar": (5.0, 2e4)}, r"na.g_bar = 20000 mS/cm2 is outside \[0, 1000\] mS/cm2"),
        ({"na.g_bar": {"scale": "log"}}, r"a 'log' scale does not fit bounds from 0 mS/cm2"),
        ({"na.g_bar": {"scale": "cubic"}}, r"a 'cubic' scale does not fit"),
        ({"na.g_bar": {"lo": 1.0}}, r"na.g_bar: unknown lo \(have: low, high, scale, also, prior"),
        ({"na.E_rev": {"also": ["k.E_rev"]}}, r"k.E_rev = 20 mV is outside \[-110, -50\] mV"),
        ([], r"no free parameter: name at least one"),
    ],
)
def test_free_refuses_with_a_reason(names, message):
    with pytest.raises(ValueError, match=message):
        free(CELL, names)


def test_random_points_are_reproducible_and_reject():
    space = free(CELL, ["na.g_bar", "k.g_bar"])
    np.testing.assert_array_equal(space.random(4, 7), space.random(4, 7))
    assert not np.array_equal(space.random(4, 7), space.random(4, 8))


def test_what_is_said_of_a_free_parameter_must_be_known():
    with pytest.raises(ValueError, match=r"k.g_bar: unknown width \(have: low, high, scale"):
        free(CELL, {"k.g_bar": {"low": 1.0, "width": 2.0}})
    with pytest.raises(ValueError, match=r"k.g_bar: expected a prior \(mean, sd\), got \[3.0\]"):
        free(CELL, {"k.g_bar": {"prior": [3.0]}})


def test_a_space_is_read_and_edited():
    space = free(CELL, {"na.g_bar": (50.0, 200.0), "k.g_bar": {"low": 10, "high": 90}})
    assert space["k.g_bar"].high == 90 and "na.g_bar" in space
    assert str(space).splitlines()[0] == "na.g_bar: 50 to 200 mS/cm2, linear"
    assert space.fix("na.g_bar").names == ["k.g_bar"]
    assert space.add(CELL, ["leak.g_bar"]).names == ["na.g_bar", "k.g_bar", "leak.g_bar"]
    changed = space.change(CELL, {"k.g_bar": (1.0, 100.0)})
    assert changed["k.g_bar"].low == 1.0 and changed["k.g_bar"].scale == "log"
    assert changed["na.g_bar"] == space["na.g_bar"]
    known = space.change(CELL, {"na.g_bar": {"prior": (120.0, 10.0)}})["na.g_bar"]
    assert (known.low, known.high, known.prior) == (50.0, 200.0, (120.0, 10.0))
    for edit, message in (
        (lambda: space["leak.g_bar"], r"no free parameter 'leak.g_bar'.*have: na.g_bar, k.g_bar"),
        (lambda: space.fix("na.g_bar", "k.g_bar"), "no free parameter would be left"),
        (lambda: space.add(CELL, ["na.g_bar"]), "na.g_bar is free already"),
        (lambda: space.change(CELL, {"na.g_bar": (1.0,)}), r"expected \(low, high\), got \(1.0,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            edit()


def test_bounds_wider_than_declared_say_why():
    with pytest.raises(ValueError, match=r'wider bounds need a word of why, "why": "\.\.\."'):
        free(CELL, {"na.g_bar": (5.0, 2e4)})
    giant = {"na.g_bar": {"low": 5.0, "high": 2e4, "why": "densely packed"}}
    assert free(CELL, giant)["na.g_bar"].why == "densely packed"


def test_bounds_are_taken_with_units():
    cell = nj.replace(CELL, {"area": 1e-5})
    assert free(cell, {"na.g_bar": ("100 nS", "5 uS")})["na.g_bar"].high == pytest.approx(500.0)
    with pytest.raises(ValueError, match="give the area of the cell"):
        free(CELL, {"na.g_bar": ("100 nS", "5 uS")})
