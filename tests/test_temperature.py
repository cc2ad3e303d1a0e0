"""Every channel answers to the cell's temperature, or a run says that it does not."""

import dataclasses
import re
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from around import cell_with

import neurojax as nj
from neurojax.channels import CrabNa, HergBlock, catalogue
from neurojax.membrane.channel import params
from neurojax.membrane.compartment import environment, warmed
from neurojax.membrane.markov import Scheme
from neurojax.run.remarks import FAR, remark_on_temperature

WARMER = 12.0  # degC above its own


def fastest(cell) -> dict:
    """Rates of the channel "c", 1/ms, by gate or transition."""
    channel, seen, v = warmed(cell, "c"), environment(cell, "c", {}), jnp.asarray(-30.0)
    if isinstance(channel, Scheme):
        return channel.rates(v, cell.celsius, **seen)
    return {k: g.rate for k, g in channel.kinetics(v, cell.celsius, **seen).items()}


def told_of(cell) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        remark_on_temperature(cell)
    return [str(one.message) for one in told]


@pytest.mark.parametrize("name", catalogue())
def test_a_channel_answers_to_the_temperature_or_a_run_says_so(name):
    cls = catalogue()[name]

    def cell_at(celsius, default_q10=None):
        return dataclasses.replace(cell_with(cls()), celsius=celsius, default_q10=default_q10)

    own = cls.celsius_ref
    there = cell_at(own + WARMER)
    assert told_of(cell_at(own + FAR)) == []
    told = told_of(there)
    if not cls.has_rates():  # leaks, pumps: nothing takes time
        assert told == []
        return
    slow, fast = (fastest(cell) for cell in (cell_at(own), there))
    ratios = np.array([float(fast[k] / slow[k]) for k in slow if float(slow[k]) > 0])
    if told:
        (text,) = told
        assert f"'c' ({name}, {own:g} degC)" in text and "default_q10" in text
        np.testing.assert_allclose(ratios, 1, rtol=1e-6)
        chosen = fastest(cell_at(own + WARMER, 3.0))
        of_choice = [float(chosen[k] / slow[k]) for k in slow if float(slow[k]) > 0]
        np.testing.assert_allclose(of_choice, 3 ** (WARMER / 10), rtol=1e-5)
        assert told_of(cell_at(own + WARMER, 3.0)) == []
    elif cls.q10 and set(cls.q10.values()) == {1.0}:  # its time constants are parameters
        assert any(name.startswith("tau") for name in params(cls))
    else:
        assert ratios.max() > 1.1


def test_a_chosen_q10_is_a_scale_of_time_in_a_run():
    def run(**told):
        channels: dict[str, nj.Channel] = {
            "na": CrabNa(tau_scale=told.pop("tau_scale", 1.0)),
            "l": nj.channels.CrabLeak(),
        }
        cell = nj.Cell(channels=channels, celsius=28.0, **told)
        return nj.simulate(cell, nj.current_clamp(np.full(80, 20.0)), initial=-60.0).v

    np.testing.assert_allclose(run(default_q10=2.0), run(tau_scale=0.5, default_q10=1.0), rtol=1e-5)
    with pytest.warns(UserWarning, match=re.escape("'na' (CrabNa, 18 degC)")):
        run()
    with pytest.raises(ValueError, match=r"cell.default_q10 = -1 is outside \[0.1, 10\]"):
        run(default_q10=-1.0)


def test_each_rate_of_the_blocked_channel_has_its_own_q10():
    # Li et al. 2017, supplement: C1 to C2 at -30 mV, A exp(B v) q10^((T - 20) / 10).
    for celsius in (20.0, 23.0, 37.0):
        rates = HergBlock().rates(jnp.asarray(-30.0), celsius, drug=0.0, temperature=celsius)
        for pair, (A, B, q10) in {
            ("C1", "C2"): (0.0264, 4.631e-5, 4.843),
            ("O", "IO"): (0.149, 0.004668, 2.412),
        }.items():
            true = A * np.exp(-30 * B) * q10 ** ((celsius - 20) / 10)
            assert float(rates[pair]) == pytest.approx(true, rel=1e-5)
