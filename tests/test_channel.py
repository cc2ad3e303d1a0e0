"""Declaring parameters and channels, apart from any published one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax.channels import CortexCaT, SquidK, SquidLeak, SquidNa
from neurojax.membrane.channel import params


def test_param_chooses_its_scale_from_its_bounds():
    def scale(low, high, given=None):
        return nj.param(low, "1", low, high, given).metadata["param"].scale

    assert scale(1.0, 10.0) == "log"
    assert scale(1.0, 9.0) == "linear"
    assert scale(0.0, 100.0) == "linear"
    assert scale(1.0, 100.0, "linear") == "linear"


def test_a_pytree_s_leaves_are_its_fields():
    na = SquidNa(g_bar=100.0)
    assert len(jax.tree.leaves(na)) == len(params(na)) == 4
    doubled = jax.tree.map(lambda x: 2 * x, na)
    assert isinstance(doubled, SquidNa) and doubled.g_bar == 200.0
    # Nothing is validated on the way: masks and None pass through.
    assert jax.tree.map(lambda x: None, na).g_bar is None


def test_classes_with_the_same_fields_are_different_programs():
    # JAX's own dataclass pytrees compare equal, and a compiled program may then run for another.
    kinds = [cls() for cls in nj.channels.catalogue().values()]
    structures = [jax.tree.structure(kind) for kind in kinds]
    for k, a in enumerate(structures):
        assert all(a != b for b in structures[:k])
        assert a == jax.tree.structure(jax.tree.map(jnp.asarray, kinds[k]))


def test_a_channel_is_frozen_and_takes_keywords_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SquidNa().g_bar = 1.0
    with pytest.raises(TypeError):
        SquidNa(120.0)


def test_shift_moves_every_curve_along_v(x64):
    v = jnp.linspace(-90.0, 30.0, 25)
    for cls in (SquidNa, SquidK, CortexCaT):
        plain, shifted = cls(), cls(v_shift=7.5)
        for k in plain.steady_state(v):
            np.testing.assert_allclose(
                shifted.steady_state(v + 7.5)[k], plain.steady_state(v)[k], rtol=1e-12
            )
            np.testing.assert_allclose(
                shifted.kinetics(v + 7.5)[k].rate, plain.kinetics(v)[k].rate, rtol=1e-12
            )
        # The driving force is not shifted, the instantaneous gates are.
        x = plain.steady_state(v)
        moved = shifted.current(v + 7.5, x) / (v + 7.5 - plain.E_rev)
        np.testing.assert_allclose(moved, plain.current(v, x) / (v - plain.E_rev), rtol=1e-9)


def test_tau_scale_stretches_time(x64):
    v, x = jnp.asarray(-50.0), {"n": jnp.asarray(0.2)}
    slow = SquidK(tau_scale=4.0).advance(x, v, 2.0)["n"]
    assert float(slow) == pytest.approx(float(SquidK().advance(x, v, 0.5)["n"]), rel=1e-12)


def test_a_gate_without_q10_ignores_temperature():
    @nj.pytree
    class Half(nj.Channel):
        g_bar: nj.membrane.channel.Leaf = nj.param(1.0, "mS/cm2", 0.0, 2.0)
        E_rev: nj.membrane.channel.Leaf = nj.param(-80.0, "mV", -100.0, 0.0)
        powers = {"warm": 1, "cold": 1}
        q10 = {"warm": 2.0}
        celsius_ref = 20.0

        def gating(self, v):
            one = nj.membrane.rates.from_inf(jnp.ones_like(v), jnp.ones_like(v))
            return {"warm": one, "cold": one}

    at_30 = Half().kinetics(jnp.asarray(-65.0), 30.0)
    assert float(at_30["warm"].rate) == pytest.approx(2.0)
    assert float(at_30["cold"].rate) == 1.0


def test_leak_has_no_gates():
    leak, v = SquidLeak(), jnp.asarray(-60.0)
    assert leak.steady_state(v) == leak.advance({}, v, 0.1) == leak.propagator(v, 0.1) == {}
    assert float(leak.current(v, {})) == pytest.approx(0.3 * (-60 + 54.387), rel=1e-5)


def test_a_class_without_pytree_is_told_when_it_is_made():
    class Bare(nj.Channel):
        g_bar: float = 1.0

    class Count(nj.Fold):
        pass

    for cls, given in ((Bare, {"g_bar": 2.0}), (Bare, {}), (Count, {})):
        with pytest.raises(TypeError, match=rf"{cls.__name__}: write @nj.pytree above the class"):
            cls(**given)


def test_a_unit_that_is_none_is_told_where_it_is_declared():
    with pytest.raises(ValueError, match=r"unknown unit 'mS/cm\^'; did you mean 'mS/cm2'"):
        nj.param(1.0, "mS/cm^", 0.0, 10.0)
    with pytest.raises(ValueError, match=r"bounds \[10, 0\] mV: expected low <= high"):
        nj.param(1.0, "mV", 10.0, 0.0)
