"""The pipette between amplifier and cell against circuits in closed form, and in a fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neurojax as nj
from neurojax import pipette
from neurojax.channels import CortexLeak, SquidK, SquidLeak, SquidNa
from neurojax.electrode import PA
from neurojax.fit import Task, free, free_run
from neurojax.fit.agreement import bias_pA
from neurojax.fit.judge import FeatureJudge

AREA, G, E, C_M = 33e-6, 2 / 33, 0.0, 1.0  # cm2, mS/cm2: 500 MOhm and 33 pF


def passive(**changes):
    """A cell of 500 MOhm and 33 pF behind a pipette."""
    leak = CortexLeak(g_bar=G, E_rev=E)
    pip = nj.Pipette(**({"R_s": 11.1, "C_pip": 5.0, "tau_clamp": 0.02} | changes))
    return nj.Cell(channels={"leak": leak, "pipette": pip}, C_m=C_M, area=AREA)


# -- circuits --------------------------------------------------------------------------------------
def test_a_voltage_step_charges_pipette_and_membrane_as_two_poles(x64):
    cell, dt, n = passive(offset=3.0), 2e-4, 25_000
    electrode = pipette.voltage_clamp(np.full(n, -10.0))
    run = nj.simulate(cell, electrode, dt, record=("v", "i_amp"), every=10, initial=0.0)
    # v_p = V (1 - exp(-t / a)); tau v' + v = k v_p, with both resistances in parallel.
    R_s, R_m, C, a, V = 11.1e3, 500e3, 33e-6, 0.02, -10.0
    k, tau, t = R_m / (R_s + R_m), R_s * R_m / (R_s + R_m) * C, np.asarray(run.t)
    v_p = V * (1 - np.exp(-t / a))
    v = k * V * (1 - (tau * np.exp(-t / tau) - a * np.exp(-t / a)) / (tau - a))
    i = (v_p - v) / R_s / PA + 5.0 * V / a * np.exp(-t / a) + 3.0
    np.testing.assert_allclose(run.v, v, atol=3e-3)  # half a step on its way
    np.testing.assert_allclose(run.data["i_amp"], i, atol=15.0)  # half a step of 2500 pA, falling
    late = t > 0.3
    np.testing.assert_allclose(run.data["i_amp"][late], i[late], atol=0.05)


def test_a_current_step_shows_the_pipette_on_top_of_the_membrane(x64):
    cell, dt, n = passive(junction=12.0), 1e-3, 20_000
    i = 20.0 * PA
    run = nj.simulate(
        cell, pipette.current_clamp(np.full(n, i)), dt, record=("v", "v_amp"), every=10, initial=0.0
    )
    # v alone is one pole; what is seen lags v + R_s i by R_s C_pip.
    R_s, R_m, C, lag, t = 11.1e3, 500e3, 33e-6, 11.1e3 * 5e-6, np.asarray(run.t)
    tau = R_m * C
    v = i * R_m * (1 - np.exp(-t / tau))
    v_p = i * (R_s + R_m) - i * R_m * tau / (tau - lag) * np.exp(-t / tau)
    v_p = v_p - (i * (R_s + R_m) - i * R_m * tau / (tau - lag)) * np.exp(-t / lag)
    np.testing.assert_allclose(run.v, v, atol=1e-4)
    np.testing.assert_allclose(run.data["v_amp"], v_p + 12.0, atol=2e-3)


def test_held_is_where_a_clamp_rests(x64):
    cell = passive(junction=10.0, drift=2.0)
    first = pipette.before(cell, pipette.voltage_clamp(np.full(3, -60.0), minutes=2.0))
    s = pipette.held(first, -60.0)
    assert float(s.v) == pytest.approx(-70.0 * 500 / 515.1, rel=1e-9)
    assert float(s.x["pipette"]["v"]) == pytest.approx(-70.0, rel=1e-12)

    def v(R_s):
        return pipette.held(nj.replace(first, {"pipette.R_s": R_s}), -60.0).v

    slope = jax.grad(v)(11.1)
    assert float(slope) == pytest.approx(70.0 * 500 / 515.1**2, rel=1e-9)
    first = pipette.before(cell, pipette.current_clamp(np.full(3, 20 * PA)))
    s = pipette.held(first, -60.0)
    assert float(s.v) == pytest.approx(-60.0 - 10.0 - 0.222, rel=1e-9)
    assert float(s.x["pipette"]["v"]) + 10.0 == pytest.approx(-60.0, rel=1e-9)


def test_a_pipette_at_rest_does_nothing():
    cell = nj.Cell(channels={"na": SquidNa(), "k": SquidK(), "leak": SquidLeak()})
    with_one = nj.Cell(channels={**cell.channels, "pipette": nj.Pipette()})
    assert float(nj.at_rest(with_one).v) == pytest.approx(float(nj.at_rest(cell).v), abs=1e-4)
    names = [k for k in nj.parameters(with_one) if k.startswith("pipette.")]
    own = ("R_s", "C_pip", "tau_clamp", "junction", "offset", "drift")
    assert names == [f"pipette.{k}" for k in own]
    assert {"pipette.v", "v_amp", "i_amp"} <= set(nj.observables(with_one))


def test_a_bridge_out_of_balance_is_found_by_its_jumps():
    """In current clamp R_s of the pipette falls on the recording, not on the cell."""
    cell = nj.Cell(channels={"leak": CortexLeak(), "pipette": nj.Pipette(R_s=60.0)}, area=1e-4)
    i = nj.steps(100.0, start=50.0, stop=250.0, duration=300.0, dt=0.1)
    asked = nj.Trace("current", 0.1, np.full(i.size, -70.0), i)
    run = free_run(cell, asked)
    plain = free_run(nj.Cell(channels={"leak": CortexLeak()}, area=1e-4), asked)
    fall = run.v_mV - plain.v_mV  # 100 pA through 60 MOhm
    np.testing.assert_allclose(fall[520:2480], 6.0, atol=0.1)  # C_pip lags a little
    np.testing.assert_allclose(fall[2520:], 0.0, atol=0.1)
    assert bias_pA(cell, run) == pytest.approx(0.0, abs=0.05)
    aim = Task(cell, free(cell, {"pipette.R_s": (1.0, 200.0)}), [run])
    at = np.array([aim.space.point({"pipette.R_s": R}) for R in (20.0, 60.0, 150.0)]).T
    errors, _ = FeatureJudge(aim)(np.repeat(at, 32, axis=1))
    assert errors[32] < 0.05 < errors[0] and errors[32] < errors[64]
