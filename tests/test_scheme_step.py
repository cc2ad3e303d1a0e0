"""A step that is too long for a scheme's rates is told before the run."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from around import cell_with

import neurojax as nj
from neurojax.channels import PurkinjeNaR, SquidLeak, SquidNa, catalogue
from neurojax.membrane.markov import Scheme, as_scheme
from neurojax.membrane.rates import Leaf
from neurojax.run.scheme_step import remark_on_schemes


@nj.pytree
class Fast(Scheme):
    """A channel that a particle blocks and leaves many times in a step."""

    g_bar: Leaf = nj.param(1.0, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = nj.param(0.0, "mV", -100.0, 100.0)
    states = ("C", "O", "B")
    conducting = {"O": 1.0}

    def transitions(self, v):
        k = jnp.exp(v / 20)
        return {
            ("C", "O"): 60 * k, ("O", "C"): 40 / k, ("O", "B"): 150 * k, ("B", "O"): 50 + 0 * v,
        }  # fmt: skip


STILL = nj.current_clamp(np.zeros(4))


def told_of(channel, dt=0.025, electrode=STILL) -> list[str]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        remark_on_schemes(cell_with(channel), electrode, dt)
    return [str(one.message) for one in told]


SCHEMES = [cls for cls in catalogue().values() if issubclass(cls, Scheme) and not cls.stiff]


@pytest.mark.parametrize("cls", SCHEMES, ids=lambda cls: cls.__name__)
def test_no_scheme_of_the_catalogue_is_off_at_the_default_step(cls):
    assert told_of(cls()) == []


def test_a_scheme_of_a_users_own_that_is_too_fast_is_told():
    (text,) = told_of(Fast())
    assert "'c': the rates of Fast are so fast that at dt = 0.025 ms" in text
    assert "say `stiff = True` in Fast, or take a shorter step" in text
    assert told_of(Fast(), 1e-4) == []
    assert told_of(PurkinjeNaR()) == []  # it is stiff


@nj.pytree
class Bound(Scheme):
    """A channel that a transmitter opens, far quicker than a step where there is much of it."""

    g_bar: Leaf = nj.param(1.0, "mS/cm2", 0.0, 10.0)
    E_rev: Leaf = nj.param(0.0, "mV", -100.0, 100.0)
    states = ("R", "AR", "O")
    conducting = {"O": 1.0}
    reads = ("glu",)
    commands = {"glu": 0.0}

    def transitions(self, v, glu):
        one = jnp.ones_like(v)
        return {
            ("R", "AR"): 100 * glu * one, ("AR", "R"): 5 * one,
            ("AR", "O"): 20 * one, ("O", "AR"): 10 * one,
        }  # fmt: skip


def test_a_ligand_counts_as_the_electrode_gives_it():
    assert told_of(Bound()) == []
    assert told_of(Bound(), electrode=nj.electrode.stimulus(STILL, glu=[0.0, 1.0, 1.0, 0.0]))


def test_gates_as_a_scheme_follow_the_temperature():
    # At 6.3 degC the step suits the squid's sodium channel, at 30 it is 14 times too fast for it.
    own = nj.Cell(channels={"c": as_scheme(SquidNa())})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        remark_on_schemes(own, STILL, 0.025)
    assert told_of(as_scheme(SquidNa()))


def test_stiff_channels_that_move_by_chance_exchange_by_pairs():
    cell = nj.Cell(channels={"c": PurkinjeNaR(), "l": SquidLeak()}, area=1e-5)
    noisy = nj.stochastic(cell, n_channels={"c": 1000})
    (text,) = told_of(noisy.channels["c"])
    assert "LangevinPurkinjeNaR" in text or "CountedPurkinjeNaR" in text
    assert text.endswith("of its largest off: take a shorter step")


def test_a_run_tells_and_a_traced_one_does_not():
    clamp = nj.voltage_clamp(np.full(4, -20.0))

    def run(g_bar):
        return nj.simulate(nj.Cell(channels={"c": Fast(g_bar=g_bar)}), clamp).v[-1]

    with pytest.warns(UserWarning, match="the rates of Fast are so fast"):
        run(1.0)
    jax.eval_shape(run, 1.0)
