"""Parameters by path name: listed, replaced, refused with a reason."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_cells import squid

import neurojax as nj
from neurojax.channels import (
    SquidLeak,
)


def test_parameters_are_listed_with_their_declaration():
    listed = nj.parameters(squid(C_m=0.9))
    assert list(listed)[:2] == ["C_m", "area"]
    assert listed["C_m"][0] == 0.9 and listed["C_m"][1].unit == "uF/cm2"
    assert listed["na.g_bar"][0] == 120.0
    assert len(listed) == 2 + 4 + 4 + 4


def test_replace_changes_one_thing():
    cell = squid()
    other = nj.replace(cell, {"na.g_bar": 100.0, "C_m": 0.9})
    assert (other.channels["na"].g_bar, other.C_m) == (100.0, 0.9)
    assert other.channels["k"] is cell.channels["k"]
    assert (cell.channels["na"].g_bar, cell.C_m) == (120.0, 1.0)
    assert nj.replace(cell, {"celsius": 18.5}).celsius == 18.5
    # Of another type it would be another program.
    assert type(nj.replace(cell, {"na.g_bar": 0}).channels["na"].g_bar) is float


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"na.gbar": 1.0}, r"no parameter 'na.gbar'; did you mean 'na.g_bar'\? \(have: C_m, area"),
        ({"NA.G_BAR": 1.0}, r"did you mean 'na.g_bar'"),
        ({"ca.g_bar": 1.0}, r"no parameter 'ca.g_bar'"),
        ({"na.g_bar": -1.0}, r"na.g_bar = -1 mS/cm2 is outside \[0, 1000\] mS/cm2"),
        ({"leak.E_rev": np.array([-60.0, 20.0])}, r"leak.E_rev = 20 mV is outside \[-110, 0\] mV"),
        ({"C_m": float("nan")}, r"C_m = nan uF/cm2 is outside"),
    ],
)
def test_replace_refuses_with_a_reason(values, message):
    with pytest.raises(ValueError, match=message):
        nj.replace(squid(), values)


def test_replace_takes_traced_values():
    def v_end(g):
        cell = nj.replace(squid(), {"na.g_bar": g})
        return nj.simulate(cell, nj.current_clamp(jnp.full(20, 5.0)), initial=-65.0).v[-1]

    assert np.isfinite(jax.jit(jax.grad(v_end))(110.0))


def test_a_temperature_in_kelvin_is_refused():
    cell = nj.Cell(channels={"leak": SquidLeak()})
    assert nj.replace(cell, {"celsius": 34.0}).celsius == 34.0
    with pytest.raises(ValueError, match=r"celsius = 310 degC is outside \[-10, 60\] degC"):
        nj.replace(cell, {"celsius": 310.0})
