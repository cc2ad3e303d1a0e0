"""What a value may be: numbers of float32 or float64, in the shapes that signatures tell."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

import neurojax as nj
from neurojax.channels.squid import SquidNa
from neurojax.membrane.path_names import replace

CELL = nj.Cell(channels={"na": SquidNa()})

NO_NUMBERS = [
    np.float16(80),
    np.full(3, 80, np.float16),
    jnp.full(3, 80, jnp.bfloat16),
    np.full(3, 80, np.longdouble),
    np.full(3, 80, complex),
    80 + 0j,
    np.ones(3, bool),
    True,
    "80",
    np.array(["80"]),
    [80.0],
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_parameter_is_a_number_or_an_array_of_floats(value):
    with pytest.raises(ValueError, match=r"^SquidNa.g_bar = .*: expected a number"):
        SquidNa(g_bar=value)
    with pytest.raises(ValueError, match=r"^na.g_bar = .*: expected a number"):
        replace(CELL, {"na.g_bar": value})


@pytest.mark.parametrize(
    "value",
    [80, 80.0, np.int64(80), np.float32(80), np.arange(80, 83), jnp.full(3, 80.0)],
    ids=repr,
)
def test_whole_numbers_are_numbers(value):
    assert SquidNa(g_bar=value).g_bar is value
    replaced = replace(CELL, {"na.g_bar": value}).channels["na"].g_bar
    # A whole number becomes a float, so that it needs no program of its own.
    assert type(replaced) is (float if type(value) is int else type(value))
    np.testing.assert_array_equal(replaced, value)


def test_of_traced_values_the_dtype_is_checked():
    with pytest.raises(ValueError, match="of dtype float16: expected a number"):
        jax.jit(lambda g: replace(CELL, {"na.g_bar": g}))(jnp.float16(80))
    with pytest.raises(ValueError, match="of dtype float16: expected a number"):
        jax.eval_shape(
            lambda g: replace(CELL, {"na.g_bar": g}), jax.ShapeDtypeStruct((3,), jnp.float16)
        )


def test_a_run_names_what_is_no_number():
    with pytest.raises(ValueError, match=r"^electrode.i = .* of dtype float16"):
        nj.simulate(CELL, nj.current_clamp(np.zeros(4, np.float16)))
    warm = nj.Cell(channels={"na": SquidNa()}, celsius=np.array(True))
    with pytest.raises(ValueError, match=r"^cell.celsius = .* of dtype bool"):
        nj.simulate(warm, nj.current_clamp(np.zeros(4)))


def test_signatures_are_checked_while_tests_run():
    with pytest.raises(TypeCheckError, match="parameter 'v'"):
        nj.features.spikes(np.zeros(100, dtype=complex), 0.1)
    with pytest.raises(TypeCheckError, match="parameter 'i'"):
        nj.iv_curves.conductance(np.zeros(3), np.zeros(4), E_rev=-80.0)
